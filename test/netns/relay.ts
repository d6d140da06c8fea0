// A bad wire: carries Ethernet frames between two interfaces and loses some, or lets some be overtaken. Run by a test in
// the underlay's namespace:
//   relay.ts INTERFACE INTERFACE DROP REORDER     the shares of frames, from 0 to 1
// Prints {"ready":true}, and at SIGTERM one Relayed. The interfaces must hand over frames as they are on a wire: cut to
// the MTU, with every checksum.

import koffi from "koffi";
import { seededRandom } from "../../pkg/base/backoff.ts";
import { systemClock } from "../../pkg/base/clock.ts";
import { Arena, IOVEC_LEN } from "../../pkg/sys/arena.ts";
import * as libc from "../../pkg/sys/libc.ts";
import { POLLIN, PollSet } from "../../pkg/sys/poll-set.ts";

export interface Relayed {
  readonly frames: number;
  readonly dropped: number;
  /** Frames that later ones have overtaken. */
  readonly overtaken: number;
  /** Frames longer than the MTU: the interfaces were not as they must be. */
  readonly tooLong: number;
}

// linux/if_packet.h, linux/if_ether.h
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const ETH_P_ALL = 0x0300; // 3 in network order
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const SOCKADDR_LL_LEN = 20;

const FRAME_ROOM = 2048;
const LONGEST_FRAME = 1514;
const BUFFER = 1 << 24;
// How many frames overtake one that is held back, and how long it waits where none come.
const OVERTAKING = 8;
const HOLD_MS = 5;
const TURNS_BETWEEN_SIGNALS = 64;

const ifNameToIndex = koffi.load("libc.so.6").func("uint if_nametoindex(const char *name)") as (name: string) => number;

const arena = Arena.create(1 << 20);

/** One way: frames that came in on one socket and go out on the other. */
class Way {
  readonly #in: number;
  readonly #out: number;
  readonly #iov = arena.alloc(IOVEC_LEN, 16);
  // Two places in turn: the one whose frame is held back is not read to.
  readonly #places = [arena.alloc(FRAME_ROOM, 16), arena.alloc(FRAME_ROOM, 16)] as const;
  #heldLength = 0;
  #heldAt = 0;
  #overtaking = 0;
  #heldUntil = 0;

  constructor(from: number, to: number) {
    this.#in = from;
    this.#out = to;
  }

  get holds(): boolean {
    return this.#heldLength > 0;
  }

  /** Carries one frame; false when none waits. */
  carry(): boolean {
    const at = this.#heldAt === this.#places[0] && this.holds ? this.#places[1] : this.#places[0];
    const length = libc.read(this.#in, arena.address(at), FRAME_ROOM);
    if (length <= 0) return false;
    relayed.frames++;
    if (length > LONGEST_FRAME) {
      relayed.tooLong++;
      return true;
    }
    if (random() < drop) {
      relayed.dropped++;
      return true;
    }
    if (!this.holds && random() < reorder) {
      this.#heldAt = at;
      this.#heldLength = length;
      this.#overtaking = 1 + Math.floor(random() * OVERTAKING);
      this.#heldUntil = systemClock.now() + HOLD_MS;
      return true;
    }
    this.#send(at, length);
    if (this.holds && --this.#overtaking === 0) {
      relayed.overtaken++;
      this.#release();
    }
    return true;
  }

  /** Lets a frame go that nothing has come to overtake. */
  expire(): void {
    if (this.holds && systemClock.now() >= this.#heldUntil) this.#release();
  }

  #release(): void {
    this.#send(this.#heldAt, this.#heldLength);
    this.#heldLength = 0;
  }

  // What a full queue does not take is lost, as on a wire.
  #send(at: number, length: number): void {
    arena.putIovec(this.#iov, at, length);
    libc.writev(this.#out, arena.address(this.#iov), 1);
  }
}

function openPacketSocket(name: string): number {
  const fd = libc.check("socket", libc.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0));
  const at = arena.alloc(SOCKADDR_LL_LEN, 8);
  const option = (level: number, option: number, value: number): void => {
    arena.u32[at >>> 2] = value;
    libc.check(`setsockopt ${option}`, libc.setsockopt(fd, level, option, arena.address(at), 4));
  };
  option(SOL_SOCKET, SO_RCVBUFFORCE, BUFFER);
  option(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
  arena.bytes.fill(0, at, at + SOCKADDR_LL_LEN);
  arena.u16[at >>> 1] = AF_PACKET;
  arena.u16[(at + 2) >>> 1] = ETH_P_ALL;
  arena.u32[(at + 4) >>> 2] = ifNameToIndex(name);
  libc.check(`bind to ${name}`, libc.bind(fd, arena.address(at), SOCKADDR_LL_LEN));
  return fd;
}

const [first = "", second = "", ...shares] = process.argv.slice(2);
const [drop = 0, reorder = 0] = shares.map(Number);
const random = seededRandom(1);
const relayed = { frames: 0, dropped: 0, overtaken: 0, tooLong: 0 };

const fds = [openPacketSocket(first), openPacketSocket(second)] as const;
const ways = [new Way(fds[0], fds[1]), new Way(fds[1], fds[0])] as const;
const poll = new PollSet(arena, fds);
for (const i of fds.keys()) poll.want(i, POLLIN);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
console.log(JSON.stringify({ ready: true }));
while (!stop.signal.aborted) {
  for (let turn = 0; turn < TURNS_BETWEEN_SIGNALS; turn++) {
    let carried = false;
    for (const way of ways) {
      carried = way.carry() || carried;
      way.expire();
    }
    if (!carried) poll.wait(ways.some((way) => way.holds) ? HOLD_MS : 50);
  }
  // Lets the signal in.
  await new Promise((resolve) => setImmediate(resolve));
}
const result: Relayed = relayed;
console.log(JSON.stringify(result));
