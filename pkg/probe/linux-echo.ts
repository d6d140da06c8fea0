import { type Addr, addrBytes } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import { type Random } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { put16, put16le, put8 } from "../packet/bytes.ts";
import { finish, sumWords } from "../packet/checksum.ts";
import { ICMP_ECHO_REQUEST, ICMP_HEADER_LEN, icmpEchoId, icmpEchoSeq, ICMPV6_ECHO_REQUEST } from "../packet/icmp.ts";
import { ipHeaderLength, IPV4_HEADER_LEN, IPV6_HEADER_LEN } from "../packet/ip.ts";
import { Arena } from "../sys/arena.ts";
import { EMSGSIZE, SysError } from "../sys/errors.ts";
import { IcmpSocket } from "../sys/icmp-socket.ts";
import { POLLIN, PollSet } from "../sys/poll-set.ts";
import { drainWakeFd, WakeFd } from "../sys/wake-fd.ts";
import { type Echo, LEAST_PING, type Reply } from "./echo.ts";

const IP_HEADER = { 4: IPV4_HEADER_LEN, 6: IPV6_HEADER_LEN } as const;
const LONGEST_SLEEP_MS = 1000;
const MARK_LEN = 8;
const OFF_CHECKSUM = 2;
// Place 0 of an arena is never given out: 64 bytes that nobody else uses.
const SCRATCH = 8;

interface Waiting {
  readonly from: Uint8Array;
  readonly sentAt: number;
  readonly settle: (reply: Reply) => void;
}

/**
 * Echo over raw ICMP sockets, one of a family, opened when they are first needed. While replies are awaited a thread of
 * libuv's pool sleeps in poll(2); else it costs nothing.
 */
export class LinuxEcho implements Echo {
  readonly #clock: Clock;
  /** Replies to other programs arrive too: id, sequence number, sender and this mark tell ours. */
  readonly #id: number;
  readonly #mark: Uint8Array;
  readonly #waiting = new Map<number, Waiting>();
  readonly #sockets = new Map<Family, IcmpSocket>();
  #wake: WakeFd | undefined;
  // One for good: each costs address space until it is collected.
  #arena: Arena | undefined;
  #polls: { readonly set: PollSet; readonly count: number } | undefined;
  #sequence = 0;
  #listening = false;
  #closed = false;

  constructor(deps: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = deps.clock;
    this.#id = Math.floor(deps.random() * 0x1_0000);
    this.#mark = Uint8Array.from({ length: MARK_LEN }, () => Math.floor(deps.random() * 256));
  }

  ping(target: Addr, size: number, timeoutMs: number): Promise<Reply> {
    if (this.#closed) return Promise.resolve({ none: "lost" });
    const socket = this.#open(target.family);
    if (!socket) return Promise.resolve({ none: "forbidden" });
    const sequence = (this.#sequence = (this.#sequence + 1) & 0xffff);
    const length = Math.max(size, LEAST_PING) - IP_HEADER[target.family];
    this.#write(socket.out, target.family, sequence, length);
    const from = addrBytes(target);
    const sentAt = this.#clock.now();
    const failed = socket.send(from, length);
    if (failed !== 0) return Promise.resolve({ none: failed === -EMSGSIZE ? "too-big" : "unroutable" });
    return new Promise((resolve) => {
      const settle = (reply: Reply): void => {
        cancel();
        this.#waiting.delete(sequence);
        if (this.#waiting.size === 0) this.#wake?.wake();
        resolve(reply);
      };
      const cancel = this.#clock.after(timeoutMs, () => settle({ none: "lost" }));
      this.#waiting.get(sequence)?.settle({ none: "lost" });
      this.#waiting.set(sequence, { from, sentAt, settle });
      void this.#listen();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { settle } of this.#waiting.values()) settle({ none: "lost" });
    if (!this.#listening) this.#release();
  }

  #open(family: Family): IcmpSocket | undefined {
    const open = this.#sockets.get(family);
    if (open) return open;
    try {
      const socket = new IcmpSocket(family);
      this.#sockets.set(family, socket);
      // A sleep that has begun does not know the new socket.
      this.#wake?.wake();
      return socket;
    } catch (error) {
      // EPERM without CAP_NET_RAW, EAFNOSUPPORT without IPv6: a later try may find it otherwise.
      if (error instanceof SysError) return undefined;
      throw error;
    }
  }

  #write(out: Uint8Array, family: Family, sequence: number, length: number): void {
    out.fill(0, 0, length);
    put8(out, 0, family === 4 ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST);
    put16(out, 4, this.#id);
    put16(out, 6, sequence);
    out.set(this.#mark, ICMP_HEADER_LEN);
    // Of ICMPv6 the kernel writes it, since it knows the source address (RFC 3542 section 3.1).
    if (family === 4) put16le(out, OFF_CHECKSUM, finish(sumWords(out, 0, length)));
  }

  // One sleeper for all that is awaited; it ends with the last.
  async #listen(): Promise<void> {
    if (this.#listening) return;
    this.#listening = true;
    const wake = (this.#wake ??= new WakeFd());
    const arena = (this.#arena ??= Arena.create(65_536));
    while (this.#waiting.size > 0) {
      const polls = this.#pollSet(arena, wake);
      await polls.waitAside(LONGEST_SLEEP_MS);
      const now = this.#clock.now();
      if (polls.ready(0) !== 0) drainWakeFd(wake.fd, arena, SCRATCH);
      for (const [family, socket] of this.#sockets) this.#drain(family, socket, now);
    }
    this.#listening = false;
    if (this.#closed) this.#release();
  }

  // Made anew when a socket was opened, twice at most.
  #pollSet(arena: Arena, wake: WakeFd): PollSet {
    const fds = [wake.fd, ...[...this.#sockets.values()].map(({ fd }) => fd)];
    if (!this.#polls || this.#polls.count !== fds.length) {
      const set = new PollSet(arena, fds);
      for (let i = 0; i < fds.length; i++) set.want(i, POLLIN);
      this.#polls = { set, count: fds.length };
    }
    return this.#polls.set;
  }

  #drain(family: Family, socket: IcmpSocket, now: number): void {
    for (let length = socket.receive(); length > 0; length = socket.receive()) {
      const bytes = socket.received;
      const at = family === 4 ? ipHeaderLength(bytes, 0) : 0;
      if (length < at + ICMP_HEADER_LEN + MARK_LEN || icmpEchoId(bytes, at) !== this.#id) continue;
      const mark = bytes.subarray(at + ICMP_HEADER_LEN, at + ICMP_HEADER_LEN + MARK_LEN);
      const waiting = this.#waiting.get(icmpEchoSeq(bytes, at));
      if (!waiting || !same(mark, this.#mark) || !same(socket.sender(), waiting.from)) continue;
      waiting.settle({ rttMs: now - waiting.sentAt });
    }
  }

  #release(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
    this.#wake?.close();
    this.#wake = undefined;
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
