// What pods see of the network, and what others see of the leases: three twilld, two pods on each, and one node whose
// VXLAN is the kernel's own device, programmed by hand from the leases as flannel programs it.
//
//   pod1.1 pod1.2     pod2.1 pod2.2     pod3.1 pod3.2          pod k
//      node1             node2             node3        kernel node (vxlan device)
//   ─────┴─────────────────┴─────────────────┴─────────────────────┴───── underlay ── etcd

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LeaseStatus } from "../../pkg/api/status.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { prefix } from "../literals.ts";
import { until } from "../until.ts";
import { addKernelPeer, type KernelPeer, untilRouted } from "./kernel-peer.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { snmpCounter } from "./snmp.ts";
import { type End, transferTcp } from "./tcp.ts";

const MB = 1_000_000;
const PREFIX = "/coreos.com/network";
const KERNEL_SUBNET = "10.244.200.0/24";

describe.skipIf(notRoot)(rootTitle("pods on three nodes"), () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ nodes: 3, pods: 2 });
  });
  afterAll(() => lab?.close());

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
    expect(await snmpCounter(a.netns, "TcpInCsumErrors")).toBe(0);
    expect(await snmpCounter(b.netns, "TcpInCsumErrors")).toBe(0);
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

  test("what was carried agrees in /metrics, the API and the kernel's counters within 1 %", async () => {
    const [a, b] = [lab.pod(1, 1), lab.pod(2, 1)];
    const before = await figures(lab, 1, 2);
    // Packets that no offload merges are for the kernel's device what they are for us.
    await a.netns.run(["ping", "-q", "-f", "-c", "2000", "-s", "1000", b.address]);
    const pinged = await figures(lab, 1, 2);
    const device = difference(before.device, pinged.device);
    const page = difference(before.page, pinged.page);
    const api = difference(before.api, pinged.api);
    expect(device.txPackets).toBeGreaterThanOrEqual(2000);
    for (const each of [page, api]) {
      for (const name of ["txPackets", "txBytes", "rxPackets", "rxBytes"] as const) {
        expect(Math.abs(each[name] / device[name] - 1), `${name} ${each[name]} of ${device[name]}`).toBeLessThan(0.01);
      }
    }
    // Of a TCP stream the payload is known: what is left of the bytes without the headers of IPv4, 20, and TCP, 32.
    await transferTcp(a, b, 20 * MB, lab.directory);
    const sent = difference(pinged.page, (await figures(lab, 1, 2)).page);
    expect(Math.abs((sent.txBytes - 52 * sent.txPackets) / (20 * MB) - 1)).toBeLessThan(0.01);
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
    let kernel: KernelPeer;
    let pod: End;
    beforeAll(async () => {
      kernel = await addKernelPeer(lab, { 4: prefix(KERNEL_SUBNET) });
      await untilRouted(lab, kernel);
      pod = { netns: kernel.pod, address: kernel.address[4] ?? "" };
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
      expect(await snmpCounter(ours.netns, "TcpInCsumErrors")).toBe(0);
      expect(await snmpCounter(pod.netns, "TcpInCsumErrors")).toBe(0);
    });

    test("TCP runs both ways between its host and our pods", async () => {
      const host: End = { netns: kernel.host.netns, address: kernel.gateway[4] ?? "" };
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
      const routes = async (): Promise<string> =>
        (await lab.node(1).run(["ip", "route", "show", "dev", "twill.1"])).stdout;
      expect(await routes()).toContain(KERNEL_SUBNET);
      await lab.etcd.ctl(["del", `${PREFIX}/subnets/${KERNEL_SUBNET.replace("/", "-")}`]);
      await until(async () => !(await routes()).includes(KERNEL_SUBNET));
    });
  });
});

test.skipIf(notRoot)(
  rootTitle("20 agents started in the same instant on a network of exactly 20 subnets all get one"),
  { timeout: 120_000 },
  async () => {
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

interface Figures {
  readonly txPackets: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly rxBytes: number;
}

/** What node `from` says of what it carried to and from node `to`: on its page, over its API, and the kernel of the device. */
async function figures(
  lab: Lab,
  from: number,
  to: number,
): Promise<{ readonly page: Figures; readonly api: Figures; readonly device: Figures }> {
  const node = lab.node(from);
  const { body: page } = await node.http("/metrics");
  const { stdout: told } = await node.ctl(["status", "--json"]);
  const { peers } = JSON.parse(told) as { peers: (Record<keyof Figures, string> & { lease: LeaseStatus })[] };
  const peer = peers.find(({ lease }) => lease.publicIps.includes(lab.node(to).address));
  const series = (what: string, direction: string): number => {
    const start = `twill_peer_${what}_total{subnet="${peer?.lease.subnets[0] ?? ""}",`;
    const line = page.split("\n").find((one) => one.startsWith(start) && one.includes(`direction="${direction}"`));
    return Number(line?.split(" ").at(-1));
  };
  const { stdout: links } = await node.run(["ip", "-s", "-j", "link", "show", "dev", "twill.1"]);
  const [link] = JSON.parse(links) as { stats64: Record<"rx" | "tx", { bytes: number; packets: number }> }[];
  const { tx, rx } = link?.stats64 ?? { tx: { bytes: 0, packets: 0 }, rx: { bytes: 0, packets: 0 } };
  return {
    page: {
      txPackets: series("packets", "tx"),
      txBytes: series("bytes", "tx"),
      rxPackets: series("packets", "rx"),
      rxBytes: series("bytes", "rx"),
    },
    api: {
      txPackets: Number(peer?.txPackets),
      txBytes: Number(peer?.txBytes),
      rxPackets: Number(peer?.rxPackets),
      rxBytes: Number(peer?.rxBytes),
    },
    device: { txPackets: tx.packets, txBytes: tx.bytes, rxPackets: rx.packets, rxBytes: rx.bytes },
  };
}

function difference(before: Figures, after: Figures): Figures {
  return {
    txPackets: after.txPackets - before.txPackets,
    txBytes: after.txBytes - before.txBytes,
    rxPackets: after.rxPackets - before.rxPackets,
    rxBytes: after.rxBytes - before.rxBytes,
  };
}
