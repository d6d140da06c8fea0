import { type FSWatcher, mkdirSync, statSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { Wakeup } from "../base/wakeup.ts";

const LEAST_INTERVAL_MS = 1_000;

/**
 * Calls `changed` when somebody writes, replaces or deletes the file, until the signal aborts: at once, but at most once
 * a second, so that two programs which both want the file their way do not spin. inotify makes it at once; it can be
 * refused (a full table of watches) and goes deaf when the directory itself is replaced, so the file is also looked at
 * every second.
 */
export async function watchFile(
  path: string,
  changed: () => void,
  options: { readonly signal: AbortSignal; readonly clock: Clock; readonly log: Logger },
): Promise<void> {
  const { signal, clock, log } = options;
  if (signal.aborted) return;
  const seen = new Wakeup(clock);
  const watcher = startWatching(path, seen.notify, log);
  signal.addEventListener("abort", seen.notify, { once: true });
  let last = look(path);
  while (!signal.aborted) {
    const told = await seen.wait(LEAST_INTERVAL_MS);
    if (signal.aborted) break;
    if (!told && look(path) === last) continue;
    changed();
    last = look(path);
    if (told) await sleep(clock, LEAST_INTERVAL_MS, signal);
  }
  watcher?.close();
}

function startWatching(path: string, notify: () => void, log: Logger): FSWatcher | undefined {
  // The directory is watched and not the file: a rename over the file would leave us with the old inode.
  const name = basename(path);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const watcher = watch(dirname(path), (_event, file) => {
      if (file === null || file === name) notify();
    });
    watcher.on("error", (error) =>
      log.warn("cannot watch a file any more, looking every second", { path, err: error }),
    );
    return watcher;
  } catch (error) {
    log.warn("cannot watch a file, looking every second", { path, err: error });
    return undefined;
  }
}

// What tells one state of the file from another.
function look(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return "";
  }
}
