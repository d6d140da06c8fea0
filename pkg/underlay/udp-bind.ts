import type { Family } from "../addr/family.ts";
import { type Arena, IOVEC_LEN } from "../sys/arena.ts";
import { EAGAIN, EINTR } from "../sys/errors.ts";
import * as libc from "../sys/libc.ts";
import { SOCKADDR_ADDR, SOCKADDR_LEN } from "../sys/udp-socket.ts";
import type { Bind, TxRun } from "./bind.ts";
import { RxTable } from "./rx-table.ts";

const RX_BATCH = 16; // 64 brought nothing over 16 when measured
const TX_BATCH = 64; // UDP_MAX_SEGMENTS (include/linux/udp.h)

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
const CMSG_INT_LEN = CMSG_DATA + 4;
const CMSG_INT_SPACE = 24;
const CONTROL_LEN = 64;

const IPPROTO_IP = 0;
const IP_TOS = 1;
const IPPROTO_IPV6 = 41;
const IPV6_TCLASS = 67;
const SOL_UDP = 17;
const UDP_GRO = 104;

/** UDP through recvmmsg and sendmmsg: one call per batch, payload gathered from where it lies. */
export class UdpBind implements Bind {
  readonly port: number;
  readonly fds: readonly number[];
  readonly maxRun = TX_BATCH;
  readonly rx: RxTable;
  lost = 0;
  lostErrno = 0;

  readonly #arena: Arena;
  readonly #families: readonly Family[];
  readonly #fd: { [F in Family]?: number };
  readonly #rxVec: number;
  readonly #rxNames: number;
  readonly #rxControl: number;
  readonly #txVec: number;
  readonly #txControl: number;
  #turn = 0;

  /** `fds` are sockets of sys/udp-socket.ts, one per family in use, bound to the same port. */
  constructor(arena: Arena, fds: { readonly [F in Family]?: number }, port: number) {
    this.#arena = arena;
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
      arena.putIovec(iovecs + i * IOVEC_LEN, this.rx.at[i] as number, this.rx.bufferLength);
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
    for (let i = 0; i < this.#families.length && rows < RX_BATCH; i++) {
      const family = this.#families[(i + this.#turn) % this.#families.length] as Family;
      const n = this.#recvFamily(family, rows);
      if (n < 0) return rows > 0 ? rows : n;
      rows += n;
    }
    this.#turn ^= 1;
    return rows;
  }

  #recvFamily(family: Family, first: number): number {
    const { u32 } = this.#arena;
    for (let i = first; i < RX_BATCH; i++) {
      const header = this.#rxVec + i * MMSGHDR_LEN;
      u32[(header + MSG_NAMELEN) >>> 2] = SOCKADDR_LEN[6];
      u32[(header + MSG_CONTROLLEN) >>> 2] = CONTROL_LEN;
    }
    const vec = this.#arena.address(this.#rxVec + first * MMSGHDR_LEN);
    const n = libc.recvmmsg(this.#fd[family] as number, vec, RX_BATCH - first, MSG_DONTWAIT);
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
    const { u32 } = this.#arena;
    const fd = this.#fd[run.family];
    if (fd === undefined) return this.#lose(run.datagrams, 0);
    const control = this.#putTos(run);
    for (let i = 0; i < run.datagrams; i++) {
      const header = this.#txVec + i * MMSGHDR_LEN;
      this.#arena.putPointer(header + MSG_NAME, run.to);
      u32[(header + MSG_NAMELEN) >>> 2] = SOCKADDR_LEN[run.family];
      this.#arena.putPointer(header + MSG_IOV, run.iov + i * run.iovPerDatagram * IOVEC_LEN);
      u32[(header + MSG_IOVLEN) >>> 2] = run.iovPerDatagram;
      this.#arena.putPointer(header + MSG_CONTROL, this.#txControl);
      u32[(header + MSG_CONTROLLEN) >>> 2] = control;
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
      if (errno === EAGAIN) return done;
      if (errno === EINTR) continue;
      // The datagram at the head is refused for good (no route, a firewall, too long); those behind it may do better.
      this.#lose(1, errno);
      done++;
    }
    return done;
  }

  #lose(count: number, errno: number): number {
    this.lost += count;
    this.lostErrno = errno;
    return count;
  }

  // The traffic class as ancillary data, or nothing where it is 0. Returns the length of the control block.
  #putTos(run: TxRun): number {
    if (run.tos === 0) return 0;
    const i = this.#txControl >>> 2;
    const { u32 } = this.#arena;
    u32[i] = CMSG_INT_LEN;
    u32[i + 1] = 0;
    u32[i + CMSG_LEVEL / 4] = run.family === 4 ? IPPROTO_IP : IPPROTO_IPV6;
    u32[i + CMSG_TYPE / 4] = run.family === 4 ? IP_TOS : IPV6_TCLASS;
    u32[i + CMSG_DATA / 4] = run.tos;
    return CMSG_INT_SPACE;
  }

  close(): void {
    for (const fd of this.fds) libc.close(fd);
  }
}
