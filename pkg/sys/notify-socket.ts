import { Arena } from "./arena.ts";
import { SysError } from "./errors.ts";
import * as libc from "./libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;

// struct sockaddr_un, unix(7): the family in host order, then the path.
const SUN_PATH = 2;
const SUN_PATH_LEN = 108;
const MOST = 4096;

/**
 * Sends datagrams to the unix socket that a service manager listens on, sd_notify(3). Node has no unix datagram sockets.
 * The socket is non-blocking: a manager that does not read must not stop the agent.
 */
export class NotifySocket {
  readonly #fd: number;
  readonly #arena = Arena.create(2 * MOST);
  readonly #nameAt: number;
  readonly #nameLength: number;
  readonly #textAt: number;

  /** `address` is a path, or "@" and a name in the abstract namespace. Throws a RangeError for another, or a SysError. */
  constructor(address: string) {
    const abstract = address.startsWith("@");
    const path = Buffer.from(abstract ? `\0${address.slice(1)}` : `${address}\0`);
    if (!abstract && !address.startsWith("/")) throw new RangeError(`${JSON.stringify(address)} is no unix socket`);
    if (path.length > SUN_PATH_LEN) throw new RangeError(`${JSON.stringify(address)} is too long for a unix socket`);
    this.#nameAt = this.#arena.alloc(SUN_PATH + SUN_PATH_LEN, 8);
    this.#textAt = this.#arena.alloc(MOST);
    this.#arena.u16[this.#nameAt >>> 1] = AF_UNIX;
    this.#arena.bytes.set(path, this.#nameAt + SUN_PATH);
    // An abstract name is as long as the length says, zero bytes included.
    this.#nameLength = SUN_PATH + path.length;
    this.#fd = libc.check("socket", libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }

  /** Sends one datagram, cut at 4096 bytes. Throws a SysError: EAGAIN while the manager does not read. */
  send(text: string): void {
    const { written } = new TextEncoder().encodeInto(text, this.#scratch);
    this.#arena.bytes.set(this.#scratch.subarray(0, written), this.#textAt);
    const [buf, name] = [this.#arena.address(this.#textAt), this.#arena.address(this.#nameAt)];
    const sent = libc.sendto(this.#fd, buf, written, MSG_NOSIGNAL, name, this.#nameLength);
    if (sent < 0) throw new SysError("sendto", libc.errno());
  }

  close(): void {
    libc.close(this.#fd);
  }

  // encodeInto takes no shared memory.
  readonly #scratch = new Uint8Array(MOST);
}
