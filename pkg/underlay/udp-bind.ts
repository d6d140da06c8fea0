import type { Family } from "../addr/family.ts";
import { type Arena, IOVEC_LEN } from "../sys/arena.ts";
import { EAGAIN, EINTR, EINVAL, EIO, EMSGSIZE } from "../sys/errors.ts";
import * as libc from "../sys/libc.ts";
import { SOCKADDR_ADDR, SOCKADDR_LEN } from "../sys/udp-socket.ts";
import type { Bind, TxRun } from "./bind.ts";
import { RX_BUFFER_LEN, RxTable } from "./rx-table.ts";

// Datagrams that one call takes; 64 brought nothing over 16 where the kernel joins datagrams (UDP_GRO).
const RX_CALL = 16;
// Where it does not (a kernel peer's have no checksum, which GRO wants), a batch takes several full calls of data, as
// many as one super-packet is made of, for merging to work with. Measured: 35 to 40 % more throughput of one TCP stream.
const RX_BATCH = 64;
// Mean bytes of a call's datagrams between which they are taken for data that is not joined.
const DATA_LEAST = 512;
const DATA_MOST = 4096;
const TX_BATCH = 64; // UDP_MAX_SEGMENTS (include/linux/udp.h)

// So many runs in a row that the kernel would not cut, while it took their datagrams one by one, are taken for all. Fewer
// may be the way to one peer.
const REFUSALS_MOST = 16;

const MSG_DONTWAIT = 0x40;

// struct msghdr on 64-bit Linux: name 0, namelen 8, iov 16, iovlen 24, control 32, controllen 40, flags 48.
// struct mmsghdr adds the length of the datagram at 56.
const MSG_NAME = 0;
const MSG_NAMELEN = 8;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_CONTROL = 32;
const MSG_CONTROLLEN = 40;
const MMSG_LEN = 56;
const MMSGHDR_LEN = 64;

// struct cmsghdr: length 0 (8 bytes), level 8, type 12, data 16; each padded to 8 bytes (cmsg(3)).
const CMSG_LEVEL = 8;
const CMSG_TYPE = 12;
const CMSG_DATA = 16;
const CMSG_SPACE = 24; // with data of up to 8 bytes
const CONTROL_LEN = 64;

const IPPROTO_IP = 0;
const IP_TOS = 1;
const IPPROTO_IPV6 = 41;
const IPV6_TCLASS = 67;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;

/** Bytes of an arena that one UdpBind takes, at most. Pages never touched cost nothing. */
export const UDP_BIND_ARENA = RX_BATCH * (RX_BUFFER_LEN + 1024) + TX_BATCH * 1024;

/** UDP through recvmmsg and sendmmsg: a batch takes one call, or a few of data; payload is gathered from where it lies. */
export class UdpBind implements Bind {
  readonly port: number;
  readonly fds: readonly number[];
  fullFd = -1;
  readonly maxRun = TX_BATCH;
  readonly rx: RxTable;
  lost = 0;
  lostErrno = 0;
  /** Whether runs go out as one buffer that the kernel cuts (UDP_SEGMENT). Turned off for good when it refuses all. */
  segment: boolean;

  readonly #arena: Arena;
  readonly #families: readonly Family[];
  readonly #fd: { [F in Family]?: number };
  readonly #rxVec: number;
  readonly #rxNames: number;
  readonly #rxControl: number;
  readonly #txVec: number;
  readonly #txControl: number;
  #turn = 0;
  #refusals = 0;

  /** `fds` are sockets of sys/udp-socket.ts, one per family in use, bound to the same port. */
  constructor(arena: Arena, fds: { readonly [F in Family]?: number }, port: number, segment = false) {
    this.#arena = arena;
    this.segment = segment;
    this.#fd = fds;
    this.#families = ([4, 6] as const).filter((family) => fds[family] !== undefined);
    this.fds = this.#families.map((family) => fds[family] as number);
    this.port = port;
    this.rx = new RxTable(arena, RX_BATCH);
    const iovecs = arena.alloc(RX_BATCH * IOVEC_LEN, 16);
    this.#rxVec = arena.alloc(RX_BATCH * MMSGHDR_LEN);
    this.#rxNames = arena.alloc(RX_BATCH * SOCKADDR_LEN[6], 16);
    this.#rxControl = arena.alloc(RX_BATCH * CONTROL_LEN);
    this.#txVec = arena.alloc(TX_BATCH * MMSGHDR_LEN);
    this.#txControl = arena.alloc(CONTROL_LEN);
    for (let i = 0; i < RX_BATCH; i++) {
      arena.putIovec(iovecs + i * IOVEC_LEN, this.rx.at[i] as number, RX_BUFFER_LEN);
      const header = this.#rxVec + i * MMSGHDR_LEN;
      arena.putPointer(header + MSG_NAME, this.#rxNames + i * SOCKADDR_LEN[6]);
      arena.putPointer(header + MSG_IOV, iovecs + i * IOVEC_LEN);
      arena.u32[(header + MSG_IOVLEN) >>> 2] = 1;
      arena.putPointer(header + MSG_CONTROL, this.#rxControl + i * CONTROL_LEN);
    }
  }

  /** HOT PATH */
  recv(): number {
    let rows = 0;
    // Each call begins with the other family, so that a flood over one cannot starve the other.
    for (let i = 0; i < this.#families.length && rows < RX_CALL; i++) {
      const family = this.#families[(i + this.#turn) % this.#families.length] as Family;
      let n: number;
      do {
        n = this.#recvFamily(family, rows);
        if (n < 0) return rows > 0 ? rows : n;
        rows += n;
      } while (n === RX_CALL && rows + RX_CALL <= RX_BATCH && this.#isUnjoinedData(rows));
    }
    this.#turn ^= 1;
    return rows;
  }

  // Of the last full call before `rows`.
  #isUnjoinedData(rows: number): boolean {
    let bytes = 0;
    for (let row = rows - RX_CALL; row < rows; row++) bytes += this.rx.length[row] as number;
    return bytes >= RX_CALL * DATA_LEAST && bytes < RX_CALL * DATA_MOST;
  }

  #recvFamily(family: Family, first: number): number {
    const { u32 } = this.#arena;
    for (let i = first; i < first + RX_CALL; i++) {
      const header = this.#rxVec + i * MMSGHDR_LEN;
      u32[(header + MSG_NAMELEN) >>> 2] = SOCKADDR_LEN[6];
      u32[(header + MSG_CONTROLLEN) >>> 2] = CONTROL_LEN;
    }
    const vec = this.#arena.address(this.#rxVec + first * MMSGHDR_LEN);
    const n = libc.recvmmsg(this.#fd[family] as number, vec, RX_CALL, MSG_DONTWAIT);
    if (n < 0) {
      const errno = libc.errno();
      return errno === EAGAIN || errno === EINTR ? 0 : -errno;
    }
    for (let row = first; row < first + n; row++) this.#fillRow(row, family);
    return n;
  }

  #fillRow(row: number, family: Family): void {
    const { rx } = this;
    const { u32, i32, bytes } = this.#arena;
    const header = this.#rxVec + row * MMSGHDR_LEN;
    rx.family[row] = family;
    rx.length[row] = u32[(header + MMSG_LEN) >>> 2] as number;
    rx.partLength[row] = 0;
    rx.tos[row] = 0;
    const from = rx.from[row] as number;
    const name = this.#rxNames + row * SOCKADDR_LEN[6] + SOCKADDR_ADDR[family];
    bytes.copyWithin(from, name, name + (family === 4 ? 4 : 16));
    let at = this.#rxControl + row * CONTROL_LEN;
    const end = at + (u32[(header + MSG_CONTROLLEN) >>> 2] as number);
    while (end - at >= CMSG_DATA) {
      const level = i32[(at + CMSG_LEVEL) >>> 2] as number;
      const type = i32[(at + CMSG_TYPE) >>> 2] as number;
      if (level === SOL_UDP && type === UDP_GRO) rx.partLength[row] = i32[(at + CMSG_DATA) >>> 2] as number;
      else if (level === IPPROTO_IP && type === IP_TOS) rx.tos[row] = bytes[at + CMSG_DATA] as number;
      else if (level === IPPROTO_IPV6 && type === IPV6_TCLASS) rx.tos[row] = i32[(at + CMSG_DATA) >>> 2] as number;
      const length = u32[at >>> 2] as number;
      if (length < CMSG_DATA) break;
      at += (length + 7) & ~7;
    }
  }

  /** HOT PATH */
  send(run: TxRun): number {
    const fd = this.#fd[run.family];
    if (fd === undefined) return this.#lose(run.datagrams, 0);
    if (run.datagrams > 1 && this.segment) {
      const done = this.#sendSegmented(fd, run);
      return done >= 0 ? done : this.#sendRefused(fd, run, -done);
    }
    return this.#sendSingly(fd, run);
  }

  // A run that the kernel did not cut. Where it takes none of the datagrams either, it is not cutting that it refuses.
  #sendRefused(fd: number, run: TxRun, errno: number): number {
    const lostBefore = this.lost;
    const done = this.#sendSingly(fd, run);
    if (errno === EMSGSIZE || done === this.lost - lostBefore) return done;
    this.#refusals++;
    if (this.#refusals === REFUSALS_MOST) this.segment = false;
    return done;
  }

  // Returns a negative errno when the kernel will not cut: the run is still to be sent.
  #sendSegmented(fd: number, run: TxRun): number {
    const header = this.#txVec;
    this.#putHeader(header, run, run.iov, run.iovCount, this.#putControl(run, run.length));
    for (;;) {
      if (libc.sendmsg(fd, this.#arena.address(header), MSG_DONTWAIT) >= 0) {
        this.#refusals = 0;
        return run.datagrams;
      }
      const errno = libc.errno();
      if (errno === EAGAIN) return this.#full(fd, 0);
      if (errno === EINTR) continue;
      // net/ipv4/udp.c, udp_send_skb. EMSGSIZE (before Linux 6.14 EINVAL): a datagram does not fit the path's MTU and has to
      // be fragmented. EIO: the device cannot checksum, or the packet is transformed (IPsec). EINVAL also comes for a
      // blackhole route.
      if (errno === EIO || errno === EINVAL || errno === EMSGSIZE) return -errno;
      return this.#lose(run.datagrams, errno);
    }
  }

  #sendSingly(fd: number, run: TxRun): number {
    const control = this.#putControl(run, 0);
    const each = run.iovPerDatagram;
    for (let i = 0; i < run.datagrams; i++) {
      this.#putHeader(this.#txVec + i * MMSGHDR_LEN, run, run.iov + i * each * IOVEC_LEN, each, control);
    }
    let done = 0;
    while (done < run.datagrams) {
      const vec = this.#arena.address(this.#txVec + done * MMSGHDR_LEN);
      const n = libc.sendmmsg(fd, vec, run.datagrams - done, MSG_DONTWAIT);
      if (n > 0) {
        done += n;
        continue;
      }
      const errno = libc.errno();
      if (errno === EAGAIN) return this.#full(fd, done);
      if (errno === EINTR) continue;
      // The datagram at the head is refused for good (no route, a firewall, too long); those behind it may do better.
      this.#lose(1, errno);
      done++;
    }
    return done;
  }

  #putHeader(at: number, run: TxRun, iov: number, iovCount: number, control: number): void {
    const { u32 } = this.#arena;
    this.#arena.putPointer(at + MSG_NAME, run.to);
    u32[(at + MSG_NAMELEN) >>> 2] = SOCKADDR_LEN[run.family];
    this.#arena.putPointer(at + MSG_IOV, iov);
    u32[(at + MSG_IOVLEN) >>> 2] = iovCount;
    this.#arena.putPointer(at + MSG_CONTROL, this.#txControl);
    u32[(at + MSG_CONTROLLEN) >>> 2] = control;
  }

  #full(fd: number, done: number): number {
    this.fullFd = fd;
    return done;
  }

  #lose(count: number, errno: number): number {
    this.lost += count;
    this.lostErrno = errno;
    return count;
  }

  // Ancillary data: the length to cut at and the traffic class, each left out where it is 0. Returns how long it is.
  #putControl(run: TxRun, segment: number): number {
    let at = this.#txControl;
    if (segment !== 0) {
      this.#putCmsg(at, SOL_UDP, UDP_SEGMENT, CMSG_DATA + 2, segment);
      at += CMSG_SPACE;
    }
    if (run.tos !== 0) {
      if (run.family === 4) this.#putCmsg(at, IPPROTO_IP, IP_TOS, CMSG_DATA + 4, run.tos);
      else this.#putCmsg(at, IPPROTO_IPV6, IPV6_TCLASS, CMSG_DATA + 4, run.tos);
      at += CMSG_SPACE;
    }
    return at - this.#txControl;
  }

  #putCmsg(at: number, level: number, type: number, length: number, value: number): void {
    const i = at >>> 2;
    const { u32 } = this.#arena;
    u32[i] = length;
    u32[i + 1] = 0;
    u32[i + CMSG_LEVEL / 4] = level;
    u32[i + CMSG_TYPE / 4] = type;
    u32[i + CMSG_DATA / 4] = value; // little-endian: also right for a 16-bit value
  }

  close(): void {
    for (const fd of this.fds) libc.close(fd);
  }
}
