// A node changes its data plane while its pods run, and takes over a host that flannel has run.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatAddr } from "../../pkg/addr/addr.ts";
import { formatPrefix } from "../../pkg/addr/prefix.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { addr, mac, prefix } from "../literals.ts";
import { until } from "../until.ts";
import { compiled } from "./compiled.ts";
import { putLease, readLeases } from "./kernel-peer.ts";
import { notRoot, rootTitle } from "./netns.ts";
import type { Streamed } from "./stream.ts";
import { type End, transferTcp } from "./tcp.ts";

const MB = 1_000_000;
const STREAM = join(import.meta.dirname, "stream.ts");
const show = async (node: Node, command: string): Promise<string> => (await node.run(command.split(" "))).stdout;

/** Keeps a TCP connection busy while `meanwhile` runs, and tells what the receiver saw of it. */
async function streamDuring(lab: Lab, from: End, to: End, meanwhile: () => Promise<void>): Promise<Streamed> {
  const log = join(lab.directory, "stream.log");
  const lines = (): string[] => readFileSync(log, "utf8").split("\n").slice(0, -1);
  writeFileSync(log, "");
  const receiver = await to.netns.start([process.execPath, compiled(STREAM), "receive", to.address, "7000"], {
    name: "the receiver of the stream",
    log,
  });
  await until(() => lines().length === 1);
  const sender = await from.netns.start(
    [process.execPath, compiled(STREAM), "send", from.address, to.address, "7000"],
    {
      name: "the sender of the stream",
      log: join(lab.directory, "stream-send.log"),
    },
  );
  await until(() => lines().length === 2);
  await meanwhile();
  await sender.stop();
  await until(() => lines().length === 3);
  await receiver.stop();
  return JSON.parse(lines()[2] ?? "") as Streamed;
}

describe.skipIf(notRoot)(rootTitle("a node changes its data plane"), () => {
  let lab: Lab;
  beforeAll(async () => {
    const config = {
      Network: "10.244.0.0/16",
      EnableIPv6: true,
      IPv6Network: "fd10:244::/48",
      Backend: { Type: "vxlan" },
    };
    lab = await Lab.create({ nodes: 2, pods: 1, config });
  });
  afterAll(() => lab?.close());

  const devices = { tun: "twill.1", kernel: "flannel.1" };

  test.each([
    ["tun", "kernel"],
    ["kernel", "tun"],
    ["tun", "kernel"],
  ] as const)("from %s to %s: same subnet, same VTEP, and connections outlive it", async (before, after) => {
    const node = lab.node(1);
    await until(async () => (await show(node, "ip -brief link")).includes(devices[before]));
    const leases = await readLeases(lab);
    const [inside, outside] = [lab.pod(1, 1), lab.pod(2, 1)];
    const streamed = await streamDuring(lab, inside, outside, async () => {
      await node.stop();
      await node.start([`--dataplane=${after}`]);
      await node.ready();
      // The last of the other plane goes when the new one is in sync.
      await until(async () => !(await show(node, "ip -brief link")).includes(devices[before]));
      await new Promise((resolve) => setTimeout(resolve, 500));
    });
    console.log(`${before} to ${after}: ${streamed.longestGapMs} ms without anything from an open connection`);
    expect(streamed).toMatchObject({ intact: true });
    expect(streamed.records).toBeGreaterThan(50);
    const facts = (lease: (typeof leases)[number]): unknown => [lease.key, lease.attrs.vtep, lease.attrs.publicIp];
    expect((await readLeases(lab)).map(facts)).toEqual(leases.map(facts));
    const links = await show(node, "ip -brief link");
    expect(links).toContain(devices[after]);
    expect(links).not.toMatch(after === "kernel" ? /twill\.1|twgso/ : /flannel/);
    const routes = (await show(node, "ip route")) + (await show(node, "ip -6 route"));
    expect(routes).not.toContain(`dev ${devices[before]}`);
    expect((await show(node, "nft list tables")).includes("twill-sender")).toBe(after === "kernel");
    for (const address of outside.addresses) {
      const from = inside.addresses.find((each) => each.includes(":") === address.includes(":")) ?? "";
      expect(
        await transferTcp({ netns: inside.netns, address: from }, { netns: outside.netns, address }, MB, lab.directory),
      ).toEqual({
        sender: from,
        bytes: MB,
        intact: true,
      });
    }
    expect(node.logText()).toContain("removed the device of another data plane");
  });

  test("after a crash nothing of the agent goes on running", async () => {
    const node = lab.node(1);
    // By process id: other labs on this machine have monitors of their own.
    const children = async (): Promise<string[]> => {
      const { stdout } = await node.netns.capture(["pgrep", "-P", String(node.twilld?.pid), "-f", "^(ip|nft) monitor"]);
      return stdout.split("\n").filter((pid) => pid !== "");
    };
    await until(async () => (await children()).length >= 2);
    const monitors = await children();
    await node.kill();
    // One that has ended may wait for its parent to take notice; it has no command line any more.
    const runs = (pid: string): boolean =>
      existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "";
    await until(() => !monitors.some(runs));
    await node.start(["--dataplane=kernel"]);
    await node.ready();
  });
});

describe.skipIf(notRoot)(rootTitle("a node takes over from flannel"), () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1, pods: 1 });
  });
  afterAll(() => lab?.close());

  const FLANNEL_RULES = {
    filter: [
      ["-N", "FLANNEL-FWD"],
      ["-A", "FLANNEL-FWD", "-s", "10.244.0.0/16", "-m", "comment", "--comment", "flanneld forward", "-j", "ACCEPT"],
      ["-A", "FORWARD", "-m", "comment", "--comment", "flanneld forward", "-j", "FLANNEL-FWD"],
    ],
    nat: [
      ["-N", "FLANNEL-POSTRTG"],
      [
        "-A",
        "FLANNEL-POSTRTG",
        "-s",
        "10.244.0.0/16",
        "-m",
        "comment",
        "--comment",
        "flanneld masq",
        "-j",
        "MASQUERADE",
      ],
      ["-A", "POSTROUTING", "-m", "comment", "--comment", "flanneld masq", "-j", "FLANNEL-POSTRTG"],
    ],
  };

  /** What flanneld leaves on a node when it is stopped: everything but its process. */
  async function asFlannelLeavesIt(node: Node, subnetText: string, vtepMac: string): Promise<void> {
    const [subnet, other] = [prefix(subnetText), lab.node(1)];
    const others = (await readLeases(lab)).filter((lease) => lease.attrs.nodeName === other.name);
    const own = formatAddr(subnet);
    const lines = [
      `link add flannel.1 address ${vtepMac} mtu 1450 type vxlan id 1 local ${node.address} dev eth0 dstport 8472 nolearning`,
      `address add ${own}/32 dev flannel.1`,
      "link set flannel.1 up",
    ];
    for (const { subnet: theirs, attrs } of others) {
      const net = theirs[4];
      if (!net) continue;
      lines.push(`neigh replace ${formatAddr(net)} lladdr ${attrs.vtep[4]?.mac} dev flannel.1 nud permanent`);
      lines.push(`route replace ${formatPrefix(net)} via ${formatAddr(net)} dev flannel.1 onlink`);
    }
    await node.run(["ip", "-batch", "-"], { input: lines.join("\n") });
    for (const [table, rules] of Object.entries(FLANNEL_RULES)) {
      for (const rule of rules) await node.run(["iptables", "-t", table, ...rule]);
    }
    writeFileSync(
      node.subnetFile,
      `FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=${own.replace(/0$/, "1")}/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n`,
    );
    await putLease(
      lab,
      { 4: subnet },
      {
        publicIp: { 4: addr(node.address) },
        backendType: "vxlan",
        vtep: { 4: { vni: 1, mac: mac(vtepMac) } },
      },
    );
  }

  test.each([
    ["kernel", "10.244.101.0/24", "6e:00:00:00:00:01"],
    ["tun", "10.244.102.0/24", "6e:00:00:00:00:02"],
  ] as const)("%s: keeps subnet and VTEP MAC, and nothing of flannel's rules", async (plane, subnet, vtepMac) => {
    const node = await lab.addNode();
    await asFlannelLeavesIt(node, subnet, vtepMac);
    const index = (await show(node, "ip -o link show dev flannel.1")).split(":")[0];
    await node.start([`--dataplane=${plane}`]);
    await node.ready();
    expect(node.subnetEnv()["FLANNEL_SUBNET"]).toBe(subnet.replace(".0/", ".1/"));
    const lease = (await readLeases(lab)).find((each) => each.attrs.nodeName === node.name);
    expect(lease?.attrs.vtep[4]).toEqual({ vni: 1, mac: vtepMac });
    expect(await show(node, "iptables-save")).not.toContain("FLANNEL");
    const links = await show(node, "ip -o link");
    if (plane === "kernel") {
      expect((await show(node, "ip -o link show dev flannel.1")).split(":")[0]).toBe(index);
      expect(await show(node, "ip link show dev flannel.1")).toContain(vtepMac);
    } else {
      expect(links).not.toContain("flannel");
      expect(node.logText()).toContain("removed the device of another data plane");
    }
    expect(node.logText()).toContain("going on with the VTEP that this host has");
    const pod = await node.addPod();
    expect(await transferTcp(pod, lab.pod(1, 1), MB, lab.directory)).toEqual({
      sender: pod.address,
      bytes: MB,
      intact: true,
    });
  });
});
