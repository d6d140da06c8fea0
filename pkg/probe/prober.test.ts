import { expect, test } from "vitest";
import { addr } from "../../test/literals.ts";
import { seededRandom } from "../base/backoff.ts";
import { sleep } from "../base/clock.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { MemoryEcho } from "./memory-echo.ts";
import { Prober } from "./prober.ts";
import type { ProbeTarget } from "./target.ts";

function target(i: number): ProbeTarget {
  const [overlay, underlay] = [addr(`10.5.${i}.0`), addr(`192.0.2.${i}`)];
  return { key: `k${i}`, names: [`node${i}`, `10.5.${i}.0/24`], overlay, underlay, mtu: 1450, received: 0n };
}

function setUp(count: number): { prober: Prober; echo: MemoryEcho; clock: FakeClock; targets: ProbeTarget[] } {
  const clock = new FakeClock();
  const echo = new MemoryEcho(clock);
  const targets = Array.from({ length: count }, (_, i) => target(i + 1));
  for (let i = 1; i <= count; i++) echo.answers.set(`10.5.${i}.0`, { rttMs: 2 }).set(`192.0.2.${i}`, { rttMs: 1 });
  const prober = new Prober({ echo, clock, random: seededRandom(1), tcp: async () => true });
  return { prober, echo, clock, targets };
}

async function running(count: number, work: (parts: ReturnType<typeof setUp>) => Promise<void>): Promise<void> {
  const parts = setUp(count);
  const stop = new AbortController();
  const run = parts.prober.run(() => parts.targets, stop.signal);
  await work(parts);
  stop.abort();
  await parts.clock.advance(10_000);
  await run;
  expect(parts.clock.pending).toBe(0);
}

test("a round asks at most 20 peers, and everybody has his turn", async () => {
  await running(100, async ({ echo, clock, prober }) => {
    await clock.advance(6100);
    const small = (): string[] => echo.asked.filter((text) => text.endsWith(" 56"));
    expect(small()).toHaveLength(20);
    await clock.advance(24_000);
    expect(new Set(small()).size).toBe(100);
    expect(prober.probes().filter(({ state }) => state === "up")).toHaveLength(100);
    expect(prober.probes()[0]).toMatchObject({ rttMs: 2, sent: 1, lost: 0, overlay: "10.5.1.0" });
  });
});

test("rounds come at times of their own", async () => {
  await running(1, async ({ echo, clock }) => {
    const times: number[] = [];
    for (let last = 0; times.length < 10; await clock.advance(10)) {
      if (echo.asked.length > last) times.push(clock.now());
      last = echo.asked.length;
    }
    const gaps = times.slice(2).map((time, i) => time - (times[i + 1] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(4000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(6100);
    expect(new Set(gaps).size).toBeGreaterThan(3);
  });
});

test("a dead overlay is told from a dead node, after three echoes", async () => {
  await running(3, async ({ echo, clock, prober }) => {
    await clock.advance(7000);
    echo.answers.delete("10.5.1.0");
    echo.answers.delete("10.5.2.0");
    echo.answers.delete("192.0.2.2");
    await clock.advance(7000);
    expect(prober.probes().map(({ state }) => state)).toEqual(["up", "up", "up"]);
    await clock.advance(20_000);
    expect(prober.probes().map(({ state }) => state)).toEqual(["overlay-down", "down", "up"]);
    const [first] = prober.probes();
    expect(first?.lost).toBeGreaterThanOrEqual(3);
    expect(first?.lastSeen).toBeLessThan(first?.since ?? 0);
    echo.answers.set("10.5.1.0", { rttMs: 3 });
    await clock.advance(14_000);
    expect(prober.probes()[0]).toMatchObject({ state: "up", rttMs: 3 });
  });
});

test("a peer that has answered is told from one that never has, be it on the underlay alone", async () => {
  await running(3, async ({ echo, clock, prober, targets }) => {
    // The first has no address in the overlay (host-gw), the overlay of the second is dead, the third is nowhere.
    targets[0] = { ...target(1), overlay: undefined };
    for (const address of ["10.5.2.0", "10.5.3.0", "192.0.2.3"]) echo.answers.delete(address);
    await clock.advance(25_000);
    const alive = prober.probes();
    expect(alive.map(({ state }) => state)).toEqual(["up", "overlay-down", "down"]);
    for (const i of [1, 2]) echo.answers.delete(`192.0.2.${i}`);
    await clock.advance(25_000);
    const silent = prober.probes();
    expect(silent.map(({ state, lastSeen, lastAnswer }) => [state, lastSeen, lastAnswer > 0])).toEqual([
      ["down", 0, true],
      ["down", 0, true],
      ["down", 0, false],
    ]);
  });
});

test("the path MTU is found by halving, and measured again only after a minute", async () => {
  await running(1, async ({ echo, clock, prober }) => {
    echo.answers.set("10.5.1.0", { rttMs: 2, mtu: 1387 });
    await clock.advance(20_000);
    expect(prober.probes()[0]).toMatchObject({ mtu: 1387, wantedMtu: 1450, tcp: "answers" });
    const large = echo.asked.filter((text) => !text.endsWith(" 56")).length;
    await clock.advance(40_000);
    expect(echo.asked.filter((text) => !text.endsWith(" 56"))).toHaveLength(large);
    echo.answers.set("10.5.1.0", { rttMs: 2, mtu: 1450 });
    await clock.advance(30_000);
    expect(prober.probes()[0]).toMatchObject({ mtu: 1450 });
  });
});

test("every path of a large cluster has its turn", async () => {
  await running(50, async ({ clock, prober }) => {
    await clock.advance(50 * 6200 + 10_000);
    expect(prober.probes().filter(({ mtu }) => mtu === 0)).toEqual([]);
  });
});

test("a peer whose packets arrive while ours do not is told from one that is silent", async () => {
  await running(2, async ({ echo, clock, prober, targets }) => {
    await clock.advance(7000);
    for (const i of [1, 2]) echo.answers.delete(`10.5.${i}.0`);
    await clock.advance(25_000);
    expect(prober.probes().map(({ state, inbound }) => [state, inbound])).toEqual([
      ["overlay-down", "silent"],
      ["overlay-down", "silent"],
    ]);
    targets[0] = { ...target(1), received: 1n };
    targets[1] = { ...target(2), received: undefined };
    expect(prober.probes().map(({ inbound }) => inbound)).toEqual(["arrives", "unknown"]);
    for (const i of [1, 2]) echo.answers.set(`10.5.${i}.0`, { rttMs: 2 });
    await clock.advance(14_000);
    expect(prober.probes().map(({ inbound }) => inbound)).toEqual(["unknown", "unknown"]);
  });
});

test("what was on its way when the silence began does not pass for what comes through it", async () => {
  await running(1, async ({ echo, clock, prober, targets }) => {
    await clock.advance(7000);
    echo.answers.delete("10.5.1.0");
    const { length } = echo.asked;
    while (echo.asked.length === length) await clock.advance(10);
    targets[0] = { ...target(1), received: 5n };
    await clock.advance(25_000);
    expect(prober.probes()[0]).toMatchObject({ state: "overlay-down", inbound: "silent" });
  });
});

test("a peer whose packets arrive no more is silent after a while", async () => {
  await running(1, async ({ echo, clock, prober, targets }) => {
    await clock.advance(7000);
    echo.answers.delete("10.5.1.0");
    await clock.advance(25_000);
    targets[0] = { ...target(1), received: 5n };
    await clock.advance(7000);
    expect(prober.probes()[0]).toMatchObject({ state: "overlay-down", inbound: "arrives" });
    await clock.advance(25_000);
    expect(prober.probes()[0]).toMatchObject({ state: "overlay-down", inbound: "silent" });
  });
});

test("by hand: one node by its name, a pod with its node, and nobody", async () => {
  await running(2, async ({ echo, clock, prober }) => {
    await clock.advance(6100);
    echo.answers.set("10.5.2.7", { rttMs: 4, mtu: 1450 });
    const finished = async <T>(work: Promise<T>): Promise<T> => {
      await clock.advance(10_000);
      return work;
    };
    const byName = await finished(prober.probe("node1"));
    expect(byName.peers.map(({ key, mtu }) => [key, mtu])).toEqual([["k1", 1450]]);
    const pod = await finished(prober.probe("10.5.2.7"));
    expect(pod.peers.map(({ key }) => key)).toEqual(["k2"]);
    expect(pod.address).toEqual({ address: "10.5.2.7", sent: 3, lost: 0, rttMs: 4, mtu: 1450 });
    await expect(prober.probe("node9")).rejects.toMatchObject({ name: "RefusedError" });
  });
});

test("by hand: an address is the same however it is spelled", async () => {
  await running(1, async ({ echo, clock, prober, targets }) => {
    const [overlay, underlay] = [addr("fd05:0:0:1::"), addr("fd00:31::1:2")];
    targets[0] = { ...target(1), names: ["node1", "fd05:0:0:1::/64", "fd00:31::1:2"], overlay, underlay };
    echo.answers.set("fd05:0:0:1::", { rttMs: 2 });
    const found = prober.probe("FD00:31:0::1:2");
    await clock.advance(10_000);
    expect(await found).toMatchObject({ peers: [{ key: "k1", state: "up" }], address: undefined });
  });
});

test("what is known of a peer goes with it", async () => {
  await running(2, async ({ clock, prober, targets }) => {
    await clock.advance(7000);
    targets.pop();
    expect(prober.probes().map(({ key }) => key)).toEqual(["k1"]);
    targets.push({ ...target(2), overlay: addr("10.5.9.0") });
    expect(prober.probes()[1]?.state).toBe("unknown");
  });
});

test("that we may not ask says nothing of a peer", async () => {
  await running(1, async ({ echo, clock, prober }) => {
    echo.forbidden = true;
    await clock.advance(60_000);
    expect(prober.probes()).toMatchObject([{ state: "unknown", sent: 0 }]);
  });
});

test("a stop does not wait for what is silent, nor blames it", async () => {
  const clock = new FakeClock();
  const echo = new MemoryEcho(clock);
  echo.answers.set("10.5.1.0", { rttMs: 2 });
  const stop = new AbortController();
  const tcp = (_: unknown, ms: number, signal: AbortSignal): Promise<boolean> =>
    sleep(clock, ms, signal).then(() => false);
  const prober = new Prober({ echo, clock, random: seededRandom(1), tcp });
  const run = prober.run(() => [target(1)], stop.signal);
  await clock.advance(6500);
  expect(clock.pending).toBe(1);
  stop.abort();
  await run;
  expect(clock.pending).toBe(0);
  expect(prober.probes()).toMatchObject([{ tcp: "unknown" }]);
});
