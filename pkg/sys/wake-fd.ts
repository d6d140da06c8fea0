import { writeSync } from "node:fs";
import { type Arena } from "./arena.ts";
import * as libc from "./libc.ts";

const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/**
 * Wakes a thread that sleeps in poll(2), eventfd(2). The packet loop has no event loop while it sleeps, and
 * process.exit waits for it, so without this a stop takes until the next packet.
 */
export class WakeFd {
  readonly fd: number;

  constructor() {
    this.fd = libc.check("eventfd", libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  }

  /** Wakes the sleeper. From any thread. */
  wake(): void {
    writeSync(this.fd, ONE);
  }

  close(): void {
    libc.close(this.fd);
  }
}

/** Takes the wake-ups that have come, so that the next poll sleeps again. `scratch` is 8 bytes of the arena. */
export function drainWakeFd(fd: number, arena: Arena, scratch: number): void {
  libc.read(fd, arena.address(scratch), 8);
}
