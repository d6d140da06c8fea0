import { Backoff, type Random } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Wakeup } from "../base/wakeup.ts";

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 30_000;

// A change on the host seldom comes alone; and where it never ends, as on a router with a changing table, the passes get
// rarer. A pass takes some tens of milliseconds, so that even then a change is answered within two seconds.
const BELL_FIRST_MS = 50;
const BELL_NEXT_MS = 250;
const BELL_MOST_MS = 1_000;

/**
 * What a pass looks at: all there is; the underlay and the data plane, but not the traffic rules; or the data plane alone,
 * where only leases have changed.
 */
export type Scope = "all" | "host" | "leases";

const RANK = { leases: 0, host: 1, all: 2 } as const;

export interface ReconcileOptions {
  /**
   * Makes what is equal to what should be, once. Resolves to what could not be done, in words, to be tried again soon;
   * an error thrown means the same. Undefined: it is not known yet what should be; the pass that will know looks at all
   * that this one was asked to look at.
   */
  readonly pass: (scope: Scope) => Promise<readonly string[] | undefined>;
  /** Milliseconds between two passes without a cause. */
  readonly resync: number;
  /** Told of each pass: milliseconds from what asked for it to its end, and how much could not be done. */
  readonly passed?: ((ms: number, failures: number) => void) | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * Runs passes one after the other: when woken, soon after the host's bell has rung, when the last one failed (with
 * backoff), and from time to time on principle, so that a lost event, a failed command and state changed by somebody else
 * are all the same case. Wakes that come during a pass make one more pass, however many they are.
 */
export class ReconcileLoop {
  readonly #options: ReconcileOptions;
  readonly #wakeup: Wakeup;
  readonly #backoff: Backoff;
  #failingSince: number | undefined;
  #scope: Scope = "all";
  #passingSince: number | undefined;
  #wantedSince: number | undefined;
  #endedAt = Number.NEGATIVE_INFINITY;
  /** Least milliseconds from one pass to the next that the bell asks for. */
  #pause = BELL_NEXT_MS;
  #cancelBell: (() => void) | undefined;

  constructor(options: ReconcileOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    this.#backoff = new Backoff({ first: RETRY_FIRST_MS, most: RETRY_MOST_MS, random: options.random });
  }

  /** Asks for a pass at once: what should be has changed. */
  readonly wake = (): void => {
    this.#wantedSince ??= this.#options.clock.now();
    this.#wakeup.notify();
  };

  /**
   * Asks for a pass soon, `least` milliseconds from now or later: something has changed on the host. Our own writes ring
   * too, and are found to be right.
   */
  ring(scope: Scope, least = BELL_FIRST_MS): void {
    this.#wantedSince ??= this.#options.clock.now();
    this.#widen(scope);
    if (this.#cancelBell) return;
    const { clock } = this.#options;
    const quiet = this.#passingSince !== undefined ? 0 : clock.now() - this.#endedAt;
    this.#pause = quiet > 2 * this.#pause ? BELL_NEXT_MS : Math.min(BELL_MOST_MS, this.#pause * 2);
    this.#cancelBell = clock.after(Math.max(least, this.#pause - quiet), () => {
      this.#cancelBell = undefined;
      this.wake();
    });
  }

  /** Milliseconds that the pass under way has taken so far, 0 between two. */
  get passing(): number {
    return this.#passingSince === undefined ? 0 : this.#options.clock.now() - this.#passingSince;
  }

  /** Runs until the signal aborts; a pass that has begun is finished first. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", this.wake, { once: true });
    while (!signal.aborted) {
      const wantedSince = this.#wantedSince ?? this.#options.clock.now();
      this.#wantedSince = undefined;
      const failures = await this.#pass();
      if (failures) this.#options.passed?.(this.#options.clock.now() - wantedSince, failures.length);
      if (signal.aborted) break;
      if (failures) this.#note(failures);
      const failed = failures !== undefined && failures.length > 0;
      const woken = await this.#wakeup.wait(failed ? this.#backoff.next() : this.#options.resync);
      if (!woken) this.#scope = "all";
    }
    this.#cancelBell?.();
    signal.removeEventListener("abort", this.wake);
  }

  async #pass(): Promise<readonly string[] | undefined> {
    const scope = this.#scope;
    this.#scope = "leases";
    this.#passingSince = this.#options.clock.now();
    const failures = await this.#attempt(scope);
    this.#passingSince = undefined;
    this.#endedAt = this.#options.clock.now();
    // It may have ended before it had looked at all that was asked for.
    if (!failures || failures.length > 0) this.#widen(scope);
    return failures;
  }

  async #attempt(scope: Scope): Promise<readonly string[] | undefined> {
    try {
      return await this.#options.pass(scope);
    } catch (error) {
      return [describeError(error)];
    }
  }

  #widen(scope: Scope): void {
    if (RANK[scope] > RANK[this.#scope]) this.#scope = scope;
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
