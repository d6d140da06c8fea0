import type { AgentClient } from "../api/client.ts";
import type { PeerProbe } from "../api/probe.ts";
import { requireAgent } from "../api/reach.ts";
import type { PeerStatus, Status } from "../api/status.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";

const LOOK_MS = 1000;
// It answers from memory; a person should not wait longer to see that it hangs.
const TIMEOUT_MS = 2000;

/** What an agent said at one time. */
export interface Look {
  /** On the clock that never jumps. */
  readonly at: number;
  readonly status: Status;
  readonly peers: ReadonlyMap<string, PeerStatus>;
  readonly probes: ReadonlyMap<string, PeerProbe>;
}

export interface AgentLine {
  readonly sequence: number;
  /** A JSON object. */
  readonly text: string;
}

/** What is known of one agent: the last two looks at it, and whether it still answers. */
export interface Seen {
  readonly socket: string;
  readonly last: Look | undefined;
  readonly before: Look | undefined;
  readonly answers: boolean;
  /** Since when it has been as it is now, in milliseconds since 1970. */
  readonly since: number;
  /** Why it does not answer. */
  readonly error: string;
}

/** Asks one agent again and again. */
export class AgentView implements Seen {
  readonly socket: string;
  last: Look | undefined;
  before: Look | undefined;
  answers = false;
  since: number;
  error = "not asked yet";
  readonly #clock: Clock;
  readonly #onLines: (view: AgentView, lines: readonly AgentLine[]) => void;
  #client: AgentClient | undefined;
  #logged = 0;

  constructor(
    socket: string,
    clock: Clock,
    onLines: (view: AgentView, lines: readonly AgentLine[]) => void = () => undefined,
  ) {
    this.socket = socket;
    this.#clock = clock;
    this.#onLines = onLines;
    this.since = clock.wall();
  }

  /** Asks it every second until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#clock, LOOK_MS, signal);
      if (!signal.aborted) await this.look();
    }
    this.close();
  }

  /** Asks it once. That it does not answer is told by `answers` and `error`. */
  async look(): Promise<void> {
    try {
      const client = await this.#connect();
      const [status, probes] = await Promise.all([client.status(), client.probes()]);
      if (status.startedAt !== this.last?.status.startedAt) {
        // Another process: it counts its packets and numbers its lines from the beginning.
        this.before = this.last = undefined;
        this.#logged = 0;
      }
      const lines = await client.logs(this.#logged);
      this.#logged = lines.at(-1)?.sequence ?? this.#logged;
      this.before = this.last;
      this.last = {
        at: this.#clock.now(),
        status,
        peers: new Map(status.peers.map((peer) => [peer.lease.key, peer])),
        probes: new Map(probes.map((probe) => [probe.key, probe])),
      };
      this.#note(true, "");
      if (lines.length > 0) this.#onLines(this, lines);
    } catch (error) {
      // A connection to a socket that is gone would not find the one that comes in its place.
      this.close();
      this.#note(false, describeError(error));
    }
  }

  /** Gives the connection up; the next look makes another one. */
  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  async #connect(): Promise<AgentClient> {
    if (this.#client) return this.#client;
    await requireAgent(this.socket);
    const { AgentClient } = await import("../api/client.ts");
    this.#client = await AgentClient.connect(this.socket, TIMEOUT_MS);
    return this.#client;
  }

  #note(answers: boolean, error: string): void {
    if (answers !== this.answers) this.since = this.#clock.wall();
    this.answers = answers;
    this.error = error;
  }
}
