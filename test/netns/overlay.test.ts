// What pods see of the network, and what others see of the leases: three twilld, two pods on each, and one node whose
// VXLAN is the kernel's own device, programmed by hand from the leases as flannel programs it.
//
//   pod1.1 pod1.2     pod2.1 pod2.2     pod3.1 pod3.2          pod k
//      node1             node2             node3        kernel node (vxlan device)
//   ─────┴─────────────────┴─────────────────┴─────────────────────┴───── underlay ── etcd

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Netns } from "../../pkg/lab/netns.ts";
import type { UnderlayHost } from "../../pkg/lab/underlay.ts";
import { buildPrograms, notRoot, rootTitle } from "./netns.ts";
import { type End, transferTcp } from "./tcp.ts";

const MB = 1_000_000;
const PREFIX = "/coreos.com/network";
const KERNEL_MAC = "0a:00:00:00:00:cc";
const KERNEL_SUBNET = "10.244.200";

describe.skipIf(notRoot)(rootTitle("pods on three nodes"), () => {
  let lab: Lab;
  beforeAll(async () => {
    await buildPrograms();
    lab = await Lab.create({ nodes: 3, pods: 2 });
  });
  afterAll(() => lab?.close());

  const tcpErrors = async (netns: Netns): Promise<number> => {
    const { stdout } = await netns.run(["nstat", "-asz", "--json", "TcpInCsumErrors"]);
    return (JSON.parse(stdout) as { kernel: { TcpInCsumErrors: number } }).kernel.TcpInCsumErrors;
  };

  test("the receiver sees the sender's own address, and 1 MB arrives intact", async () => {
    const [a, b] = [lab.pod(1, 1), lab.pod(2, 1)];
    for (const [from, to] of [
      [a, b],
      [b, a],
      [a, lab.pod(1, 2)],
    ] as const) {
      const transfer = await transferTcp(from, to, MB, lab.directory);
      expect(transfer).toEqual({ sender: from.address, bytes: MB, intact: true });
    }
    expect(await tcpErrors(a.netns)).toBe(0);
    expect(await tcpErrors(b.netns)).toBe(0);
  });

  test("a node reaches pods on every node by TCP", async () => {
    for (const pod of [lab.pod(1, 1), lab.pod(2, 1)]) {
      const from: End = { netns: lab.node(1).netns, address: "0.0.0.0" };
      expect(await transferTcp(from, pod, MB, lab.directory)).toMatchObject({ bytes: MB, intact: true });
    }
  });

  test("a pod reaches the other nodes, which see the node's address in its place", async () => {
    const node = lab.node(2);
    const transfer = await transferTcp(lab.pod(1, 1), { netns: node.netns, address: node.address }, MB, lab.directory);
    expect(transfer).toEqual({ sender: lab.node(1).address, bytes: MB, intact: true });
  });

  test("a packet of exactly the MTU passes with DF; one byte more is answered with what would fit", async () => {
    const [a, b] = [lab.pod(1, 1), lab.pod(2, 1)];
    // 1450 bytes: IPv4 header 20, ICMP header 8, payload 1422.
    await a.netns.run(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1422", b.address]);
    // With an interface that would let more through, the pod learns the MTU from its node.
    const { stdout } = await a.netns.run(["ip", "-j", "link", "show", "dev", "eth0"]);
    const peer = (JSON.parse(stdout) as { link_index: number }[])[0]?.link_index;
    const links = await a.node.netns.run(["ip", "-j", "link"]);
    const host = (JSON.parse(links.stdout) as { ifindex: number; ifname: string }[]).find((l) => l.ifindex === peer);
    for (const [netns, dev] of [
      [a.node.netns, "cni0"],
      [a.node.netns, host?.ifname ?? ""],
      [a.netns, "eth0"],
    ] as const) {
      await netns.run(["ip", "link", "set", dev, "mtu", "1500"]);
    }
    const big = await a.netns.capture(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1423", b.address]);
    expect(big.status).toBe(1);
    expect(big.stdout).toMatch(/^From [\d.]+ icmp_seq=1 Frag needed and DF set \(mtu = 1450\)$/m);
    // Larger packets without DF are cut and put together again.
    await a.netns.run(["ping", "-c", "1", "-W", "2", "-M", "dont", "-s", "8000", b.address]);
  });

  test("etcd shows the leases as flannel's", async () => {
    const keys = await lab.etcd.list(`${PREFIX}/subnets/`);
    expect(keys.length).toBe(3);
    for (const { key, value } of keys) {
      expect(key).toMatch(new RegExp(String.raw`^${PREFIX}/subnets/10\.244\.\d+\.0-24$`));
      expect(value).toMatch(
        /^\{"PublicIP":"172\.31\.[\d.]+","PublicIPv6":null,"BackendType":"vxlan","BackendData":\{"VNI":1,"VtepMAC":"[0-9a-f:]{17}"\},"NodeID":/,
      );
    }
    const { stdout: list } = await lab.etcd.ctl(["lease", "list"]);
    for (const { key, leaseId } of keys) {
      expect(list).toContain(leaseId);
      const { stdout } = await lab.etcd.ctl(["lease", "timetolive", "--keys", leaseId]);
      expect(stdout).toMatch(/granted with TTL\(86400s\), remaining\(86\d\d\ds\)/);
      expect(stdout).toContain(key);
    }
    const all = await lab.etcd.list(`${PREFIX}/subnets`);
    expect(all.map(({ key }) => key)).toEqual(keys.map(({ key }) => key));
  });

  describe("with a node whose VXLAN is the kernel's", () => {
    let kernel: UnderlayHost;
    let pod: End;
    beforeAll(async () => {
      kernel = await lab.addPlainNode();
      pod = await addKernelNode(lab, kernel);
    });

    test("TCP runs both ways, intact, between its pod and ours", async () => {
      const ours = lab.pod(1, 2);
      expect(await transferTcp(pod, ours, 20 * MB, lab.directory)).toEqual({
        sender: pod.address,
        bytes: 20 * MB,
        intact: true,
      });
      expect(await transferTcp(ours, pod, 20 * MB, lab.directory)).toEqual({
        sender: ours.address,
        bytes: 20 * MB,
        intact: true,
      });
      expect(await tcpErrors(ours.netns)).toBe(0);
      expect(await tcpErrors(pod.netns)).toBe(0);
    });

    test("TCP runs both ways between its host and our pods", async () => {
      const host: End = { netns: kernel.netns, address: `${KERNEL_SUBNET}.1` };
      const ours = lab.pod(2, 2);
      expect(await transferTcp(host, ours, 5 * MB, lab.directory)).toMatchObject({ bytes: 5 * MB, intact: true });
      expect(await transferTcp(ours, host, 5 * MB, lab.directory)).toMatchObject({ bytes: 5 * MB, intact: true });
    });

    test("packets of exactly the MTU pass both ways", async () => {
      const ours = lab.pod(3, 1);
      await pod.netns.run(["ping", "-c", "2", "-W", "2", "-M", "do", "-s", "1422", ours.address]);
      await ours.netns.run(["ping", "-c", "2", "-W", "2", "-M", "do", "-s", "1422", pod.address]);
    });

    test("our nodes forget it when its lease goes", async () => {
      const route = `${KERNEL_SUBNET}.0/24`;
      const routes = async (): Promise<string> =>
        (await lab.node(1).run(["ip", "route", "show", "dev", "twill.1"])).stdout;
      expect(await routes()).toContain(route);
      await lab.etcd.ctl(["del", `${PREFIX}/subnets/${KERNEL_SUBNET}.0-24`]);
      await until(async () => !(await routes()).includes(route), "the route to go");
    });
  });
});

// Makes the plain node what flannel makes of a node: vxlan device, one neighbour, FDB entry and route per peer, a lease.
async function addKernelNode(lab: Lab, host: UnderlayHost): Promise<End> {
  const on = async (text: string): Promise<void> => void (await host.netns.run(text.split(" ")));
  await on("sysctl -qw net.ipv4.ip_forward=1");
  await on(
    `ip link add flannel.1 address ${KERNEL_MAC} mtu 1450 type vxlan id 1 local ${host.address} dev eth0 dstport 8472 nolearning`,
  );
  await on(`ip address add ${KERNEL_SUBNET}.0/32 dev flannel.1`);
  await on("ip link set flannel.1 up");
  for (const { key, value } of await lab.etcd.list(`${PREFIX}/subnets/`)) {
    const net = key.split("/").at(-1)?.replace("-24", "") ?? "";
    const lease = JSON.parse(value) as { PublicIP: string; BackendData: { VtepMAC: string } };
    const mac = lease.BackendData.VtepMAC;
    await on(`ip neigh replace ${net} lladdr ${mac} dev flannel.1 nud permanent`);
    await on(`bridge fdb replace ${mac} dst ${lease.PublicIP} dev flannel.1 self permanent`);
    await on(`ip route replace ${net}/24 via ${net} dev flannel.1 onlink`);
  }
  const netns = await lab.namespaces.add("podk");
  await on(`ip link add pv mtu 1450 type veth peer name eth0 mtu 1450 netns podk`);
  await on(`ip address add ${KERNEL_SUBNET}.1/24 dev pv`);
  await on("ip link set pv up");
  const address = `${KERNEL_SUBNET}.10`;
  for (const text of [
    `ip address add ${address}/24 dev eth0`,
    "ip link set eth0 up",
    `ip route add default via ${KERNEL_SUBNET}.1`,
  ]) {
    await netns.run(text.split(" "));
  }
  const data = {
    PublicIP: host.address,
    PublicIPv6: null,
    BackendType: "vxlan",
    BackendData: { VNI: 1, VtepMAC: KERNEL_MAC },
  };
  const granted = await lab.etcd.ctl(["lease", "grant", "86400"]);
  const id = /lease ([0-9a-f]+) granted/.exec(granted.stdout)?.[1] ?? "";
  await lab.etcd.ctl(["put", `--lease=${id}`, `${PREFIX}/subnets/${KERNEL_SUBNET}.0-24`, JSON.stringify(data)]);
  for (const node of lab.nodes) {
    await until(
      async () => (await node.run(["ip", "route", "show", "dev", "twill.1"])).stdout.includes(`${KERNEL_SUBNET}.0/24`),
      `the route on ${node.name}`,
    );
  }
  return { netns, address };
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = systemClock.now() + 5000;
  while (!(await condition())) {
    if (systemClock.now() > deadline) throw new Error(`still waiting for ${what} after 5 s`);
    await sleep(systemClock, 20);
  }
}

test.skipIf(notRoot)(
  rootTitle("20 agents started in the same instant on a network of exactly 20 subnets all get one"),
  { timeout: 120_000 },
  async () => {
    await buildPrograms();
    const lab = await Lab.create({ config: "none" });
    try {
      await lab.putConfig({
        Network: "10.244.0.0/16",
        SubnetMin: "10.244.1.0",
        SubnetMax: "10.244.20.0",
        Backend: { Type: "vxlan" },
      });
      for (let i = 0; i < 20; i++) await lab.addNode();
      await Promise.all(lab.nodes.map((node) => node.start()));
      await Promise.all(lab.nodes.map((node) => node.ready(90_000)));
      const subnets = lab.nodes.map((node) => node.subnetEnv()["FLANNEL_SUBNET"]);
      expect(new Set(subnets).size).toBe(20);
      expect((await lab.etcd.list(`${PREFIX}/subnets/`)).length).toBe(20);
    } finally {
      await lab.close();
    }
  },
);
