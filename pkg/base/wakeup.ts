import type { Clock } from "./clock.ts";

/** A condition variable for one waiter. A notify that comes before the wait is not lost. */
export class Wakeup {
  #pending = false;
  #release: (() => void) | undefined;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly notify = (): void => {
    this.#pending = true;
    this.#release?.();
  };

  /** Resolves true when notified, false after `ms` milliseconds without. */
  async wait(ms: number): Promise<boolean> {
    if (!this.#pending) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(ms, resolve);
        this.#release = () => {
          cancel();
          resolve();
        };
      });
    }
    const notified = this.#pending;
    this.#release = undefined;
    this.#pending = false;
    return notified;
  }
}
