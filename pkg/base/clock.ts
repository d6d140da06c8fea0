/** Time as the rest of the code sees it: one real clock, and one that tests move by hand. */
export interface Clock {
  /** Milliseconds on a clock that never jumps; for intervals only. */
  now(): number;
  /** Milliseconds since 1970, as people and other machines read it. It may jump. */
  wall(): number;
  /** Calls `fn` once, `ms` from now. Returns a function that cancels it. */
  after(ms: number, fn: () => void): () => void;
}

// setTimeout overflows above this and then fires at once (WHATWG HTML, timer initialisation steps).
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, fn) {
    let timer: ReturnType<typeof setTimeout>;
    const arm = (left: number): void => {
      const step = Math.min(left, LONGEST_TIMER_MS);
      timer = setTimeout(() => (left > step ? arm(left - step) : fn()), step);
    };
    arm(Math.max(0, ms));
    return () => clearTimeout(timer);
  },
};

/**
 * Resolves after `ms`, or at once when `signal` aborts: the caller looks at the signal, as every loop does anyway.
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = clock.after(ms, finish);
    signal?.addEventListener("abort", finish, { once: true });
  });
}
