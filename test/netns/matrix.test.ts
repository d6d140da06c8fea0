// Every kind of node with every other in one cluster: the tun plane, the kernel plane, and a machine whose kernel was
// programmed by hand as flannel does it; over each family, with DirectRouting and without, and host-gw among its own.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAMILIES, type Family } from "../../pkg/addr/family.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { prefix } from "../literals.ts";
import { until } from "../until.ts";
import { addKernelPeer } from "./kernel-peer.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { type End, transferTcp } from "./tcp.ts";

const BYTES = 2_000_000;
const IPV4 = { Network: "10.244.0.0/16" };
const IPV6 = { EnableIPv6: true, IPv6Network: "fd10:244::/48" };
const HAND_SUBNET = { 4: prefix("10.244.200.0/24"), 6: prefix("fd10:244:0:c8::/64") } as const;
const HAND_ROUTE = { 4: "10.244.200.0/24", 6: "fd10:244:0:c8::/64" } as const;
const ICMP_OVERHEAD = { 4: 20 + 8, 6: 40 + 8 } as const;

const NETWORKS = [
  { over: "IPv4", families: [4] as const, config: IPV4, mtu: 1450 },
  { over: "dual stack", families: FAMILIES, config: { ...IPV4, ...IPV6 }, mtu: 1430 },
  { over: "IPv6 alone", families: [6] as const, config: { EnableIPv4: false, ...IPV6 }, mtu: 1430 },
];
const BACKENDS = [
  { name: "vxlan", backend: { Type: "vxlan" } },
  { name: "vxlan with DirectRouting", backend: { Type: "vxlan", DirectRouting: true } },
  { name: "host-gw", backend: { Type: "host-gw" } },
];

// One way is enough between nodes of one kind.
const VXLAN_PAIRS = [
  ["tun", "tun 2"],
  ["tun", "kernel"],
  ["kernel", "tun"],
  ["kernel", "kernel 2"],
  ["tun", "hand"],
  ["hand", "tun"],
  ["kernel", "hand"],
  ["hand", "kernel"],
] as const;
const HOST_GW_PAIRS = [
  ["tun", "kernel"],
  ["kernel", "tun"],
] as const;

type Ends = Readonly<Record<string, (family: Family) => End>>;

/** One pod on each kind of node, under the kind's name; all nodes know each other when it resolves. */
async function open(lab: Lab, families: readonly Family[], backend: (typeof BACKENDS)[number]): Promise<Ends> {
  const ends: Record<string, (family: Family) => End> = {};
  const isVxlan = backend.name !== "host-gw";
  const names = isVxlan ? ["tun", "kernel", "tun 2", "kernel 2"] : ["tun", "kernel"];
  for (const name of names) await lab.addNode({ args: [`--dataplane=${name.split(" ")[0]}`, "--resync=1s"] });
  // Side by side, since each mostly waits.
  await Promise.all(lab.nodes.map((node) => node.start()));
  await Promise.all(lab.nodes.map((node) => node.ready()));
  await Promise.all(lab.nodes.map((node) => node.addPod()));
  for (const [i, name] of names.entries()) {
    const { netns, addresses } = lab.pod(i + 1, 1);
    ends[name] = (family) => ({
      netns,
      address: addresses.find((text) => text.includes(":") === (family === 6)) ?? "",
    });
  }
  if (isVxlan) {
    const subnet = Object.fromEntries(families.map((family) => [family, HAND_SUBNET[family]]));
    const hand = await addKernelPeer(lab, subnet, { direct: "DirectRouting" in backend.backend });
    ends["hand"] = (family) => ({ netns: hand.pod, address: hand.address[family] ?? "" });
  }
  for (const node of lab.nodes) await until(() => knowsAll(lab, node, families, isVxlan));
  return ends;
}

async function knowsAll(lab: Lab, node: Node, families: readonly Family[], withHand: boolean): Promise<boolean> {
  for (const family of families) {
    const { stdout } = await node.run(["ip", `-${family}`, "route", "show"]);
    if (withHand && !stdout.includes(HAND_ROUTE[family])) return false;
    const key = family === 4 ? "FLANNEL_SUBNET" : "FLANNEL_IPV6_SUBNET";
    for (const peer of lab.nodes) {
      const [gateway = ""] = (peer.subnetEnv()[key] ?? "").split("/");
      const subnet = family === 4 ? gateway.replace(/\.1$/, ".0/") : gateway.replace(/::1$/, "::/");
      if (peer !== node && !stdout.includes(subnet)) return false;
    }
  }
  return true;
}

describe.skipIf(notRoot).each(NETWORKS)(rootTitle("every node with every other, $over"), (network) => {
  describe.each(BACKENDS)("$name", (backend) => {
    let lab: Lab;
    let ends: Ends;
    beforeAll(async () => {
      lab = await Lab.create({ config: { ...network.config, Backend: backend.backend } });
      ends = await open(lab, network.families, backend);
    });
    afterAll(() => lab?.close());

    const pairs = backend.name === "host-gw" ? HOST_GW_PAIRS : VXLAN_PAIRS;
    const mtu = backend.name === "host-gw" ? 1500 : network.mtu;
    const cases = pairs.flatMap(([from, to]) => network.families.map((family) => ({ from, to, family })));

    test.concurrent.each(cases)("$from to $to by IPv$family", async ({ from, to, family }) => {
      const [a, b] = [ends[from]?.(family), ends[to]?.(family)];
      if (!a || !b) throw new Error(`there is no ${from} or no ${to}`);
      // It echoes without NAT, or the answer would come from somebody else; the first may find no neighbour yet.
      await a.netns.run(["ping", "-c", "2", "-i", "0.2", "-W", "2", b.address]);
      const payload = String(mtu - ICMP_OVERHEAD[family]);
      const { stdout } = await a.netns.capture(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", payload, b.address]);
      expect(stdout).toContain("1 received");
      expect(await transferTcp(a, b, BYTES, lab.directory)).toEqual({ sender: a.address, bytes: BYTES, intact: true });
    });

    test("no packet had a wrong checksum", async () => {
      for (const end of Object.values(ends)) {
        const { stdout } = await end(4).netns.run(["nstat", "-asz", "--json", "TcpInCsumErrors"]);
        expect(JSON.parse(stdout)).toEqual({ kernel: { TcpInCsumErrors: 0 } });
      }
    });
  });
});
