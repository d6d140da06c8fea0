import { beforeEach, expect, test } from "vitest";
import { seededRandom } from "../base/backoff.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { MemoryLogger } from "../base/logger.ts";
import { ReconcileLoop } from "./reconcile.ts";

let clock: FakeClock;
let log: MemoryLogger;
let passes: number;
let answer: () => Promise<readonly string[]>;
let loop: ReconcileLoop;
let stop: AbortController;

beforeEach(() => {
  clock = new FakeClock();
  log = new MemoryLogger();
  passes = 0;
  answer = () => Promise.resolve([]);
  stop = new AbortController();
  const pass = (): Promise<readonly string[]> => {
    passes++;
    return answer();
  };
  loop = new ReconcileLoop({ pass, resync: 60_000, clock, random: seededRandom(1), log });
});

async function running(test: () => Promise<void>): Promise<void> {
  const ended = loop.run(stop.signal);
  await clock.advance(0);
  await test();
  stop.abort();
  await ended;
  expect(clock.pending).toBe(0);
}

test("a pass runs at once, and again at every resync", () =>
  running(async () => {
    expect(passes).toBe(1);
    await clock.advance(59_999);
    expect(passes).toBe(1);
    await clock.advance(1);
    expect(passes).toBe(2);
  }));

test("wakes during a pass make one more pass", () =>
  running(async () => {
    let finish: () => void = () => undefined;
    answer = () => new Promise((resolve) => (finish = () => resolve([])));
    loop.wake();
    await clock.advance(0);
    loop.wake();
    loop.wake();
    loop.wake();
    answer = () => Promise.resolve([]);
    finish();
    await clock.advance(1_000);
    expect(passes).toBe(3);
  }));

test("a pass that fails is tried again, with growing delays, and logged once", () =>
  running(async () => {
    answer = () => Promise.reject(new Error("no route"));
    loop.wake();
    await clock.advance(10_000);
    expect(passes).toBeGreaterThan(4);
    expect(passes).toBeLessThan(9);
    expect(log.lines).toEqual([
      { level: "warn", sentence: "out of sync, will retry", fields: { failed: 1, first: "no route" } },
    ]);
    answer = () => Promise.resolve([]);
    await clock.advance(60_000);
    expect(log.sentences("info")).toEqual(["in sync again"]);
    expect(log.lines[1]?.fields["afterMs"]).toBeGreaterThan(10_000);
  }));

test("what a pass could not do counts as failed", () =>
  running(async () => {
    answer = () => Promise.resolve(["peer a", "peer b"]);
    loop.wake();
    await clock.advance(2_000);
    expect(passes).toBeGreaterThan(2);
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]?.fields).toEqual({ failed: 2, first: "peer a" });
  }));
