import { type FSWatcher, mkdirSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { Wakeup } from "../base/wakeup.ts";

const LEAST_INTERVAL_MS = 1_000;
const LONG_MS = 3_600_000;

/**
 * Calls `changed` when somebody writes, replaces or deletes the file, until the signal aborts: at once, but at most once
 * a second, so that two programs which both want the file their way do not spin. It is a quicker way to notice only:
 * inotify can be refused (a full table of watches) and goes deaf when the directory itself is replaced, so whoever uses
 * this looks from time to time on their own.
 */
export async function watchFile(
  path: string,
  changed: () => void,
  options: { readonly signal: AbortSignal; readonly clock: Clock; readonly log: Logger },
): Promise<void> {
  const { signal, clock, log } = options;
  if (signal.aborted) return;
  // The directory is watched and not the file: a rename over the file would leave us with the old inode.
  const name = basename(path);
  const seen = new Wakeup(clock);
  let watcher: FSWatcher;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    watcher = watch(dirname(path), (_event, file) => {
      if (file === null || file === name) seen.notify();
    });
  } catch (error) {
    log.warn("cannot watch a file, will look from time to time", { path, err: error });
    return;
  }
  watcher.on("error", (error) =>
    log.warn("cannot watch a file any more, will look from time to time", { path, err: error }),
  );
  signal.addEventListener("abort", seen.notify, { once: true });
  while (!signal.aborted) {
    if (!(await seen.wait(LONG_MS)) || signal.aborted) continue;
    changed();
    await sleep(clock, LEAST_INTERVAL_MS, signal);
  }
  watcher.close();
}
