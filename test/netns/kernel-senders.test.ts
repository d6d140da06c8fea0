// What a node of the kernel plane lets in: only what its sender may send.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { macBytes } from "../../pkg/addr/mac.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Netns } from "../../pkg/lab/netns.ts";
import type { Node } from "../../pkg/lab/node.ts";
import type { Pod } from "../../pkg/lab/pod.ts";
import { ETHERNET_HEADER_LEN, putEthernet } from "../../pkg/packet/ethernet.ts";
import { putVxlan, VXLAN_HEADER_LEN } from "../../pkg/packet/vxlan.ts";
import { type Inner, udpPacket } from "../inner-packet.ts";
import { mac, prefix } from "../literals.ts";
import { until } from "../until.ts";
import { addKernelPeer, type KernelPeer, readLeases } from "./kernel-peer.ts";
import { notRoot, rootTitle } from "./netns.ts";

const IPV4 = { Network: "10.244.0.0/16", Backend: { Type: "vxlan" } };
const KERNEL_SUBNET = { 4: prefix("10.244.200.0/24") } as const;

/** Adds a node of the kernel plane with one pod. */
async function addNode(lab: Lab, args: readonly string[] = []): Promise<Node> {
  const node = await lab.addNode({ args: ["--dataplane=kernel", ...args] });
  await node.start();
  await node.ready();
  await node.addPod();
  return node;
}

const podOf = (node: Node): Pod => node.pods[0] as Pod;
const show = async (node: Node, command: string): Promise<string> => (await node.run(command.split(" "))).stdout;

async function counters(node: Node): Promise<Readonly<Record<string, number>>> {
  const { stdout } = await node.ctl(["--json", "status"]);
  const status = JSON.parse(stdout) as { dataplane: { counters: Record<string, number> } };
  return status.dataplane.counters;
}

describe.skipIf(notRoot)(rootTitle("a kernel node that others try to deceive"), () => {
  let lab: Lab;
  let node: Node;
  let peer: KernelPeer;
  let stranger: Netns;
  let ownMac = "";
  const PEER_MAC = "0a:00:00:00:00:c4";
  beforeAll(async () => {
    lab = await Lab.create({ config: IPV4 });
    node = await addNode(lab, ["--resync=1s"]);
    peer = await addKernelPeer(lab, { 4: KERNEL_SUBNET[4] });
    stranger = (await lab.addPlainNode()).netns;
    await until(async () => (await show(node, "ip route")).includes("10.244.200.0/24"));
    const [lease] = (await readLeases(lab)).filter((each) => each.attrs.nodeId !== undefined);
    ownMac = lease?.attrs.vtep[4]?.mac ?? "";
  });
  afterAll(() => lab?.close());

  /** Sends one VXLAN datagram with this inner packet to the node. */
  async function send(from: Netns, inner: Inner, vni = 1, type = 0x0800): Promise<void> {
    const packet = udpPacket(inner);
    const at = VXLAN_HEADER_LEN + ETHERNET_HEADER_LEN;
    const frame = new Uint8Array(at + packet.length);
    putVxlan(frame, 0, vni);
    putEthernet(frame, VXLAN_HEADER_LEN, Uint8Array.from([...macBytes(mac(ownMac)), ...macBytes(mac(PEER_MAC))]), type);
    frame.set(packet, at);
    const script = `const s = require("node:dgram").createSocket("udp4");
      s.send(Buffer.from("${Buffer.from(frame).toString("hex")}", "hex"), 8472, "${node.address}", () => s.close())`;
    await from.run([process.execPath, "-e", script]);
  }

  /** How many datagrams have reached the pod, where nobody listens. */
  async function arrived(): Promise<number> {
    const { stdout } = await podOf(node).netns.run(["nstat", "-asz", "--json", "UdpNoPorts"]);
    return (JSON.parse(stdout) as { kernel: { UdpNoPorts: number } }).kernel.UdpNoPorts;
  }

  const payload = new Uint8Array(100);
  const cases: readonly {
    readonly what: string;
    readonly src: string;
    readonly dst?: string;
    readonly from?: "stranger";
    readonly type?: number;
    readonly counter: string | undefined;
  }[] = [
    { what: "a pod of the peer", src: "10.244.200.10", counter: undefined },
    { what: "the peer's host", src: "PEER", counter: undefined },
    { what: "the world, through the peer", src: "203.0.113.5", counter: "rx_foreign_accepted" },
    { what: "another node's pod", src: "10.244.7.7", counter: "rx_spoofed_source" },
    { what: "our own pod", src: "POD", counter: "rx_spoofed_source" },
    { what: "our own address", src: "NODE", counter: "rx_spoofed_source" },
    { what: "loopback", src: "127.0.0.1", counter: "rx_martian" },
    { what: "a group", src: "224.0.0.5", counter: "rx_martian" },
    { what: "somebody else's subnet", src: "10.244.200.10", dst: "10.244.7.7", counter: "rx_bad_destination" },
    { what: "a group as its destination", src: "10.244.200.10", dst: "224.0.0.5", counter: "rx_bad_destination" },
    { what: "another protocol", src: "10.244.200.10", type: 0x0806, counter: "rx_not_ip" },
    { what: "a stranger", src: "203.0.113.5", from: "stranger", counter: "rx_unknown_peer" },
    { what: "a stranger as the peer's pod", src: "10.244.200.10", from: "stranger", counter: "rx_spoofed_source" },
  ];
  test.each(cases)("$what: $counter", async ({ src, dst, from, type, counter }) => {
    const pod = podOf(node).address;
    const names: Record<string, string> = { PEER: peer.host.address, POD: pod, NODE: node.address };
    const [before, had] = [await counters(node), await arrived()];
    const inner = { src: names[src] ?? src, dst: dst ?? pod, payload };
    await send(from === "stranger" ? stranger : peer.host.netns, inner, 1, type);
    const count = async (name: string): Promise<number> => ((await counters(node))[name] ?? 0) - (before[name] ?? 0);
    if (counter === undefined || counter === "rx_foreign_accepted")
      await until(async () => (await arrived()) === had + 1);
    if (counter !== undefined) await until(async () => (await count(counter)) === 1);
    if (counter !== undefined && counter !== "rx_foreign_accepted") expect(await arrived()).toBe(had);
  });

  test("another network's VXLAN on the same port is none of our business", async () => {
    const before = await counters(node);
    await node.run("ip link add other type vxlan id 9 dstport 8472 dev eth0 nolearning".split(" "));
    await node.run(["ip", "link", "set", "other", "up", "address", ownMac]);
    await send(stranger, { src: "10.99.0.1", dst: "10.99.0.2", payload }, 9);
    await until(async () => {
      const { stdout } = await node.run(["sh", "-c", "grep other: /proc/net/dev"]);
      return Number(stdout.trim().split(/\s+/)[2]) === 1;
    });
    const after = await counters(node);
    expect(after["rx_unknown_peer"]).toBe(before["rx_unknown_peer"]);
    await node.run(["ip", "link", "delete", "other"]);
  });

  test("with --verify-sender=strict the world does not come through a peer", async () => {
    await node.restart(["--dataplane=kernel", "--verify-sender=strict"]);
    const had = await arrived();
    await send(peer.host.netns, { src: "203.0.113.5", dst: podOf(node).address, payload });
    await until(async () => ((await counters(node))["rx_foreign_source"] ?? 0) === 1);
    expect(await arrived()).toBe(had);
    await send(peer.host.netns, { src: "10.244.200.10", dst: podOf(node).address, payload });
    await until(async () => (await arrived()) === had + 1);
  });
});
