// Every kind of spoofed datagram against a real node of either plane: none reaches a pod, each is counted under its name,
// none is answered and none is logged. The same as a flood: node test/security/spoof-flood.ts.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import { addAttacker, attack, countArrivals, sceneOf } from "../security/attack.ts";
import { spoofClasses, undetectable } from "../security/spoof-classes.ts";
import { notRoot, rootTitle } from "./netns.ts";

const COUNT = 100;

describe.skipIf(notRoot)(rootTitle("spoofed datagrams"), () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ nodes: 3, args: ["--verify-sender=strict", "--resync=1s"] });
    await lab.node(1).addPod();
  });
  afterAll(() => lab?.close());

  test("are dropped and counted, on the tun plane and on the kernel plane", async () => {
    const node = lab.node(1);
    const pod = lab.pod(1, 1);
    const scene = await sceneOf(lab, pod.address);
    const classes = spoofClasses(scene);
    const attacker = await addAttacker(lab, node, [...classes, undetectable(scene)]);
    const arrived = await countArrivals(pod.netns, "eth0");
    const answered = await countReplies(attacker.netns);
    const counters = async (): Promise<Record<string, number>> => {
      const { stdout } = await node.ctl(["status", "--json"]);
      const found = Object.entries(countersIn(JSON.parse(stdout)));
      return Object.fromEntries(found.map(([name, count]) => [name, Number(count)]));
    };

    for (const plane of ["tun", "kernel"] as const) {
      if (plane === "kernel") await node.restart(["--dataplane=kernel"]);
      const lines = node.logText().split("\n").length;
      const deliveredBefore = await arrived();
      const before = await counters();
      await attack(lab, attacker, node.address, classes, { count: COUNT });
      const expected = new Map<string, number>();
      for (const one of classes) {
        const name = one[plane];
        if (name !== undefined) expected.set(name, (expected.get(name) ?? 0) + COUNT);
      }
      // The kernel plane's counters are read at each reconcile.
      const risen = async (): Promise<Record<string, number>> => {
        const after = await counters();
        return Object.fromEntries([...expected.keys()].map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
      };
      await expect.poll(risen, { timeout: 20_000, interval: 200 }).toEqual(Object.fromEntries(expected));
      expect(await arrived()).toBe(deliveredBefore);
      expect(await answered()).toBe(0);
      expect(node.logText().split("\n").length).toBe(lines);

      // What cannot be told from a peer's own arrives, so the count above is one that can rise; some of it as super-packets.
      await attack(lab, attacker, node.address, [undetectable(scene)], { count: COUNT });
      await expect.poll(arrived, { timeout: 5000 }).toBeGreaterThan(deliveredBefore);
    }
  });
});

// Datagrams and errors that come back to the attacker.
async function countReplies(netns: Parameters<typeof countArrivals>[0]): Promise<() => Promise<number>> {
  await netns.run(["nft", "-f", "-"], {
    input: `table netdev replies { chain in { type filter hook ingress device eth0 priority -500; meta l4proto { udp, icmp } counter; }; }`,
  });
  return async () => {
    const { stdout } = await netns.run(["nft", "list", "table", "netdev", "replies"]);
    return Number(/counter packets (\d+)/.exec(stdout)?.[1]);
  };
}

function countersIn(status: unknown): Record<string, string> {
  const { dataplane } = status as { dataplane?: { counters?: Record<string, string> } };
  if (!dataplane?.counters) throw new Error("the status has no counters");
  return dataplane.counters;
}
