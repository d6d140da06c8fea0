// `twillctl leave` and `reserve` against real agents, a real etcd and the kernel.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { TWILLCTL } from "../../pkg/lab/programs.ts";
import { until } from "../until.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { transferTcp } from "./tcp.ts";

const MB = 1_000_000;

describe.skipIf(notRoot).each([
  { name: "tun", backend: { Type: "vxlan" }, args: [], device: "twill.1" },
  { name: "kernel", backend: { Type: "vxlan" }, args: ["--dataplane=kernel"], device: "flannel.1" },
  { name: "DirectRouting", backend: { Type: "vxlan", DirectRouting: true }, args: [], device: "twill.1" },
  { name: "host-gw", backend: { Type: "host-gw" }, args: [], device: undefined },
])(rootTitle("a node leaves: $name"), ({ backend, args, device }) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ nodes: 2, pods: 1, config: { Network: "10.244.0.0/16", Backend: backend }, args });
  });
  afterAll(() => lab?.close());

  const show = async (node: Node, command: string): Promise<string> => (await node.run(command.split(" "))).stdout;
  const subnetOf = (node: Node): string => (node.subnetEnv()["FLANNEL_SUBNET"] ?? "").replace(".1/", ".0/");

  test("nothing of it stays, and twilld ends with 0", async () => {
    const [node1, node2] = [lab.node(1), lab.node(2)];
    const subnet = subnetOf(node1);
    await until(async () => (await show(node2, "ip route")).includes(subnet));
    await node1.run(["iptables", "-P", "FORWARD", "DROP"]);
    await node1.ctl(["status"]);
    const { stdout } = await node1.ctl(["leave"]);
    expect(stdout).toBe(`This node has left the cluster and given back ${subnet}. twilld ends.\n`);
    expect(await node1.twilld?.ended).toEqual({ status: 0, signal: null });
    expect(node1.logText()).toContain("stopped, this node has left the cluster");

    expect(existsSync(node1.subnetFile)).toBe(false);
    const status = JSON.parse(readFileSync(join(node1.runDir, "cni-status.json"), "utf8")) as { message: string };
    expect(status.message).toBe("this node has left the cluster: start twilld to join it again");
    const routes = await show(node1, "ip route");
    expect(routes).not.toContain(subnetOf(node2));
    if (device !== undefined) expect(await show(node1, "ip -brief link")).not.toContain(device);
    expect(await show(node1, "nft list tables")).not.toContain("twill");
    expect(await show(node1, "iptables-save")).not.toContain("TWILL");
    const keys = (await lab.etcd.list(`${lab.prefix}/`)).map(({ key }) => key.slice(lab.prefix.length + 1)).sort();
    expect(keys).toEqual(["config", `subnets/${subnetOf(node2).replace("/", "-")}`, `twill/nodes/${node2.address}`]);
    // Its etcd leases went with their keys: the other node's subnet and session are left.
    expect((await lab.etcd.ctl(["lease", "list"])).stdout).toMatch(/^found 2 leases/);
    await until(async () => !(await show(node2, "ip route")).includes(subnet));
  });

  test("without an agent it says what to do", async () => {
    const node = lab.node(1);
    const { status, stderr } = await node.netns.capture([TWILLCTL, `--socket=${node.socket}`, "leave"]);
    expect(stderr).toMatch(/^twillctl: no agent runs here: .*; start twilld, /);
    expect(status).toBe(3);
  });

  test("it joins again where a subnet is reserved for it, and carries pods", async () => {
    const [node1, node2] = [lab.node(1), lab.node(2)];
    // Subnets are drawn at random, so the other node may hold the one that comes to mind first.
    const third = subnetOf(node2) === "10.244.77.0/24" ? 78 : 77;
    const reserved = `10.244.${third}.0/24`;
    const key = `subnets/10.244.${third}.0-24`;
    const { stdout } = await node2.ctl(["reserve", reserved, node1.address]);
    expect(stdout).toContain(`${key} is reserved for 172.31.1.1; `);
    await node1.run(["iptables", "-P", "FORWARD", "ACCEPT"]);
    await node1.start();
    await node1.ready();
    expect(subnetOf(node1)).toBe(reserved);
    // The pod has an address of the old subnet, and so has the bridge.
    const pod = lab.pod(1, 1);
    await pod.detach();
    await node1.run(["ip", "link", "delete", "cni0"]);
    await pod.attach();
    const there = lab.pod(2, 1);
    await until(async () => (await show(node2, "ip route")).includes(reserved));
    expect(await transferTcp(pod, there, MB, lab.directory)).toEqual({ sender: pod.address, bytes: MB, intact: true });
    await node2.ctl(["unreserve", reserved]);
    const [lease] = await lab.etcd.list(`${lab.prefix}/${key}`);
    expect(lease?.leaseId).not.toBe("0");
    expect(await transferTcp(there, pod, MB, lab.directory)).toEqual({
      sender: there.address,
      bytes: MB,
      intact: true,
    });
  });
});
