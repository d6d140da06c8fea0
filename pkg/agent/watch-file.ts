import { mkdirSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Logger } from "../base/logger.ts";

/**
 * Calls `changed` whenever somebody writes, replaces or deletes the file, until the signal aborts. It is a quicker way to
 * notice only: inotify can be refused (a full table of watches) and goes deaf when the directory itself is replaced, so
 * whoever uses this looks from time to time on their own.
 */
export async function watchFile(
  path: string,
  changed: () => void,
  options: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<void> {
  const { signal, log } = options;
  if (signal.aborted) return;
  // The directory is watched and not the file: a rename over the file would leave us with the old inode.
  const name = basename(path);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const watcher = watch(dirname(path), (_event, file) => {
      if (file === null || file === name) changed();
    });
    await new Promise<void>((resolve) => {
      const giveUp = (error: Error): void => {
        log.warn("cannot watch a file, will look from time to time", { path, err: error });
        resolve();
      };
      watcher.once("error", giveUp);
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    watcher.close();
  } catch (error) {
    log.warn("cannot watch a file, will look from time to time", { path, err: error });
  }
}
