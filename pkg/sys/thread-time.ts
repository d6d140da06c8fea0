import { readdirSync, readFileSync } from "node:fs";

// proc_pid_stat(5): utime and stime are fields 14 and 15, in ticks of USER_HZ, which is 100 for user space everywhere.
const TICKS_PER_SECOND = 100;
const UTIME = 14;
// What follows the name, which is in parentheses and may hold anything, starts with field 3.
const FIRST_AFTER_NAME = 3;

/** Processor time in seconds of each thread of this process with a name, in the order they were started; empty where /proc does not tell. */
export function threadSeconds(name: string): readonly number[] {
  return tasks()
    .map((task) => read(`/proc/self/task/${task}/stat`))
    .flatMap((stat) => {
      const end = stat.lastIndexOf(")");
      if (stat.slice(stat.indexOf("(") + 1, end) !== name) return [];
      const fields = stat.slice(end + 2).split(" ");
      const at = UTIME - FIRST_AFTER_NAME;
      return [(Number(fields[at]) + Number(fields[at + 1])) / TICKS_PER_SECOND];
    });
}

function tasks(): readonly number[] {
  try {
    return readdirSync("/proc/self/task")
      .map(Number)
      .toSorted((a, b) => a - b);
  } catch {
    return [];
  }
}

// A thread may end between the two looks.
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
