import { expect, test } from "vitest";
import { makeSchedule } from "./schedule.ts";

const faults = [
  { name: "etcd killed", kind: "etcd", longestMs: 8_000 },
  { name: "agent killed", kind: "node", longestMs: 3_000 },
  { name: "agent away", kind: "node", leastMs: 60_000, longestMs: 70_000 },
] as const;
const options = { seed: 7, minutes: 10, nodes: 5, faults };

test("the same seed breaks the same things at the same times, another one others", () => {
  expect(makeSchedule(options)).toEqual(makeSchedule(options));
  expect(makeSchedule({ ...options, seed: 8 })).not.toEqual(makeSchedule(options));
});

test("no target is broken twice at a time, and all is taken back before the end", () => {
  const planned = makeSchedule(options);
  expect(planned.length).toBeGreaterThan(50);
  expect(new Set(planned.map(({ target }) => target))).toEqual(new Set(["etcd", 1, 2, 3, 4, 5]));
  for (const [i, one] of planned.entries()) {
    expect(one.atMs + one.holdMs).toBeLessThanOrEqual(590_000);
    if (one.fault === "agent away") expect(one.holdMs).toBeGreaterThanOrEqual(60_000);
    const others = planned.slice(i + 1).filter(({ target }) => target === one.target);
    for (const other of others) expect(other.atMs).toBeGreaterThan(one.atMs + one.holdMs);
  }
});
