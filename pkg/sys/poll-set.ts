import { type Arena } from "./arena.ts";
import { EINTR } from "./errors.ts";
import * as libc from "./libc.ts";

export const POLLIN = 0x001;
export const POLLOUT = 0x004;
export const POLLERR = 0x008;
export const POLLHUP = 0x010;
export const POLLNVAL = 0x020;

const POLLFD_LEN = 8; // int fd, short events, short revents

/** File descriptors to sleep on, poll(2). */
export class PollSet {
  readonly #arena: Arena;
  readonly #at: number;
  readonly #count: number;

  constructor(arena: Arena, fds: readonly number[]) {
    this.#arena = arena;
    this.#count = fds.length;
    this.#at = arena.alloc(Math.max(1, fds.length) * POLLFD_LEN, 8);
    for (const [i, fd] of fds.entries()) arena.i32[(this.#at >>> 2) + i * 2] = fd;
  }

  /** What to wait for on the `i`th descriptor: POLLIN, POLLOUT, both, or 0 for nothing. HOT PATH. */
  want(i: number, events: number): void {
    this.#arena.u16[(this.#at + i * POLLFD_LEN + 4) >>> 1] = events;
  }

  /** What the last wait saw on the `i`th descriptor. HOT PATH. */
  ready(i: number): number {
    return this.#arena.u16[(this.#at + i * POLLFD_LEN + 6) >>> 1] as number;
  }

  /** Sleeps until one is ready or `timeoutMs` have passed. Returns how many are, or a negative errno. HOT PATH. */
  wait(timeoutMs: number): number {
    const n = libc.poll(this.#arena.address(this.#at), this.#count, timeoutMs);
    if (n >= 0) return n;
    const errno = libc.errno();
    return errno === EINTR ? 0 : -errno;
  }

  /**
   * Looks at most `looks` times without sleeping, and lets whoever else wants the processor run after each look that
   * finds nothing. Returns whether one is ready. HOT PATH.
   */
  glance(looks: number): boolean {
    for (let i = 0; i < looks; i++) {
      if (this.wait(0) > 0) return true;
      libc.schedYield();
    }
    return false;
  }

  /** The same as wait, on another thread, for a caller that has an event loop to keep turning. */
  async waitAside(timeoutMs: number): Promise<void> {
    await libc.pollAsync(this.#arena.address(this.#at), this.#count, timeoutMs);
  }
}
