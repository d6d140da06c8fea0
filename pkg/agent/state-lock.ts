import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { tryLock } from "../sys/flock.ts";

/**
 * Makes the state directory this process's own until the answer is called. Two agents on one directory would share a
 * NodeID and a VtepMAC, and with multi-queue the second would attach to the first one's TUN device unnoticed. The lock
 * is flock(2) on `<dir>/lock`: it dies with its process, however that dies, and holds between containers which share
 * the directory but not their process ids. Throws an Error that names the other process, or why the directory is no use.
 */
export function lockStateDir(dir: string, pid: number): () => void {
  const path = join(dir, "lock");
  let fd: number;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    fd = openSync(path, "a+", 0o600);
  } catch (error) {
    throw new Error(`cannot use the state directory ${dir}; give --state-dir one that can be written`, {
      cause: error,
    });
  }
  try {
    if (!tryLock(fd)) {
      const holder = readFileSync(path, "utf8").trim();
      throw new Error(
        `another twilld (pid ${holder || "unknown"}) uses the state directory ${dir}; stop it, or give each its own --state-dir`,
      );
    }
    // The number is for people; the lock itself is the kernel's.
    ftruncateSync(fd);
    writeSync(fd, `${pid}\n`);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return () => closeSync(fd);
}
