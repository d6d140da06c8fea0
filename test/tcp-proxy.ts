import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** One client's way to a server, with the faults of a network: see the methods. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  /** How often `resetAfter` has struck. */
  resets = 0;
  readonly #server: Server;
  readonly #target: number;
  readonly #pairs = new Set<readonly [client: Socket, server: Socket]>();
  readonly #stranded = new WeakSet<readonly [client: Socket, server: Socket]>();
  #refuses = false;
  #silent = { up: false, down: false };
  #left = Infinity;
  #delayMs = 0;

  private constructor(server: Server, port: number, target: number) {
    this.#server = server;
    this.port = port;
    this.#target = target;
    server.on("connection", (client) => this.#join(client));
  }

  /** A proxy on a free port of the loopback, to port `target` there. */
  static async to(target: number): Promise<TcpProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (typeof address !== "object" || !address) throw new Error("the proxy has no port");
    return new TcpProxy(server, address.port, target);
  }

  /** Resets every connection. */
  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
    this.#pairs.clear();
  }

  /** Resets every connection, the new ones too. */
  refuse(): void {
    this.#refuses = true;
    this.reset();
  }

  /** Lets nothing through any more, without closing anything: a cable pulled, a firewall that drops. */
  blackHole(): void {
    this.#silent = { up: true, down: true };
  }

  /** Lets requests through and loses the replies. */
  loseReplies(): void {
    this.#silent = { up: false, down: true };
  }

  /** Lets nothing through any more on what is open now; new connections work. A firewall that has forgotten them. */
  strand(): void {
    for (const pair of this.#pairs) this.#stranded.add(pair);
  }

  /** Holds back what the server says for so many milliseconds. */
  slow(ms: number): void {
    this.#delayMs = ms;
  }

  /** Resets every connection, once, when so many more bytes have come from the server. */
  resetAfter(bytes: number): void {
    this.#left = bytes;
  }

  /** Ends all faults. What was lost in a black hole stays lost, so its connections are reset. */
  heal(): void {
    if (this.#silent.down) this.reset();
    this.#silent = { up: false, down: false };
    this.#refuses = false;
    this.#left = Infinity;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refuse();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket): void {
    if (this.#refuses) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#target, "127.0.0.1");
    const pair = [client, server] as const;
    let slowed = false;
    let held = Promise.resolve();
    this.#pairs.add(pair);
    client.on("data", (bytes) => void (this.#silent.up || this.#stranded.has(pair) || server.write(bytes)));
    server.on("data", (bytes) => {
      this.#left -= bytes.length;
      if (this.#left < 0) {
        this.#left = Infinity;
        this.resets += 1;
        this.reset();
      } else if (!this.#silent.down && !this.#stranded.has(pair)) {
        if (this.#delayMs === 0 && !slowed) return void client.write(bytes);
        slowed = true;
        const due = performance.now() + this.#delayMs;
        // One after the other: where the delay gets shorter, later bytes must not overtake.
        held = held.then(() => delay(Math.max(0, due - performance.now()))).then(() => void client.write(bytes));
      }
    });
    for (const socket of pair) {
      socket.on("error", () => {}); // "close" follows
      socket.on("close", () => {
        this.#pairs.delete(pair);
        // A black hole swallows the news of the other side's end as well.
        if (!this.#silent.down) for (const other of pair) other.destroy();
      });
    }
  }
}
