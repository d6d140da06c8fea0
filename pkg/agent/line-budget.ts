import type { Clock } from "../base/clock.ts";

/** Lines of one sentence at once, and how many more of it each second: enough for a large cluster's start. */
export const BURST = 500;
const PER_SECOND = 1;

// Sentences are fixed texts of ours, some 100; a defect that makes them of foreign text must not fill the memory.
const MOST_SENTENCES = 1000;

interface Bucket {
  left: number;
  at: number;
  leftOut: number;
}

/** How many lines each sentence may still fill, so that whoever can cause lines cannot fill the disk: a token bucket each. */
export class LineBudget {
  readonly #clock: Pick<Clock, "now">;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** How many lines of this sentence were left out since its last one, or undefined when this one is to be, too. */
  take(sentence: string): number | undefined {
    const now = this.#clock.now();
    if (this.#buckets.size >= MOST_SENTENCES && !this.#buckets.has(sentence)) this.#buckets.clear();
    const bucket = this.#buckets.get(sentence) ?? { left: BURST, at: now, leftOut: 0 };
    this.#buckets.set(sentence, bucket);
    bucket.left = Math.min(BURST, bucket.left + ((now - bucket.at) / 1000) * PER_SECOND);
    bucket.at = now;
    if (bucket.left < 1) {
      bucket.leftOut += 1;
      return undefined;
    }
    const { leftOut } = bucket;
    bucket.left -= 1;
    bucket.leftOut = 0;
    return leftOut;
  }
}
