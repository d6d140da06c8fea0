import { type Arena, IOVEC_LEN } from "../sys/arena.ts";
import { EBADFD, EINVAL } from "../sys/errors.ts";
import type { Device } from "./device.ts";

/** The twin of LinuxTun for tests: what the loop reads was put in by `inject`, what it writes lies in `written`. */
export class MemoryTun implements Device {
  readonly name: string;
  readonly fd = -1;
  /** Whole writes, each with its virtio-net header in front. */
  readonly written: Uint8Array[] = [];
  /** When set, writes fail with this errno. */
  failWrites = 0;
  /** Frames that the kernel is to know nothing of: their writes fail with EINVAL. */
  refuses: ((frame: Uint8Array) => boolean) | undefined;
  readonly #arena: Arena;
  readonly #waiting: Uint8Array[] = [];
  #closed = false;

  constructor(arena: Arena, name = "memory") {
    this.#arena = arena;
    this.name = name;
  }

  /** Queues a packet, with its virtio-net header in front, as if the kernel had routed it to the device. */
  inject(frame: Uint8Array): void {
    this.#waiting.push(frame.slice());
  }

  read(at: number, room: number): number {
    if (this.#closed) return -EBADFD;
    const frame = this.#waiting.shift();
    if (!frame) return 0;
    // A read that is too short loses the rest of the packet (drivers/net/tun.c, tun_put_user).
    const kept = frame.subarray(0, room);
    this.#arena.bytes.set(kept, at);
    return kept.length;
  }

  write(iov: number, count: number): number {
    if (this.#closed) return -EBADFD;
    if (this.failWrites !== 0) return -this.failWrites;
    const parts: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const [target, length] = this.#arena.iovec(iov + i * IOVEC_LEN);
      parts.push(this.#arena.bytes.subarray(target, target + length));
    }
    const frame = new Uint8Array(Buffer.concat(parts));
    if (this.refuses?.(frame)) return -EINVAL;
    this.written.push(frame);
    return frame.length;
  }

  close(): void {
    this.#closed = true;
  }
}
