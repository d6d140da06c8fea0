import { closeSync, openSync } from "node:fs";
import koffi from "koffi";

const setns = koffi.load("libc.so.6").func("int setns(int fd, int nstype)") as (fd: number, type: number) => number;
const CLONE_NEWNET = 0x40000000;

/**
 * Calls `fn` with this thread in the named network namespace, setns(2). Devices and sockets opened in it stay there. `fn`
 * must do its work before it first awaits: the thread is back when it returns.
 */
export function inside<T>(netns: string, fn: () => T): T {
  const home = openSync("/proc/thread-self/ns/net", "r");
  const there = openSync(`/run/netns/${netns}`, "r");
  try {
    enter(there);
    try {
      return fn();
    } finally {
      enter(home);
    }
  } finally {
    closeSync(there);
    closeSync(home);
  }
}

function enter(fd: number): void {
  if (setns(fd, CLONE_NEWNET) !== 0) throw new Error(`setns: errno ${koffi.errno()}`);
}
