import { type Arena, IOVEC_LEN } from "../../../pkg/sys/arena.ts";

// struct msghdr (56 bytes) and unsigned int msg_len, padded: sendmmsg(2) on 64-bit Linux.
const MMSGHDR_LEN = 64;
const MSG_NAMELEN = 8;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_LEN = 56;

/** A vector of datagrams of one size for sendmmsg(2) and recvmmsg(2), one buffer each. */
export class DatagramBatch {
  readonly count: number;
  /** Place of the vector in the arena. */
  readonly at: number;
  readonly #arena: Arena;
  readonly #buffers: number[] = [];

  /** `name`, the place of a sockaddr, makes them go there; without it the sender's address is not asked for. */
  constructor(arena: Arena, count: number, size: number, name?: { readonly at: number; readonly length: number }) {
    this.#arena = arena;
    this.count = count;
    this.at = arena.alloc(count * MMSGHDR_LEN);
    const iov = arena.alloc(count * IOVEC_LEN);
    for (let i = 0; i < count; i++) {
      const header = this.at + i * MMSGHDR_LEN;
      const buffer = arena.alloc(size);
      this.#buffers.push(buffer);
      arena.putIovec(iov + i * IOVEC_LEN, buffer, size);
      if (name) {
        arena.putPointer(header, name.at);
        arena.u32[(header + MSG_NAMELEN) >>> 2] = name.length;
      }
      arena.putPointer(header + MSG_IOV, iov + i * IOVEC_LEN);
      arena.u32[(header + MSG_IOVLEN) >>> 2] = 1;
    }
  }

  /** Makes all of them hold these bytes. */
  fill(bytes: Uint8Array): void {
    for (const buffer of this.#buffers) this.#arena.bytes.set(bytes, buffer);
  }

  /** The length of the `i`th datagram that the last call received. */
  length(i: number): number {
    return this.#arena.u32[(this.at + i * MMSGHDR_LEN + MSG_LEN) >>> 2] as number;
  }
}
