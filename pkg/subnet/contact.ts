import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";

/**
 * Whether etcd answers, as several loops find it: told once when the first of them loses it, and once when the last has
 * it back.
 */
export class Contact {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #changed: () => void;
  readonly #failing = new Map<string, Error>();
  #since = 0;
  /** How often a loop had no contact, since the start. */
  failures = 0;

  constructor(options: { readonly clock: Clock; readonly log: Logger; readonly changed: () => void }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#changed = options.changed;
  }

  /** What the first loop that has no contact was told; undefined while all have it. */
  get error(): Error | undefined {
    return this.#failing.values().next().value;
  }

  /** Whether this loop has no contact. */
  isLost(loop: string): boolean {
    return this.#failing.has(loop);
  }

  lost(loop: string, error: unknown): void {
    this.failures++;
    const cause = error instanceof Error ? error : new Error(String(error));
    if (this.#failing.size === 0) {
      this.#since = this.#clock.now();
      this.#log.warn("lost contact with etcd, going on with what is known", { err: cause });
    } else if (this.#failing.get(loop)?.message !== cause.message) {
      this.#log.debug("no contact with etcd", { loop, err: cause });
    }
    const news = this.#failing.get(loop)?.message !== cause.message;
    this.#failing.set(loop, cause);
    // While an outage lasts, the same failure every second is no news to anybody.
    if (news) this.#changed();
  }

  /** Says that a loop has ended and no longer asks, which says nothing of etcd. */
  ended(loop: string): void {
    if (this.#failing.delete(loop)) this.#changed();
  }

  /** Says that a loop has contact. */
  back(loop: string): void {
    if (!this.#failing.delete(loop)) return;
    if (this.#failing.size === 0)
      this.#log.info("contact with etcd is back", { afterMs: Math.round(this.#clock.now() - this.#since) });
    this.#changed();
  }
}
