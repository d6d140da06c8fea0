import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { sleep, systemClock } from "../base/clock.ts";
import { labEnvironment } from "./environment.ts";
import { type ProcessId, processId } from "./proc.ts";

export interface DaemonOptions {
  /** What it is called in messages: "twilld on node2". */
  readonly name: string;
  /** Standard output and error are appended to this file. */
  readonly log: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** How a process ended. */
export interface Ending {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

const STOP_MS = 3000;

/** A process that runs until it is stopped. It dies with us, even where we are killed: its command line says so (pdeathsig). */
export class Daemon {
  readonly name: string;
  readonly log: string;
  readonly id: ProcessId;
  /** Fulfilled when the process has ended, by whatever cause. */
  readonly ended: Promise<Ending>;
  #ending: Ending | undefined;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, id: ProcessId, options: DaemonOptions) {
    this.name = options.name;
    this.log = options.log;
    this.id = id;
    this.#child = child;
    this.ended = new Promise((resolve) => {
      child.once("exit", (status, signal) => {
        this.#ending = { status, signal };
        resolve(this.#ending);
      });
    });
  }

  /** Starts a process in a session of its own, so that a Ctrl-C of the terminal reaches only us. */
  static async start(argv: readonly string[], options: DaemonOptions): Promise<Daemon> {
    const [program = "", ...args] = argv;
    const log = openSync(options.log, "a");
    try {
      const child = spawn(program, args, {
        detached: true,
        env: labEnvironment(options.env),
        stdio: ["ignore", log, log],
      });
      await new Promise<void>((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", (cause) => reject(new Error(`cannot start ${options.name}`, { cause })));
      });
      const id = child.pid === undefined ? undefined : processId(child.pid);
      // One that has ended before we could look is told like any other: by its ending.
      return new Daemon(child, id ?? { pid: child.pid ?? -1, start: -1 }, options);
    } finally {
      closeSync(log);
    }
  }

  get pid(): number {
    return this.id.pid;
  }

  get running(): boolean {
    return this.#ending === undefined;
  }

  /** How it ended; undefined while it runs. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM, and SIGKILL to one that has not ended `patience` milliseconds later. Returns how it ended. */
  async stop(patience = STOP_MS): Promise<Ending> {
    // A stopped process (SIGSTOP) would sleep through the SIGTERM.
    this.signal("SIGCONT");
    this.signal("SIGTERM");
    const done = new AbortController();
    void this.ended.then(() => done.abort());
    await sleep(systemClock, patience, done.signal);
    return this.kill();
  }

  /** SIGKILL, as a crash would end it. */
  kill(): Promise<Ending> {
    if (this.running) this.signal("SIGKILL");
    return this.ended;
  }

  /** The last lines of its log. */
  tail(lines = 8): string[] {
    return readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-lines);
  }

  /** "ended with status 1" or "was ended by SIGKILL". */
  describeEnding(): string {
    if (!this.#ending) return "is running";
    const { status, signal } = this.#ending;
    return signal ? `was ended by ${signal}` : `ended with status ${status}`;
  }
}
