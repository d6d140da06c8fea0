import { Backoff, type Random } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { NetworkConfig } from "../subnet/network-config.ts";
import { formatNetworkConfig } from "./network-text.ts";
import type { Overlay } from "./overlay.ts";

export interface ReopeningParts {
  readonly overlay: Overlay;
  /** Called when the data plane is open, and when `problem` has changed. */
  readonly changed: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const RETRY_MS = { first: 1_000, most: 30_000 };

/**
 * The data plane of the last run, which is being opened while etcd is asked what the network is now: etcd may name one
 * that this host can do where it can no longer do the other.
 */
export class Reopening {
  /** Why it cannot be opened: one sentence. */
  problem: string | undefined;
  readonly #parts: ReopeningParts;
  readonly #network: NetworkConfig;
  readonly #answered = new AbortController();
  readonly #dropped = new AbortController();
  readonly #done: Promise<void>;

  /** Begins, and goes on until it is open, `end` is called or `signal` aborts. */
  constructor(network: NetworkConfig, parts: ReopeningParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#network = network;
    this.#done = this.#run(AbortSignal.any([signal, this.#dropped.signal]));
  }

  /** No new try. One for the network that is asked for comes to its end first, and one for another is broken off. */
  async end(network: NetworkConfig | undefined): Promise<void> {
    const same = network && formatNetworkConfig(network) === formatNetworkConfig(this.#network);
    if (!same) this.#dropped.abort();
    this.#answered.abort();
    await this.#done;
    this.problem = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { overlay, changed, clock, random, log } = this.#parts;
    const backoff = new Backoff({ ...RETRY_MS, random });
    const stop = AbortSignal.any([signal, this.#answered.signal]);
    while (!stop.aborted) {
      try {
        await overlay.use(this.#network, signal);
        this.problem = undefined;
        return changed();
      } catch (error) {
        if (signal.aborted) return;
        const reason = describeError(error);
        const problem = `cannot open the data plane of the last run: ${reason}`;
        if (problem !== this.problem) log.warn("cannot open the data plane of the last run, will retry", { reason });
        this.problem = problem;
        changed();
      }
      await sleep(clock, backoff.next(), stop);
    }
  }
}
