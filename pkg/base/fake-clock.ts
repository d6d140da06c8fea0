import type { Clock } from "./clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

/** A clock that stands still until a test moves it. Timers fire in the order in which they are due. */
export class FakeClock implements Clock {
  #now = 0;
  #wallOffset: number;
  #order = 0;
  readonly #timers = new Set<Timer>();

  /** `wall` is what the wall clock shows at the start, in milliseconds since 1970. */
  constructor(wall = Date.UTC(2026, 0, 1)) {
    this.#wallOffset = wall;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wallOffset + this.#now;
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, fn };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Timers that wait: a test that ends with some has leaked them. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves the wall clock alone, as an operator or NTP would. */
  jumpWall(ms: number): void {
    this.#wallOffset += ms;
  }

  /** Moves time on by `ms`, firing what falls due and letting the promises that wait for it run in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.at);
      this.#timers.delete(next);
      next.fn();
      await settle();
    }
    this.#now = end;
  }

  #next(end: number): Timer | undefined {
    let best: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > end) continue;
      if (!best || timer.at < best.at || (timer.at === best.at && timer.order < best.order)) best = timer;
    }
    return best;
  }
}

// One turn of the event loop runs every promise reaction that is ready, however long the chain.
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
