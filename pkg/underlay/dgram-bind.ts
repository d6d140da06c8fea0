import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type Addr, addrBytes, addrFromBytes, formatAddr, parseAddr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import { type Arena, IOVEC_LEN } from "../sys/arena.ts";
import { ENOBUFS, SysError } from "../sys/errors.ts";
import { SOCKADDR_ADDR } from "../sys/udp-socket.ts";
import type { Bind, TxRun } from "./bind.ts";
import { RxTable } from "./rx-table.ts";

const MAX_RUN = 64;
const MAX_WAITING = 4096;
// Node keeps what the socket does not take, without bound and without a word (dgram, socket.getSendQueueSize).
const MAX_QUEUED = 4 * 1024 * 1024;

/**
 * UDP through node:dgram, one datagram per call, every payload copied: the plain reference that UdpBind is compared
 * with, and what is left where the batch calls are forbidden (a seccomp filter without recvmmsg). It knows no traffic
 * classes. Needs an event loop: `onReadable` is called when datagrams wait.
 */
export class DgramBind implements Bind {
  readonly port: number;
  readonly fds: readonly number[] = [];
  readonly fullFd = -1;
  readonly maxRun = MAX_RUN;
  readonly rx: RxTable;
  lost = 0;
  lostErrno = 0;
  onReadable: () => void = () => {};

  readonly #arena: Arena;
  readonly #sockets: ReadonlyMap<Family, Socket>;
  readonly #waiting: { readonly from: Addr; readonly bytes: Uint8Array }[] = [];

  private constructor(arena: Arena, sockets: ReadonlyMap<Family, Socket>, port: number) {
    this.#arena = arena;
    this.#sockets = sockets;
    this.port = port;
    this.rx = new RxTable(arena, 16);
    for (const socket of sockets.values()) {
      socket.on("message", (bytes, { address }) => {
        const from = parseAddr(address);
        // As a socket's buffer does, a full queue loses what comes last.
        if (!from || this.#waiting.length === MAX_WAITING) return;
        this.#waiting.push({ from, bytes });
        this.onReadable();
      });
      // What cannot be sent is reported per datagram; nothing else concerns a bound socket.
      socket.on("error", (error: NodeJS.ErrnoException) => this.#lose(error));
    }
  }

  /** Binds to each address, all on one port (0: any). Rejects with Node's error: EADDRINUSE, EADDRNOTAVAIL, EACCES. */
  static async open(arena: Arena, addrs: readonly Addr[], port: number): Promise<DgramBind> {
    const sockets = new Map<Family, Socket>();
    let bound = port;
    try {
      for (const addr of addrs) {
        const socket = createSocket({ type: addr.family === 4 ? "udp4" : "udp6", ipv6Only: addr.family === 6 });
        sockets.set(addr.family, socket);
        socket.bind(bound, formatAddr(addr));
        await once(socket, "listening");
        bound = socket.address().port;
      }
    } catch (error) {
      for (const socket of sockets.values()) socket.close();
      throw error;
    }
    return new DgramBind(arena, sockets, bound);
  }

  recv(): number {
    const { rx } = this;
    const { bytes } = this.#arena;
    let row = 0;
    while (row < rx.capacity) {
      const datagram = this.#waiting.shift();
      if (!datagram) break;
      bytes.set(datagram.bytes, rx.at[row]);
      bytes.set(addrBytes(datagram.from), rx.from[row]);
      rx.family[row] = datagram.from.family;
      rx.length[row] = datagram.bytes.length;
      rx.partLength[row] = 0;
      rx.tos[row] = 0;
      row++;
    }
    return row;
  }

  send(run: TxRun): number {
    const { bytes } = this.#arena;
    const socket = this.#sockets.get(run.family);
    const to = run.to + SOCKADDR_ADDR[run.family];
    const address = formatAddr(addrFromBytes(bytes.slice(to, to + (run.family === 4 ? 4 : 16))));
    const port = ((bytes[run.to + 2] as number) << 8) | (bytes[run.to + 3] as number);
    for (let i = 0; i < run.datagrams; i++) {
      const parts: Uint8Array[] = [];
      for (let k = 0; k < run.iovPerDatagram; k++) {
        const [at, length] = this.#arena.iovec(run.iov + (i * run.iovPerDatagram + k) * IOVEC_LEN);
        parts.push(bytes.slice(at, at + length));
      }
      if (!socket) this.lost++;
      else if (socket.getSendQueueSize() > MAX_QUEUED) this.#lose(new SysError("send", ENOBUFS));
      else socket.send(parts, port, address, (error) => error && this.#lose(error));
    }
    return run.datagrams;
  }

  #lose(error: NodeJS.ErrnoException): void {
    this.lost++;
    this.lostErrno = Math.abs(error.errno ?? 0);
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
  }
}
