import { describe, expect, test, vi } from "vitest";
import { Backoff, seededRandom } from "./backoff.ts";
import { sleep, systemClock } from "./clock.ts";
import { ConfigError, describeError, errorCode } from "./errors.ts";
import { FakeClock } from "./fake-clock.ts";
import { runAll } from "./run-all.ts";
import { Wakeup } from "./wakeup.ts";

describe("FakeClock", () => {
  test("fires what is due, in order, and lets promises run in between", async () => {
    const clock = new FakeClock();
    const fired: string[] = [];
    clock.after(20, () => fired.push("b"));
    clock.after(10, () => {
      fired.push("a");
      void sleep(clock, 5).then(() => fired.push("a2"));
    });
    clock.after(31, () => fired.push("late"));
    const cancel = clock.after(15, () => fired.push("cancelled"));
    cancel();
    await clock.advance(30);
    expect(fired).toEqual(["a", "a2", "b"]);
    expect(clock.pending).toBe(1);
  });

  test("its wall clock jumps without moving intervals", () => {
    const clock = new FakeClock(1000);
    clock.jumpWall(-500);
    expect([clock.now(), clock.wall()]).toEqual([0, 500]);
  });
});

test("systemClock waits longer than setTimeout can", () => {
  vi.useFakeTimers();
  try {
    const fn = vi.fn<() => void>();
    systemClock.after(2 ** 31 + 5000, fn);
    vi.advanceTimersByTime(2 ** 31);
    expect(fn).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5001);
    expect(fn).toHaveBeenCalledOnce();
  } finally {
    vi.useRealTimers();
  }
});

test("sleep ends when its signal aborts, and leaves no timer", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const slept = sleep(clock, 1000, stop.signal);
  stop.abort();
  await slept;
  expect(clock.pending).toBe(0);
  await sleep(clock, 1000, stop.signal);
});

describe("Wakeup", () => {
  test("a notify before the wait is not lost", async () => {
    const wakeup = new Wakeup(new FakeClock());
    wakeup.notify();
    expect(await wakeup.wait(1000)).toBe(true);
  });

  test("several notifies are one", async () => {
    const clock = new FakeClock();
    const wakeup = new Wakeup(clock);
    wakeup.notify();
    wakeup.notify();
    await wakeup.wait(1000);
    const second = wakeup.wait(1000);
    await clock.advance(1000);
    expect(await second).toBe(false);
  });
});

test("a backoff doubles within its bounds and starts anew after reset", () => {
  const backoff = new Backoff({ first: 100, most: 1000, random: () => 0.5 });
  expect(Array.from({ length: 6 }, () => backoff.next())).toEqual([75, 150, 300, 600, 750, 750]);
  backoff.reset();
  expect(backoff.next()).toBe(75);
});

test("a seed repeats its numbers", () => {
  const [a, b, c] = [seededRandom(7), seededRandom(7), seededRandom(8)];
  const draw = (random: () => number): number[] => Array.from({ length: 5 }, random);
  const first = draw(a);
  expect(draw(b)).toEqual(first);
  expect(draw(c)).not.toEqual(first);
  for (const n of first) expect(n >= 0 && n < 1).toBe(true);
});

describe("runAll", () => {
  const untilAborted = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

  test("the first failure stops the others and is thrown once all have ended", async () => {
    let ended = false;
    const loops = [
      async (signal: AbortSignal): Promise<void> => {
        await untilAborted(signal);
        ended = true;
      },
      async (): Promise<void> => {
        throw new Error("first");
      },
    ];
    await expect(runAll(new AbortController().signal, loops)).rejects.toThrow("first");
    expect(ended).toBe(true);
  });

  test("a loop that ends by itself stops nobody; the signal stops all", async () => {
    const stop = new AbortController();
    const running = runAll(stop.signal, [async () => {}, untilAborted]);
    const state = await Promise.race([running.then(() => "ended"), Promise.resolve().then(() => "running")]);
    expect(state).toBe("running");
    stop.abort();
    await running;
  });

  test("a signal that has aborted already stops at once", async () => {
    await runAll(AbortSignal.abort(), [async (signal) => expect(signal.aborted).toBe(true)]);
  });
});

describe("describeError", () => {
  test("joins causes into one sentence without repeating them", () => {
    const error = new Error("cannot route 10.5.1.0/24", { cause: new Error("no such device") });
    expect(describeError(error)).toBe("cannot route 10.5.1.0/24: no such device");
    expect(describeError(new Error("a: b", { cause: new Error("b") }))).toBe("a: b");
    expect(describeError("text")).toBe("text");
    const inner = new Error("no answer", { cause: new Error("code 4") });
    expect(describeError(new Error("no answer", { cause: inner }))).toBe("no answer: code 4");
  });

  test("a ConfigError tells every problem", () => {
    expect(describeError(new ConfigError(["one", "two"]))).toBe("one; two");
  });

  test("errorCode is Node's code or nothing", () => {
    expect(errorCode(Object.assign(new Error("x"), { code: "ENOENT" }))).toBe("ENOENT");
    expect(errorCode(new Error("x"))).toBeUndefined();
  });
});
