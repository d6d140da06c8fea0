import { type Addr, addrBytes, addrFromBytes, formatAddr } from "../addr/addr.ts";
import { type Arena, IOVEC_LEN } from "../sys/arena.ts";
import { SOCKADDR_ADDR } from "../sys/udp-socket.ts";
import type { Bind, TxRun } from "./bind.ts";
import { RxTable } from "./rx-table.ts";

interface Datagram {
  readonly from: Addr;
  readonly bytes: Uint8Array;
  readonly tos: number;
  /** When several datagrams arrive joined, as with UDP_GRO: the length of each but the last. */
  readonly partLength?: number;
}

/** A network in memory that MemoryBinds meet on. */
export class MemoryUnderlay {
  readonly #binds = new Map<string, MemoryBind>();

  bind(arena: Arena, addr: Addr, port: number): MemoryBind {
    const bind = new MemoryBind(arena, this, addr, port);
    this.#binds.set(key(addr, port), bind);
    return bind;
  }

  /** Delivers a datagram as if `from` had sent it. Lost when nobody is bound there. */
  deliver(to: Addr, port: number, datagram: Datagram): void {
    this.#binds.get(key(to, port))?.waiting.push(datagram);
  }

  remove(addr: Addr, port: number): void {
    this.#binds.delete(key(addr, port));
  }
}

/** The twin of UdpBind for tests. */
export class MemoryBind implements Bind {
  readonly port: number;
  readonly fds: readonly number[] = [];
  readonly fullFd = -1;
  readonly maxRun = 64;
  readonly rx: RxTable;
  readonly lost = 0;
  readonly lostErrno = 0;
  readonly waiting: Datagram[] = [];
  /** Datagrams that may still be sent until the socket counts as full; lower it to test back-pressure. */
  credit = Number.POSITIVE_INFINITY;

  readonly #arena: Arena;
  readonly #network: MemoryUnderlay;
  readonly #addr: Addr;

  constructor(arena: Arena, network: MemoryUnderlay, addr: Addr, port: number) {
    this.#arena = arena;
    this.#network = network;
    this.#addr = addr;
    this.port = port;
    this.rx = new RxTable(arena, 16);
  }

  recv(): number {
    const { rx } = this;
    let row = 0;
    while (row < rx.capacity) {
      const datagram = this.waiting.shift();
      if (!datagram) break;
      this.#arena.bytes.set(datagram.bytes, rx.at[row]);
      this.#arena.bytes.set(addrBytes(datagram.from), rx.from[row]);
      rx.family[row] = datagram.from.family;
      rx.length[row] = datagram.bytes.length;
      rx.partLength[row] = datagram.partLength ?? 0;
      rx.tos[row] = datagram.tos;
      row++;
    }
    return row;
  }

  send(run: TxRun): number {
    const { bytes } = this.#arena;
    const to = run.to + SOCKADDR_ADDR[run.family];
    const addr = addrFromBytes(bytes.slice(to, to + (run.family === 4 ? 4 : 16)));
    const port = ((bytes[run.to + 2] as number) << 8) | (bytes[run.to + 3] as number);
    let done = 0;
    for (; done < run.datagrams && this.credit > 0; done++, this.credit--) {
      const parts: number[] = [];
      for (let i = 0; i < run.iovPerDatagram; i++) {
        const [at, length] = this.#arena.iovec(run.iov + (done * run.iovPerDatagram + i) * IOVEC_LEN);
        parts.push(...bytes.subarray(at, at + length));
      }
      this.#network.deliver(addr, port, { from: this.#addr, bytes: Uint8Array.from(parts), tos: run.tos });
    }
    return done;
  }

  close(): void {
    this.#network.remove(this.#addr, this.port);
  }
}

function key(addr: Addr, port: number): string {
  return `${formatAddr(addr)} ${port}`;
}
