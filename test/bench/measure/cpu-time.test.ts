import { expect, test } from "vitest";
import { elapsed, parseProcessStat, parseStat, readCpuTime } from "./cpu-time.ts";

test("the machine's time is what it worked; idle and iowait are not, steal is neither", () => {
  const text = "cpu  1000 200 300 5000 100 20 30 400 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n";
  expect(parseStat(text)).toEqual({ system: 15.5, idle: 51 });
});

test("a process's time is found behind a name with parentheses and spaces", () => {
  const text = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 175 0 0 20 0 11 0 12345 1 2\n";
  expect(parseProcessStat(text)).toBe(4.25);
});

test("time between two readings of the real machine is not negative", () => {
  const before = readCpuTime([process.pid]);
  const passed = elapsed(before, readCpuTime([process.pid]));
  expect(before.agents).toBeGreaterThan(0);
  expect(before.system).toBeGreaterThan(before.agents);
  expect(Math.min(passed.system, passed.idle, passed.agents)).toBeGreaterThanOrEqual(0);
});
