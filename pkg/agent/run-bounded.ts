import type { Clock } from "../base/clock.ts";
import { runAll } from "../base/run-all.ts";

/**
 * runAll that gives the loops `graceMs` to end once they are told to: a call into a kernel or a server that hangs must
 * not keep the process from stopping. Loops that end late are on their own, and what they throw then is lost. Loops may
 * throw their signal's reason when it aborts; that is no failure.
 */
export async function runBounded(
  signal: AbortSignal,
  loops: readonly ((signal: AbortSignal) => Promise<void>)[],
  options: { readonly clock: Clock; readonly graceMs: number; readonly onLate: () => void },
): Promise<void> {
  const stop = new AbortController();
  const abort = (): void => stop.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  let failed: { readonly error: unknown } | undefined;
  const guarded = loops.map((loop) => async (inner: AbortSignal): Promise<void> => {
    try {
      await loop(inner);
    } catch (error) {
      if (inner.aborted) return;
      failed ??= { error };
      stop.abort();
    }
  });
  await endsWithin(runAll(stop.signal, guarded), stop.signal, options);
  signal.removeEventListener("abort", abort);
  if (failed) throw failed.error;
}

async function endsWithin(
  work: Promise<void>,
  stop: AbortSignal,
  options: { readonly clock: Clock; readonly graceMs: number; readonly onLate: () => void },
): Promise<void> {
  let cancel: (() => void) | undefined;
  const late = new Promise<void>((resolve) => {
    const arm = (): void => {
      cancel = options.clock.after(options.graceMs, () => {
        options.onLate();
        resolve();
      });
    };
    if (stop.aborted) arm();
    else stop.addEventListener("abort", arm, { once: true });
  });
  await Promise.race([work, late]);
  cancel?.();
}
