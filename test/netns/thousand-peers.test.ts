// A node of the kernel plane in a cluster of 1,000: what its first sync costs, and how soon one more peer is carried.

import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../pkg/base/clock.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { flannelLeases } from "../flannel-leases.ts";
import { until } from "../until.ts";
import { notRoot, rootTitle } from "./netns.ts";
import type { Put } from "./put-leases.ts";

const PEERS = 1000;
const TICKS_PER_SECOND = 100; // USER_HZ, proc(5)
// The goals are 2 s and 1 s; a machine that does other things as well gets twice as much.
const MOST = { syncMs: 4_000, cpuMs: 2_000 };
const ROUNDS = 4;
const PUT_LEASES = path.join(import.meta.dirname, "put-leases.ts");

/** CPU of a process and of the children that it has waited for, in milliseconds. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ([11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0) * 1000) / TICKS_PER_SECOND;
}

describe.skipIf(notRoot)(rootTitle("a cluster of 1,000 peers"), () => {
  let lab: Lab;
  let node: Node;
  beforeAll(async () => {
    lab = await Lab.create({ config: { Network: "10.0.0.0/8", Backend: { Type: "vxlan" } } });
    node = await lab.addNode({ args: ["--dataplane=kernel"] });
  });
  afterAll(() => lab?.close());

  /**
   * Starts twilld on a host that has and knows nothing of a run before, and waits for that many peers. Resolves to what
   * it took from its data plane's opening on.
   */
  async function sync(peers: number): Promise<{ wallMs: number; cpuMs: number }> {
    await node.stop();
    await node.netns.capture(["ip", "link", "delete", "flannel.1"]);
    rmSync(path.join(node.stateDir, "state.json"), { force: true });
    const opened = (): number => node.logText().split("data plane open").length;
    const before = opened();
    await node.start();
    const pid = node.twilld?.pid ?? 0;
    await until(() => opened() > before);
    const start = systemClock.now();
    const cpu = cpuOf(pid);
    await node.ready();
    const routes = async (): Promise<number> => {
      const { stdout } = await node.run(["ip", "route", "show", "dev", "flannel.1"]);
      return stdout.split("\n").filter((line) => line.includes("onlink")).length;
    };
    await until(async () => (await routes()) === peers);
    return { wallMs: Math.round(systemClock.now() - start), cpuMs: Math.round(cpuOf(pid) - cpu) };
  }

  let joined = 0;
  /** Adds peers. Resolves to the milliseconds from etcd's answer to the route, for each. */
  async function join(count: number, everyMs: number): Promise<number[]> {
    const first = PEERS + joined;
    joined += count;
    const [routes, leases] = [`routes-${first}`, `leases-${first}`].map((name) =>
      path.join(lab.directory, `${name}.log`),
    );
    if (!routes || !leases) throw new Error("there are no logs");
    const linesOf = (log: string): string[] => readFileSync(log, "utf8").split("\n").slice(0, -1);
    const monitor = await node.netns.start(["ip", "-ts", "monitor", "route"], { name: "ip monitor", log: routes });
    const argv = [PUT_LEASES, lab.etcd.endpoint, lab.prefix, first, count, everyMs].map(String);
    const putting = await node.netns.start([process.execPath, ...argv], { name: "the leases", log: leases });
    try {
      await until(() => linesOf(leases).length === count);
      const puts = linesOf(leases).map((line) => JSON.parse(line) as Put);
      const times: number[] = [];
      for (const { subnet, at } of puts) {
        const line = new RegExp(`^\\[(.*)\\] ?${subnet}/24 `, "m");
        await until(() => line.test(readFileSync(routes, "utf8")));
        times.push(Date.parse(line.exec(readFileSync(routes, "utf8"))?.[1] ?? "") - at);
      }
      return times;
    } finally {
      await putting.stop();
      await monitor.stop();
    }
  }

  test("the first sync", async () => {
    for (let i = 0; i < PEERS; i += 100) await lab.etcd.ctl(["txn"], { input: flannelLeases(lab.prefix, i, 100) });
    for (let round = 1; ; round++) {
      const { wallMs, cpuMs } = await sync(PEERS);
      console.log(`first sync of ${PEERS} peers: ${wallMs} ms, ${cpuMs} ms of CPU`);
      if (wallMs < MOST.syncMs && cpuMs < MOST.cpuMs) break;
      if (round < ROUNDS) continue;
      expect(wallMs).toBeLessThan(MOST.syncMs);
      expect(cpuMs).toBeLessThan(MOST.cpuMs);
    }
  });

  // From a quiet moment on, and while the agent is still at work on those before.
  test.each([
    { what: "one by one", everyMs: 1_500, mostMs: 100 },
    { what: "back to back", everyMs: 30, mostMs: 200 },
  ])("more peers, $what", async ({ what, everyMs, mostMs }) => {
    for (let round = 1; ; round++) {
      const times = await join(5, everyMs);
      console.log(`more peers, ${what}: their routes ${times.map(Math.round).join(", ")} ms after their leases`);
      const median = times.toSorted((a, b) => a - b)[2] ?? Infinity;
      // A machine that does other things as well gets more than one try.
      if (median < mostMs || round === ROUNDS) return expect(median).toBeLessThan(mostMs);
    }
  });
});
