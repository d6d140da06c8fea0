import { readFileSync } from "node:fs";

// USER_HZ: what /proc counts in, 100 on every architecture that Node runs on (proc(5), sysconf(3)).
const TICKS_PER_SECOND = 100;

/** CPU time in seconds since boot, or since a process began. */
export interface CpuTime {
  /** Of the whole machine: user, nice, system, interrupts. */
  readonly system: number;
  /** Of the machine while nothing ran: idle and waiting for disks. */
  readonly idle: number;
  /** Of the given processes together: user and system, the kernel's work inside their system calls included. */
  readonly agents: number;
}

export function readCpuTime(pids: readonly number[]): CpuTime {
  const agents = pids.map((pid) => parseProcessStat(readFileSync(`/proc/${pid}/stat`, "utf8")));
  return { ...parseStat(readFileSync("/proc/stat", "utf8")), agents: agents.reduce((sum, each) => sum + each, 0) };
}

/** What passed between two readings. */
export function elapsed(before: CpuTime, after: CpuTime): CpuTime {
  return {
    system: after.system - before.system,
    idle: after.idle - before.idle,
    agents: after.agents - before.agents,
  };
}

/** Reads the first line of /proc/stat, proc(5). Time stolen by the hypervisor counts for neither side. */
export function parseStat(text: string): Pick<CpuTime, "system" | "idle"> {
  const fields = /^cpu +(.*)$/m.exec(text)?.[1]?.split(" ").map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0] = fields;
  return {
    system: (user + nice + system + irq + softirq) / TICKS_PER_SECOND,
    idle: (idle + iowait) / TICKS_PER_SECOND,
  };
}

/** utime + stime of /proc/PID/stat, fields 14 and 15, in seconds. */
export function parseProcessStat(text: string): number {
  // The second field, the name in parentheses, may hold anything: count from its end.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
