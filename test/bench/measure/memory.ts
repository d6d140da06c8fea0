import { readFileSync } from "node:fs";
import type { Figures } from "../figures.ts";

/** Memory of the largest of the processes, in MB of 10^6 bytes. Of at least one process. */
export function readMemory(pids: readonly number[]): Figures {
  const all = pids.map((pid) => parseProcessStatus(readFileSync(`/proc/${pid}/status`, "utf8")));
  return {
    agentRss: Math.max(...all.map(({ rss }) => rss)),
    agentRssPeak: Math.max(...all.map(({ peak }) => peak)),
  };
}

/** VmRSS and VmHWM of /proc/PID/status (proc(5)), in MB. Throws where they are missing. */
export function parseProcessStatus(text: string): { readonly rss: number; readonly peak: number } {
  const megabytes = (name: string): number => {
    const value = new RegExp(String.raw`^${name}:\s+(\d+) kB$`, "m").exec(text)?.[1];
    if (value === undefined) throw new Error(`/proc shows no ${name}`);
    return (Number(value) * 1024) / 1e6;
  };
  return { rss: megabytes("VmRSS"), peak: megabytes("VmHWM") };
}
