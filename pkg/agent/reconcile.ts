import { Backoff, type Random } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Wakeup } from "../base/wakeup.ts";

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 30_000;

export interface ReconcileOptions {
  /**
   * Makes what is equal to what should be, once. Resolves to what could not be done, in words, to be tried again soon;
   * an error thrown means the same.
   */
  readonly pass: () => Promise<readonly string[]>;
  /** Milliseconds between two passes without a cause. */
  readonly resync: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * Runs passes one after the other: when woken, when the last one failed (with backoff), and from time to time on
 * principle, so that a lost event, a failed command and state changed by somebody else are all the same case. Wakes that
 * come during a pass make one more pass, however many they are.
 */
export class ReconcileLoop {
  readonly #options: ReconcileOptions;
  readonly #wakeup: Wakeup;
  readonly #backoff: Backoff;
  #failingSince: number | undefined;

  constructor(options: ReconcileOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    this.#backoff = new Backoff({ first: RETRY_FIRST_MS, most: RETRY_MOST_MS, random: options.random });
  }

  /** Asks for a pass. */
  readonly wake = (): void => this.#wakeup.notify();

  /** Runs until the signal aborts; a pass that has begun is finished first. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", this.wake, { once: true });
    while (!signal.aborted) {
      const failures = await this.#pass();
      if (signal.aborted) break;
      this.#note(failures);
      await this.#wakeup.wait(failures.length > 0 ? this.#backoff.next() : this.#options.resync);
    }
    signal.removeEventListener("abort", this.wake);
  }

  async #pass(): Promise<readonly string[]> {
    try {
      return await this.#options.pass();
    } catch (error) {
      return [describeError(error)];
    }
  }

  #note(failures: readonly string[]): void {
    const { clock, log } = this.#options;
    if (failures.length > 0) {
      if (this.#failingSince !== undefined) return;
      this.#failingSince = clock.now();
      log.warn("out of sync, will retry", { failed: failures.length, first: failures[0] });
      return;
    }
    this.#backoff.reset();
    if (this.#failingSince === undefined) return;
    log.info("in sync again", { afterMs: Math.round(clock.now() - this.#failingSince) });
    this.#failingSince = undefined;
  }
}
