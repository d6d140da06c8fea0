import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Daemon } from "../../pkg/lab/daemon.ts";
import { until } from "../until.ts";
import { compiled } from "./compiled.ts";
import type { Received, Sent } from "./datagrams.ts";
import type { End } from "./tcp.ts";

const PROGRAM = join(import.meta.dirname, "datagrams.ts");

let nextPort = 30_000;

/** Numbered datagrams (datagrams.ts) on their way from one pod to another. */
export class DatagramFlow {
  readonly #from: End;
  readonly #to: End;
  readonly #port: number;
  readonly #receiver: Daemon;
  #flood: Daemon | undefined;

  private constructor(from: End, to: End, port: number, receiver: Daemon) {
    this.#from = from;
    this.#to = to;
    this.#port = port;
    this.#receiver = receiver;
  }

  /** Starts the receiver. */
  static async open(from: End, to: End, directory: string): Promise<DatagramFlow> {
    const port = nextPort++;
    const receiver = await to.netns.start([process.execPath, compiled(PROGRAM), "receive", to.address, String(port)], {
      name: `the receiver on port ${port}`,
      log: join(directory, `datagrams-${port}.log`),
    });
    await line(receiver, 0);
    return new DatagramFlow(from, to, port, receiver);
  }

  /** Sends every round of the plan, each when the one before has arrived. */
  async sendRounds(): Promise<Sent> {
    const { stdout } = await this.#from.netns.run(this.#command("send"));
    return JSON.parse(stdout) as Sent;
  }

  /** Sends as many as the socket takes until `end`. */
  async flood(directory: string): Promise<void> {
    const options = { name: `the flood on port ${this.#port}`, log: join(directory, `flood-${this.#port}.log`) };
    this.#flood = await this.#from.netns.start(this.#command("flood"), options);
  }

  /** Ends the flood. */
  async stopFlood(): Promise<void> {
    await this.#flood?.kill();
  }

  /** Ends it without asking what came. */
  async kill(): Promise<void> {
    await this.stopFlood();
    await this.#receiver.kill();
  }

  /**
   * Ends it and tells what came. The receiver answers once: a flood the other way has to be stopped before, or its queue
   * may drop that answer.
   */
  async end(): Promise<Received> {
    await this.stopFlood();
    await this.#from.netns.run(this.#command("end"));
    return JSON.parse(await line(this.#receiver, 1)) as Received;
  }

  #command(mode: string): string[] {
    return [process.execPath, compiled(PROGRAM), mode, this.#from.address, this.#to.address, String(this.#port)];
  }
}

async function line(daemon: Daemon, i: number): Promise<string> {
  let found: string | undefined;
  await until(() => {
    found = readFileSync(daemon.log, "utf8").split("\n").slice(0, -1)[i];
    if (found === undefined && !daemon.running) {
      throw new Error(`${daemon.name} ${daemon.describeEnding()}: ${daemon.tail(3).join("; ")}`);
    }
    return found !== undefined;
  });
  return found ?? "";
}
