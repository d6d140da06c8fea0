// As many as the agent takes before it says that a peer does not answer (pkg/probe).
const UNSEEN = 3n;
/** An agent hears of each peer every few seconds; one that counted nothing for longer than this says nothing any more. */
const FRESH_MS = 20_000;

/**
 * Whether what one node sends to another arrives, from the counters at both ends. An echo that is lost does not say on
 * which way; a sender's counter that rises while the receiver's stands still does.
 */
export class Arrivals {
  #rx: bigint | undefined;
  #tx: bigint | undefined;
  #grewAt = Number.NEGATIVE_INFINITY;
  /** What was sent by the look after the one at which the receiver's counter last rose: by then all of it had come. */
  #sentThen: bigint | undefined;

  /**
   * One look: what the sender counts as sent and the receiver as received, undefined for an end that nobody asked or that
   * does not count; `now` in milliseconds on a clock that never jumps.
   */
  look(tx: bigint | undefined, rx: bigint | undefined, now: number): void {
    const rose = rx !== undefined && this.#rx !== undefined && rx > this.#rx;
    const restarted = fell(this.#tx, tx) || fell(this.#rx, rx);
    if (restarted || rx === undefined) this.#grewAt = Number.NEGATIVE_INFINITY;
    else if (rose) this.#grewAt = now;
    if (restarted || rose || tx === undefined || rx === undefined) this.#sentThen = undefined;
    else this.#sentThen ??= tx;
    this.#tx = tx;
    this.#rx = rx;
  }

  /** Undefined where the counters do not tell. */
  arrives(now: number): boolean | undefined {
    if (this.#tx !== undefined && this.#sentThen !== undefined && this.#tx - this.#sentThen >= UNSEEN) return false;
    return now - this.#grewAt < FRESH_MS ? true : undefined;
  }
}

function fell(before: bigint | undefined, now: bigint | undefined): boolean {
  return before !== undefined && now !== undefined && now < before;
}
