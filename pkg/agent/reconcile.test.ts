import { beforeEach, expect, test } from "vitest";
import { seededRandom } from "../base/backoff.ts";
import { sleep } from "../base/clock.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { MemoryLogger } from "../base/logger.ts";
import { ReconcileLoop, type Scope } from "./reconcile.ts";

let clock: FakeClock;
let log: MemoryLogger;
let passes: number;
let scopes: Scope[];
let answer: () => Promise<readonly string[] | undefined>;
let loop: ReconcileLoop;
let stop: AbortController;

beforeEach(() => {
  clock = new FakeClock();
  log = new MemoryLogger();
  passes = 0;
  scopes = [];
  answer = () => Promise.resolve([]);
  stop = new AbortController();
  const pass = (scope: Scope): Promise<readonly string[] | undefined> => {
    passes++;
    scopes.push(scope);
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

test("the bell asks for a pass soon, however often it rings", () =>
  running(async () => {
    await clock.advance(5_000);
    for (let i = 0; i < 10; i++) loop.ring("host");
    await clock.advance(49);
    expect(passes).toBe(1);
    await clock.advance(1);
    expect(passes).toBe(2);
    await clock.advance(5_000);
    expect(passes).toBe(2);
  }));

test("a bell that rings for ever, as for our own writes, gets a pass a second", () =>
  running(async () => {
    answer = () => {
      loop.ring("host");
      return Promise.resolve([]);
    };
    await clock.advance(5_000);
    loop.ring("host");
    await clock.advance(20_000);
    expect(passes).toBeGreaterThan(15);
    expect(passes).toBeLessThan(25);
    answer = () => Promise.resolve([]);
    await clock.advance(5_000);
    // When it was quiet for a while, the next is answered quickly again.
    const before = passes;
    loop.ring("host");
    await clock.advance(60);
    expect(passes).toBe(before + 1);
  }));

test("only the first pass, a resync and a bell for more look at everything", () =>
  running(async () => {
    loop.wake();
    await clock.advance(5_000);
    loop.ring("host");
    await clock.advance(5_000);
    loop.ring("host");
    loop.ring("all");
    await clock.advance(5_000);
    loop.wake();
    await clock.advance(60_000);
    expect(scopes).toEqual(["all", "leases", "host", "all", "leases", "all"]);
  }));

test("a bell that rings during the last pass leaves nothing behind", () =>
  running(async () => {
    await clock.advance(5_000);
    loop.ring("host");
  }));

test("tells how long after it was asked for a pass has ended, and how much it could not do", async () => {
  const told: [number, number][] = [];
  loop = new ReconcileLoop({
    pass: () => answer(),
    passed: (ms, failures) => told.push([ms, failures]),
    resync: 60_000,
    clock,
    random: seededRandom(1),
    log,
  });
  await running(async () => {
    answer = async () => {
      await sleep(clock, 30);
      return ["no route"];
    };
    loop.wake();
    loop.wake();
    await clock.advance(0);
    // Asked for while a pass is under way: it waits for that one.
    loop.wake();
    answer = () => Promise.resolve([]);
    await clock.advance(30);
  });
  expect(told.slice(0, 2)).toEqual([
    [0, 0],
    [30, 1],
  ]);
});

test("a bell that asks for later is not made sooner by others, but a wake is", () =>
  running(async () => {
    await clock.advance(10_000);
    loop.ring("leases", 250);
    loop.ring("host");
    await clock.advance(249);
    expect(passes).toBe(1);
    await clock.advance(1);
    expect(passes).toBe(2);
    expect(scopes.at(-1)).toBe("host");
    await clock.advance(10_000);
    loop.ring("leases", 250);
    loop.wake();
    await clock.advance(0);
    expect(passes).toBe(3);
  }));

test("what a pass that failed should have looked at is looked at by the next, whoever asks for it", () =>
  running(async () => {
    await clock.advance(10_000);
    answer = () => Promise.resolve(["no"]);
    loop.ring("all");
    await clock.advance(50);
    answer = () => Promise.resolve([]);
    loop.ring("host");
    loop.wake();
    await clock.advance(0);
    expect(scopes.slice(1)).toEqual(["all", "all"]);
    loop.wake();
    await clock.advance(0);
    expect(scopes.at(-1)).not.toBe("all");
  }));

test("what a pass that knew nothing yet should have looked at is looked at by the one that does", () =>
  running(async () => {
    await clock.advance(10_000);
    answer = () => Promise.resolve(undefined);
    loop.ring("host");
    await clock.advance(5_000);
    loop.wake();
    await clock.advance(5_000);
    expect(passes).toBe(3); // it is not tried again before somebody asks
    answer = () => Promise.resolve([]);
    loop.wake();
    await clock.advance(0);
    expect(scopes.slice(1)).toEqual(["host", "host", "host"]);
    loop.wake();
    await clock.advance(0);
    expect(scopes.at(-1)).toBe("leases");
  }));

test("a pass that knows nothing yet neither heals what had failed nor counts", async () => {
  const told: number[] = [];
  const passed = (_: number, failures: number): number => told.push(failures);
  loop = new ReconcileLoop({ pass: () => answer(), passed, resync: 60_000, clock, random: seededRandom(1), log });
  answer = () => Promise.resolve(["no route"]);
  await running(async () => {
    answer = () => Promise.resolve(undefined);
    await clock.advance(2_000);
    expect(log.sentences("info")).toEqual([]);
    expect(told).toEqual([1]);
    answer = () => Promise.resolve([]);
    loop.wake();
    await clock.advance(0);
    expect(log.sentences("info")).toEqual(["in sync again"]);
    expect(told).toEqual([1, 0]);
  });
});
