import type { Arena } from "../sys/arena.ts";
import { EAGAIN } from "../sys/errors.ts";
import * as libc from "../sys/libc.ts";
import type { Device } from "./device.ts";

/** A TUN device of this host's kernel, on a file descriptor from sys/tun-device.ts. */
export class LinuxTun implements Device {
  readonly name: string;
  readonly fd: number;
  readonly #arena: Arena;

  constructor(arena: Arena, name: string, fd: number) {
    this.#arena = arena;
    this.name = name;
    this.fd = fd;
  }

  /** HOT PATH */
  read(at: number, room: number): number {
    const n = libc.read(this.fd, this.#arena.address(at), room);
    if (n >= 0) return n;
    const errno = libc.errno();
    return errno === EAGAIN ? 0 : -errno;
  }

  /** HOT PATH */
  write(iov: number, count: number): number {
    const n = libc.writev(this.fd, this.#arena.address(iov), count);
    return n >= 0 ? n : -libc.errno();
  }

  close(): void {
    libc.close(this.fd);
  }
}
