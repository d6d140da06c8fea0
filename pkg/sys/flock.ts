import { constants } from "node:os";
import koffi from "koffi";
import { SysError } from "./errors.ts";

const flock = koffi.load("libc.so.6").func("int flock(int fd, int operation)") as (fd: number, op: number) => number;

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Takes the exclusive lock of an open file without waiting (flock(2)). False when another open of the file holds it. The
 * kernel gives the lock back when the file is closed, so also when the process is killed. Throws a SysError when the
 * file system cannot lock.
 */
export function tryLock(fd: number): boolean {
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = koffi.errno();
  if (errno === constants.errno.EWOULDBLOCK) return false;
  throw new SysError("flock", errno);
}
