// The data plane while the underlay or the agent is at its limit: a narrow uplink, and agents that come and go under full
// load. What is measured is compared with the kernel's vxlan device in the same minute on the same machine.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Netns } from "../../pkg/lab/netns.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { tcpThroughput } from "../../pkg/lab/throughput.ts";
import { parseRoundTrips } from "../bench/measure/rtt.ts";
import { mean } from "../bench/statistics.ts";
import { measureUdp } from "../bench/measure/udp.ts";
import { openKernelVxlan } from "../bench/testbed/kernel.ts";
import type { Testbed } from "../bench/testbed/testbed.ts";
import { openTwill } from "../bench/testbed/twill.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { transferTcp } from "./tcp.ts";
import { DatagramFlow } from "./udp.ts";

const MB = 1_000_000;
const ROUNDS = 3;
const LOAD_S = 4;
const SETTLE_MS = 800;
const MEASURE_S = 2;
const PINGS = 80;
const PING_S = 0.02;
const STREAMS = 4;
const RATE = ["rate", "100mbit", "burst", "32kb"];

// How much worse than the kernel's device counts as a defect rather than as chance, on a machine that others use too: in
// the best of the rounds, of which there are as many as it takes. A sender that holds up the receiver leaves next to nothing of the other direction.
const LEAST_SHARE = 0.4;
const MOST_RTT = 1.5;
const RTT_ALLOWANCE_US = 5000;

/** Both are waited for, whichever fails. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  const [a, b] = await Promise.allSettled([first, second]);
  if (a.status === "rejected") throw a.reason;
  if (b.status === "rejected") throw b.reason;
  return [a.value, b.value];
}

describe.skipIf(notRoot)(rootTitle("a saturated uplink of 100 Mbit/s"), { timeout: 300_000 }, () => {
  let lab: Lab;
  let kernel: Testbed;
  let rungs: ReadonlyMap<string, Testbed>;
  beforeAll(async () => {
    lab = await Lab.create({ config: "none" });
    kernel = await openKernelVxlan(lab);
    rungs = new Map([
      ["auto", await openTwill(lab, "auto", [])],
      ["gso", await openTwill(lab, "gso", ["--offload=gso"])],
    ]);
  });
  afterAll(() => lab?.close());

  async function narrowed<T>({ machines }: Testbed, latency: string, work: () => Promise<T>): Promise<T> {
    const [machine] = machines as [Netns];
    const device = ["dev", "eth0", "root"];
    await machine.run(["tc", "qdisc", "add", ...device, "tbf", ...RATE, "latency", latency]);
    try {
      return await work();
    } finally {
      await machine.run(["tc", "qdisc", "delete", ...device]);
    }
  }

  interface Figures {
    readonly other: number;
    readonly rtt: number;
  }

  /** TCP in the other direction, and round trips, beside TCP that fills the uplink. */
  async function besideTcp(testbed: Testbed): Promise<Figures> {
    const { client, server } = testbed;
    const { directory } = lab;
    const count = ["-i", String(PING_S), "-c", String(PINGS), "-W", "3"];
    const measure = async (): Promise<Figures> => {
      await sleep(systemClock, SETTLE_MS);
      const ping = client.netns.capture(["ping", "-n", ...count, server.address]);
      const other = await tcpThroughput(server, client, { seconds: MEASURE_S, streams: 2, directory });
      return { other, rtt: mean(parseRoundTrips((await ping).stdout)) };
    };
    const [uplink, figures] = await narrowed(testbed, "50ms", () =>
      both(tcpThroughput(client, server, { seconds: LOAD_S, streams: STREAMS, directory }), measure()),
    );
    expect(uplink).toBeLessThan(110 * MB);
    expect(uplink).toBeGreaterThan(20 * MB);
    return figures;
  }

  test.for(["auto", "gso"])("%s: TCP fills it, the other direction and a ping go on", async (rung) => {
    const twill = rungs.get(rung) as Testbed;
    const ours: Figures[] = [];
    const theirs: Figures[] = [];
    const most = (figures: readonly Figures[]): number => Math.max(...figures.map(({ other }) => other));
    const least = (figures: readonly Figures[]): number => Math.min(...figures.map(({ rtt }) => rtt));
    const isShare = (): boolean => most(ours) > LEAST_SHARE * most(theirs);
    const isSoon = (): boolean => least(ours) < MOST_RTT * least(theirs) + RTT_ALLOWANCE_US;
    for (let round = 0; round < ROUNDS && !(isShare() && isSoon()); round++) {
      theirs.push(await besideTcp(kernel));
      ours.push(await besideTcp(twill));
    }
    expect({ ours, theirs, share: isShare(), soon: isSoon() }).toMatchObject({ share: true, soon: true });
  });

  // The queue is longer than the sender's socket has room, which then takes no more.
  test.for(["auto", "gso"])("%s: UDP overflows it, and what comes in goes on", async (rung) => {
    const twill = rungs.get(rung) as Testbed;
    const besideUdp = (testbed: Testbed): Promise<number> =>
      narrowed(testbed, "4000ms", async () => {
        const flow = await DatagramFlow.open(testbed.client, testbed.server, lab.directory);
        await flow.flood(lab.directory);
        await sleep(systemClock, SETTLE_MS);
        const back = { ...testbed, client: testbed.server, server: testbed.client };
        const { udp64 = 0 } = await measureUdp(back, 1, lab.directory);
        await flow.kill();
        return udp64;
      });
    const blocked = async (): Promise<number> => counter(lab.node(rung === "auto" ? 1 : 3), "tx_blocked");
    const before = await blocked();
    const ours: number[] = [];
    const theirs: number[] = [];
    const isShare = (): boolean => Math.max(...ours) > LEAST_SHARE * Math.max(...theirs);
    for (let round = 0; round < ROUNDS && !isShare(); round++) {
      theirs.push(await besideUdp(kernel));
      ours.push(await besideUdp(twill));
    }
    expect(await blocked()).toBeGreaterThan(before);
    expect({ ours, theirs, share: isShare() }).toMatchObject({ share: true });
  });
});

/** A counter of a node's packet loop. */
async function counter(node: Node, name: string): Promise<number> {
  const { stdout } = await node.ctl(["--json", "status"]);
  const { dataplane } = JSON.parse(stdout) as { dataplane: { counters: Readonly<Record<string, string | number>> } };
  const value = Number(dataplane.counters[name]);
  if (Number.isNaN(value)) throw new Error(`${node.name} has no counter ${name}`);
  return value;
}

describe.skipIf(notRoot)(rootTitle("agents that come and go under full load"), { timeout: 300_000 }, () => {
  const RESTARTS = 10;
  // The goal is 1 s; what is beyond this hangs, on however busy a machine.
  const EXIT_MS = 3000;
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ nodes: 2, pods: 1 });
  });
  afterAll(() => lab?.close());

  /** Stops the node's twilld and starts it again. Returns how long the exit took, in milliseconds. */
  async function restart(node: Node): Promise<number> {
    const { twilld } = node;
    if (!twilld) throw new Error(`no twilld on ${node.name}`);
    const start = systemClock.now();
    const ending = await twilld.stop(2 * EXIT_MS);
    const took = systemClock.now() - start;
    expect(ending).toEqual({ status: 0, signal: null });
    await node.start();
    await node.ready();
    return took;
  }

  test("ten restarts: each exits soon, nothing hangs, no datagram comes twice", async () => {
    const { directory } = lab;
    const [a, b] = [lab.pod(1, 1), lab.pod(2, 1)];
    const flows = [await DatagramFlow.open(a, b, directory), await DatagramFlow.open(b, a, directory)];
    for (const flow of flows) await flow.flood(directory);
    const iperf = { name: "iperf3", log: `${directory}/iperf3.log` };
    const server = await b.netns.start(["iperf3", "--server", "--port", "5300"], iperf);
    await sleep(systemClock, 200);
    const client = await a.netns.start(
      ["iperf3", "--client", b.address, "--port", "5300", "--time", "600", "--parallel", "4"],
      iperf,
    );
    const exits: number[] = [];
    for (let i = 0; i < RESTARTS; i++) {
      exits.push(await restart(lab.node(1 + (i % 2))));
      await sleep(systemClock, 200);
    }
    expect(client.running).toBe(true);
    await client.kill();
    await server.kill();
    for (const flow of flows) await flow.stopFlood();
    for (const flow of flows) {
      const { datagrams, bad, twice } = await flow.end();
      expect({ bad, twice }).toEqual({ bad: 0, twice: 0 });
      expect(datagrams).toBeGreaterThan(10_000);
    }
    expect(Math.max(...exits)).toBeLessThan(EXIT_MS);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      expect(await transferTcp(from, to, 5 * MB, directory)).toMatchObject({ bytes: 5 * MB, intact: true });
    }
  });
});
