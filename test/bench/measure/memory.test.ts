import { expect, test } from "vitest";
import { parseProcessStatus, readMemory } from "./memory.ts";

test("resident memory now and at its peak, in MB of 10^6 bytes", () => {
  const text = "Name:\tnode\nVmPeak:\t 1000000 kB\nVmHWM:\t   125000 kB\nVmRSS:\t   100000 kB\nThreads:\t11\n";
  expect(parseProcessStatus(text)).toEqual({ rss: 102.4, peak: 128 });
  expect(() => parseProcessStatus("Name:\tkthreadd\n")).toThrow("/proc shows no VmRSS");
});

test("the largest process counts", () => {
  const { agentRss = 0, agentRssPeak = 0 } = readMemory([process.pid, process.ppid]);
  expect(agentRss).toBeGreaterThan(1);
  expect(agentRssPeak).toBeGreaterThanOrEqual(agentRss);
});
