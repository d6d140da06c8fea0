import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { errorCode } from "./errors.ts";

export interface AtomicFileOptions {
  /** Mode of the file. */
  readonly mode: number;
  /** Mode of the directory and its parents where they have to be made. */
  readonly dirMode: number;
}

/**
 * Replaces the file at `path` as a whole: a reader sees the old text or the new one, and after a crash one of the two is
 * there (temporary file `path`.N.tmp in the same directory, fsync, rename; rename(2) is atomic within a file system).
 * The umask does not matter. Throws the system's error; the temporary file is removed then.
 */
export function writeFileAtomic(path: string, text: string, options: AtomicFileOptions): void {
  makeDirectory(dirname(path), options.dirMode);
  const { fd, name } = openTemporary(path, options.mode);
  try {
    try {
      fchmodSync(fd, options.mode);
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(name, path);
  } catch (error) {
    rmSync(name, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

/** Makes a rename or removal in the directory last over a power cut (fsync(2), notes). Throws the system's error. */
export function syncDirectory(dir: string): void {
  const fd = openSync(dir, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function makeDirectory(dir: string, mode: number): void {
  const first = mkdirSync(dir, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = resolve(dir); made.length >= resolve(first).length; made = dirname(made)) chmodSync(made, mode);
}

// A name that exists belongs to another writer, or to one that was killed: either way it is not ours.
function openTemporary(path: string, mode: number): { fd: number; name: string } {
  for (let n = 0; ; n++) {
    const name = `${path}.${n}.tmp`;
    try {
      return { fd: openSync(name, "wx", mode), name };
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
  }
}
