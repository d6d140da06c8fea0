// The network between the nodes changes under running agents: MTU, address, a link that goes down. Nothing is restarted,
// and every node keeps its subnet.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { until } from "../until.ts";
import { readLeases } from "./kernel-peer.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { transferTcp } from "./tcp.ts";

const MB = 1_000_000;
const NEW_ADDRESS = "172.31.9.9";

describe.skipIf(notRoot).each([
  { name: "tun", args: [], backend: { Type: "vxlan" }, overhead: 50 },
  { name: "kernel", args: ["--dataplane=kernel"], backend: { Type: "vxlan" }, overhead: 50 },
  { name: "DirectRouting", args: [], backend: { Type: "vxlan", DirectRouting: true }, overhead: 50 },
  { name: "host-gw", args: [], backend: { Type: "host-gw" }, overhead: 0 },
])(rootTitle("the underlay changes: $name"), ({ args, backend, overhead }) => {
  let lab: Lab;
  let before: readonly string[];
  beforeAll(async () => {
    lab = await Lab.create({ nodes: 3, pods: 1, config: { Network: "10.244.0.0/16", Backend: backend }, args });
    before = await subnets();
  });
  afterAll(async () => {
    try {
      // Nobody has been restarted, and nobody has another subnet or has complained of a defect.
      expect(await subnets()).toEqual(before);
      for (const node of lab.nodes) expect(node.logText()).not.toMatch(/"level":"error"|ERROR|ended by a defect/);
    } finally {
      await lab?.close();
    }
  });

  const subnets = async (): Promise<string[]> => (await readLeases(lab)).map(({ key }) => key).sort();
  const keys = async (): Promise<string[]> =>
    (await lab.etcd.list(`${lab.prefix}/twill/nodes/`)).map(({ key }) => key.split("/").at(-1) ?? "").sort();
  const publicIpOf = async (node: Node): Promise<string | undefined> => {
    const key = (node.subnetEnv()["FLANNEL_SUBNET"] ?? "").replace(".1/", ".0-");
    const row = (await lab.etcd.list(`${lab.prefix}/subnets/${key}`))[0];
    return row && (JSON.parse(row.value) as { PublicIP: string }).PublicIP;
  };

  /** All pods reach all pods. */
  async function expectAllTcp(): Promise<void> {
    for (const [from, to] of [
      [1, 2],
      [2, 1],
      [3, 1],
      [2, 3],
    ] as const) {
      const [a, b] = [lab.pod(from, 1), lab.pod(to, 1)];
      expect(await transferTcp(a, b, MB, lab.directory)).toEqual({ sender: a.address, bytes: MB, intact: true });
    }
  }

  async function pings(from: number, to: number): Promise<boolean> {
    const { address } = lab.pod(to, 1);
    return (await lab.pod(from, 1).netns.capture(["ping", "-c", "1", "-W", "1", address])).status === 0;
  }

  test("another MTU is taken over by the device and told to pods that come", async () => {
    const [node, pid] = [lab.node(1), lab.node(1).twilld?.pid];
    await expectAllTcp();
    for (const mtu of [1400, 1500]) {
      await node.run(["ip", "link", "set", "eth0", "mtu", String(mtu)]);
      await until(() => node.subnetEnv()["FLANNEL_MTU"] === String(mtu - overhead));
      if (overhead > 0 && args.length === 0) {
        expect((await node.run(["ip", "link", "show", "twill.1"])).stdout).toContain(`mtu ${mtu - overhead}`);
      }
    }
    await expectAllTcp();
    expect(node.twilld?.pid).toBe(pid);
  });

  test("another address is published, and peers follow it", async () => {
    const node = lab.node(1);
    const pid = node.twilld?.pid;
    await node.run(["ip", "address", "delete", `${node.address}/16`, "dev", "eth0"]);
    await node.run(["ip", "address", "add", `${NEW_ADDRESS}/16`, "dev", "eth0"]);
    await node.run(["ip", "route", "replace", "default", "via", "172.31.0.1"]);
    const began = performance.now();
    await until(async () => (await publicIpOf(node)) === NEW_ADDRESS);
    await until(async () => (await pings(2, 1)) && (await pings(1, 3)));
    expect(performance.now() - began).toBeLessThan(15_000);
    await expectAllTcp();
    await until(async () => (await keys()).join() === ["172.31.1.2", "172.31.1.3", NEW_ADDRESS].sort().join());
    // What the others were programmed with for the old address is gone.
    for (const peer of [lab.node(2), lab.node(3)]) {
      expect((await peer.run(["ip", "route"])).stdout).not.toContain(node.address);
      expect((await peer.run(["bridge", "fdb"])).stdout).not.toContain(node.address);
    }
    await until(async () => (await node.http("/readyz")).status === 200);
    expect(node.twilld?.pid).toBe(pid);
    expect(await subnets()).toEqual(before);
  });

  test("a link that goes down and comes up again has everything back", async () => {
    const node = lab.node(2);
    await node.run(["ip", "link", "set", "eth0", "down"]);
    await until(async () => !(await pings(1, 2)));
    await node.run(["ip", "link", "set", "eth0", "up"]);
    await node.run(["ip", "route", "replace", "default", "via", "172.31.0.1"]);
    await until(async () => await pings(1, 2));
    await expectAllTcp();
    expect(await subnets()).toEqual(before);
  });
});
