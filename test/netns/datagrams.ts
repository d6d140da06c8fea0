// Numbered datagrams from pod to pod, each of a length and with a content that follow from its number, so that the receiver
// knows what should have come. Run by a test in a namespace; both ends use one port:
//   datagrams.ts receive ADDRESS PORT        prints {"listening":true}, at the end one Received
//   datagrams.ts send SOURCE ADDRESS PORT    every round of ROUNDS, each when the one before has arrived; prints one Sent
//   datagrams.ts flood SOURCE ADDRESS PORT   as many as the socket takes, until it is killed
//   datagrams.ts end SOURCE ADDRESS PORT     tells the receiver to end

import { addrBytes, type Addr, parseAddr } from "../../pkg/addr/addr.ts";
import { systemClock } from "../../pkg/base/clock.ts";
import { Arena, IOVEC_LEN } from "../../pkg/sys/arena.ts";
import { POLLIN, POLLOUT, PollSet } from "../../pkg/sys/poll-set.ts";
import { openUdp, putSockaddr, SOCKADDR_LEN } from "../../pkg/sys/udp-socket.ts";
import { UdpBind } from "../../pkg/underlay/udp-bind.ts";

export interface Sent {
  /** Whether the kernel took runs in one buffer to cut them itself (UDP_SEGMENT). */
  readonly segmented: boolean;
  /** Rounds that had not arrived whole after a while. */
  readonly incomplete: number;
}

export interface Received {
  /** How many different ones came, and the highest number among them. */
  readonly datagrams: number;
  readonly last: number;
  /** Of another length or content than their number says. */
  readonly bad: number;
  readonly twice: number;
}

/** Datagrams that are sent without waiting for an answer, in this order. */
interface Round {
  readonly first: number;
  readonly lengths: readonly number[];
  /** As one buffer that the kernel cuts. All but the last have one length then. */
  readonly segment: boolean;
}

// What fits both families' packets uncut on an underlay of 1500, and what does not.
const SIZES = [5, 8, 64, 65, 500, 777, 1200, 1371, 1382];
const FRAGMENTED = [1403, 1473, 2000, 3000, 8000, 20_000, 60_000];
const MIXED = 8;
const RUN_BYTES = 65_000;
const RUN_COUNT = 64;

const END = 0xffff_ffff;
const ARENA_LEN = 1 << 23;
const BUFFER = 1 << 22;
const FLOOD_RUN = 32;
const RUN_ROOM = 1 << 19;
const ANSWER_MS = 5000;

export const ROUNDS: readonly Round[] = makeRounds();
export const DATAGRAMS = ROUNDS.reduce((sum, { lengths }) => sum + lengths.length, 0);
const LENGTHS = ROUNDS.flatMap(({ lengths }) => lengths);

function makeRounds(): Round[] {
  const rounds: Round[] = [];
  let first = 0;
  const add = (lengths: number[], segment = false): void => {
    rounds.push({ first, lengths, segment });
    first += lengths.length;
  };
  for (const size of SIZES) {
    const count = Math.min(RUN_COUNT, Math.floor(RUN_BYTES / size));
    for (const segment of [true, false]) {
      // The last one shorter, then all alike.
      for (const last of [5, size]) add([...Array<number>(count - 1).fill(size), last], segment);
    }
  }
  for (let i = 0; i < MIXED; i++) {
    add(Array.from({ length: RUN_COUNT }, (_, k) => 5 + (((i * RUN_COUNT + k) * 7919) % 1378)));
  }
  for (const size of FRAGMENTED) add([size, size, 64, size]);
  return rounds;
}

/** The length of the `i`th datagram; those behind the last round begin anew. */
function lengthOf(i: number): number {
  return LENGTHS[i % LENGTHS.length] as number;
}

// A datagram begins with its number; what follows differs from place to place and from one datagram to the next.
function fill(bytes: Uint8Array, at: number, length: number, i: number): void {
  for (let k = 0; k < 4; k++) bytes[at + k] = i >>> (8 * k);
  for (let k = 4; k < length; k++) bytes[at + k] = content(i, k);
}

function content(i: number, k: number): number {
  return (i * 167 + k * 31 + (k >>> 8) * 7) & 0xff;
}

/** A socket with its place for one run. */
class Socket {
  readonly arena = Arena.create(ARENA_LEN);
  readonly bind: UdpBind;
  readonly #poll: PollSet;
  readonly #family: Addr["family"];
  readonly #name: number;
  readonly #iov: number;
  readonly #at: number;

  constructor(source: string, port: number) {
    const addr = parse(source);
    const { fd } = openUdp(addr.family, addrBytes(addr), port, { rcvbuf: BUFFER, sndbuf: BUFFER });
    this.#family = addr.family;
    this.bind = new UdpBind(this.arena, { [addr.family]: fd }, port, true);
    this.#name = this.arena.alloc(SOCKADDR_LEN[6], 8);
    this.#iov = this.arena.alloc(RUN_COUNT * IOVEC_LEN, 16);
    this.#at = this.arena.alloc(RUN_ROOM);
    this.#poll = new PollSet(this.arena, [fd]);
  }

  sendTo(addr: Uint8Array): void {
    putSockaddr(this.arena, this.#name, this.#family, addr, this.bind.port);
  }

  send(first: number, lengths: readonly number[]): void {
    let at = this.#at;
    for (const [k, length] of lengths.entries()) {
      fill(this.arena.bytes, at, length, first + k);
      this.arena.putIovec(this.#iov + k * IOVEC_LEN, at, length);
      at += length;
    }
    const total = at - this.#at;
    const count = lengths.length;
    const run = { family: this.#family, to: this.#name, iov: this.#iov, iovCount: count, iovPerDatagram: 1 };
    for (let done = 0; done < count;) {
      const left = { datagrams: count - done, length: lengths[0] ?? 0, total, tos: 0 };
      done += this.bind.send({ ...run, ...left, iov: this.#iov + done * IOVEC_LEN, iovCount: count - done });
      if (done < count) this.wait(POLLOUT, ANSWER_MS);
    }
  }

  /** Whether it became so. */
  wait(events: number, ms: number): boolean {
    this.#poll.want(0, events);
    return this.#poll.wait(ms) > 0;
  }
}

function parse(text: string): Addr {
  const addr = parseAddr(text);
  if (!addr) throw new Error(`no address: ${text}`);
  return addr;
}

function receive(address: string, port: number): Received {
  const socket = new Socket(address, port);
  const { bind, arena } = socket;
  const addrLength = addrBytes(parse(address)).length;
  const seen = new Set<number>();
  const left = ROUNDS.map(({ lengths }) => lengths.length);
  const roundOf = ROUNDS.flatMap(({ lengths }, round) => lengths.map(() => round));
  let [last, bad, twice] = [-1, 0, 0];
  console.log(JSON.stringify({ listening: true }));
  for (;;) {
    const rows = bind.recv();
    if (rows < 0) throw new Error(`recvmmsg: errno ${-rows}`);
    if (rows === 0) socket.wait(POLLIN, 1000);
    for (let row = 0; row < rows; row++) {
      const at = bind.rx.at[row] as number;
      const from = bind.rx.from[row] as number;
      socket.sendTo(arena.bytes.slice(from, from + addrLength));
      const i = new DataView(arena.bytes.buffer, at).getUint32(0, true);
      if (i === END) {
        socket.send(END, [4]);
        return { datagrams: seen.size, last, bad, twice };
      }
      if (!isIntact(arena.bytes, at, bind.rx.length[row] as number, i)) bad++;
      else if (seen.has(i)) twice++;
      else {
        seen.add(i);
        last = Math.max(last, i);
        const round = roundOf[i];
        // The whole round has come.
        if (round !== undefined && --(left[round] as number) === 0) socket.send(round, [4]);
      }
    }
  }
}

function isIntact(bytes: Uint8Array, at: number, length: number, i: number): boolean {
  if (length !== lengthOf(i)) return false;
  for (let k = 4; k < length; k++) if (bytes[at + k] !== content(i, k)) return false;
  return true;
}

function sendRounds(socket: Socket): Sent {
  let incomplete = 0;
  let segmented = true;
  for (const [round, { first, lengths, segment }] of ROUNDS.entries()) {
    if (segment) {
      socket.bind.segment = true;
      socket.send(first, lengths);
      segmented &&= socket.bind.segment;
    } else {
      socket.bind.segment = false;
      socket.send(first, lengths);
    }
    if (!answered(socket, round)) incomplete++;
  }
  return { segmented, incomplete };
}

function answered(socket: Socket, number: number): boolean {
  const end = systemClock.now() + ANSWER_MS;
  for (let now = 0; now < end; now = systemClock.now()) {
    const rows = socket.bind.recv();
    for (let row = 0; row < rows; row++) {
      const at = socket.bind.rx.at[row] as number;
      if (new DataView(socket.arena.bytes.buffer, at).getUint32(0, true) === number) return true;
    }
    if (rows === 0) socket.wait(POLLIN, 100);
  }
  return false;
}

function flood(socket: Socket): never {
  socket.bind.segment = false;
  for (let first = 0; ; first += FLOOD_RUN) {
    socket.send(
      first,
      Array.from({ length: FLOOD_RUN }, (_, k) => lengthOf(first + k)),
    );
  }
}

function end(socket: Socket): void {
  for (let tries = 0; tries < 10; tries++) {
    socket.send(END, [4]);
    if (answered(socket, END)) return;
  }
  throw new Error("the receiver does not answer");
}

if (import.meta.main) {
  const [mode, source = "", ...rest] = process.argv.slice(2);
  if (mode === "receive") console.log(JSON.stringify(receive(source, Number(rest[0]))));
  else {
    // The end comes from a socket of its own.
    const port = Number(rest[1]);
    const socket = new Socket(source, port);
    socket.sendTo(addrBytes(parse(rest[0] ?? "")));
    if (mode === "send") console.log(JSON.stringify(sendRounds(socket)));
    else if (mode === "flood") flood(socket);
    else end(socket);
  }
}
