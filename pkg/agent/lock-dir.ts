import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { tryLock } from "../sys/flock.ts";

/**
 * Makes a directory this process's own until the answer is called. Two agents on one state directory would share a
 * NodeID and a VtepMAC; on one run directory each would contradict what the other tells the CNI plugin. The lock is
 * flock(2) on `<dir>/lock`: it dies with its process, however that dies, and holds between containers which share the
 * directory but not their process ids. `flag` is the option that chose the directory. Throws an Error that names the
 * other process, or why the directory is no use.
 */
export function lockDir(dir: string, flag: string, pid: number): () => void {
  const path = join(dir, "lock");
  let fd: number;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    fd = openSync(path, "a+", 0o600);
  } catch (error) {
    throw new Error(`cannot use the directory ${dir}: give one that can be written with ${flag}`, { cause: error });
  }
  try {
    if (!tryLock(fd)) {
      const holder = readFileSync(path, "utf8").trim();
      throw new Error(`another twilld (pid ${holder || "unknown"}) uses ${dir}: stop it, or give each its own ${flag}`);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  try {
    ftruncateSync(fd);
    writeSync(fd, `${pid}\n`);
  } catch {
    // The number is for people only, and a full disk is told of where the state is saved.
  }
  return () => closeSync(fd);
}
