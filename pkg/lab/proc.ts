import { readFileSync, readlinkSync, readdirSync } from "node:fs";

// TCP_LISTEN in include/net/tcp_states.h.
const TCP_LISTEN = "0A";

/** A process that is told from a later one with the same pid by when it was started. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks between boot and its start: field 22 of /proc/PID/stat, proc(5). */
  readonly start: number;
}

/** Undefined where no such process lives; a zombie does not live. */
export function processId(pid: number): ProcessId | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The second field, the name in parentheses, may hold anything: count from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const start = Number(fields[19]);
  return state === "Z" || state === "X" || !Number.isFinite(start) ? undefined : { pid, start };
}

export function isAlive(id: ProcessId): boolean {
  return processId(id.pid)?.start === id.start;
}

/** Sends a signal to exactly this process. False where it has ended already. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    return process.kill(id.pid, signal);
  } catch {
    return false;
  }
}

/** The mount namespace a process lives in, as the kernel names it ("mnt:[4026532001]"); undefined where we may not see. */
export function mountNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/** Every process in a mount namespace. */
export function processesIn(namespace: string): ProcessId[] {
  const found: ProcessId[] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry) || mountNamespace(Number(entry)) !== namespace) continue;
    const id = processId(Number(entry));
    if (id) found.push(id);
  }
  return found;
}

/** Whether somebody listens on a TCP port in the network namespace of a process: /proc/PID/net/tcp, proc(5). */
export function isListening(pid: number, port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return ["tcp", "tcp6"].some((table) => {
    const rows = readLines(`/proc/${pid}/net/${table}`).map((line) => line.trim().split(/\s+/));
    return rows.some(([, address, , state]) => state === TCP_LISTEN && address?.endsWith(local));
  });
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}
