/** Random numbers in [0, 1), as Math.random; tests hand in a seeded one. */
export type Random = () => number;

/**
 * Delays that double from `first` up to `most` milliseconds. Each is drawn from the upper half of its range, so that
 * many nodes which lost the same server do not come back to it in step.
 */
export class Backoff {
  #next: number;
  readonly #first: number;
  readonly #most: number;
  readonly #random: Random;

  constructor(options: { readonly first: number; readonly most: number; readonly random: Random }) {
    this.#first = options.first;
    this.#most = options.most;
    this.#random = options.random;
    this.#next = options.first;
  }

  /** The next delay in milliseconds. */
  next(): number {
    const full = this.#next;
    this.#next = Math.min(this.#most, full * 2);
    return full / 2 + (this.#random() * full) / 2;
  }

  /** Starts again from the shortest delay; call it when something worked. */
  reset(): void {
    this.#next = this.#first;
  }
}

/** A small seeded generator (mulberry32): the same seed gives the same numbers, for simulations that can be repeated. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
