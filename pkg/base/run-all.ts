/**
 * Runs loops side by side until all have ended. The first that fails stops the others through their signal; its error
 * is thrown once every one of them has ended. A loop that ends by itself stops nobody.
 */
export async function runAll(
  signal: AbortSignal,
  loops: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  let failed: { readonly error: unknown } | undefined;
  await Promise.all(
    loops.map(async (loop) => {
      try {
        await loop(stop.signal);
      } catch (error) {
        failed ??= { error };
        abort();
      }
    }),
  );
  signal.removeEventListener("abort", abort);
  if (failed) throw failed.error;
}
