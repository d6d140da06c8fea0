import { beforeEach, expect, test } from "vitest";
import { sleep } from "../base/clock.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { runBounded } from "./run-bounded.ts";

let clock: FakeClock;
let late: number;
let stop: AbortController;
beforeEach(() => {
  clock = new FakeClock();
  late = 0;
  stop = new AbortController();
});

function run(...loops: ((signal: AbortSignal) => Promise<void>)[]): Promise<void> {
  return runBounded(stop.signal, loops, { clock, graceMs: 1_000, onLate: () => late++ });
}

const untilAborted = (signal: AbortSignal): Promise<void> => sleep(clock, 1e9, signal);
const never = (): Promise<void> => new Promise(() => undefined);

test("loops that end in time leave nothing behind", async () => {
  const ended = run(untilAborted, untilAborted);
  await clock.advance(5_000);
  stop.abort();
  await ended;
  expect(clock.pending).toBe(0);
  expect(late).toBe(0);
});

test("a loop that hangs is left alone after the grace", async () => {
  const ended = run(untilAborted, never);
  stop.abort();
  await clock.advance(999);
  expect(late).toBe(0);
  await clock.advance(1);
  await ended;
  expect(late).toBe(1);
});

test("the first failure stops the others and comes out, even when one of them hangs", async () => {
  const ended = run(untilAborted, never, () => Promise.reject(new Error("broken")));
  const seen = expect(ended).rejects.toThrow("broken");
  await clock.advance(1_000);
  await seen;
});

test("what a loop throws because it was told to stop is no failure", async () => {
  const ended = run(async (signal) => {
    await untilAborted(signal);
    signal.throwIfAborted();
  });
  stop.abort();
  await ended;
});

test("an aborted signal stops at once", async () => {
  stop.abort();
  await run(untilAborted);
  expect(clock.pending).toBe(0);
});
