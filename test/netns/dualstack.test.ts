// Pods with IPv6, beside IPv4 and alone: three twilld, and one node whose VXLAN is the kernel's own devices, programmed by
// hand as flannel does it.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAMILIES, type Family } from "../../pkg/addr/family.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Netns } from "../../pkg/lab/netns.ts";
import type { Node } from "../../pkg/lab/node.ts";
import type { Pod } from "../../pkg/lab/pod.ts";
import { prefix } from "../literals.ts";
import { addKernelPeer, type KernelPeer, untilRouted } from "./kernel-peer.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { type End, transferTcp } from "./tcp.ts";

const MB = 1_000_000;

const IPV6 = { EnableIPv6: true, IPv6Network: "fd10:244::/48", Backend: { Type: "vxlan" } };
const KERNEL_SUBNET = { 4: prefix("10.244.200.0/24"), 6: prefix("fd10:244:0:c8::/64") } as const;

// An inner packet's MTU by its family, on an underlay of 1500: the outer header is of the same family.
const MTU = { 4: 1450, 6: 1430 } as const;
const ICMP_OVERHEAD = { 4: 20 + 8, 6: 40 + 8 } as const;

describe.skipIf(notRoot).each([
  { name: "dual stack", families: FAMILIES, config: { Network: "10.244.0.0/16", ...IPV6 } },
  { name: "IPv6 alone", families: [6] as const, config: { EnableIPv4: false, ...IPV6 } },
])(rootTitle("$name"), ({ families, config }) => {
  let lab: Lab;
  let kernel: KernelPeer;
  beforeAll(async () => {
    lab = await Lab.create({ nodes: 3, pods: 1, config, args: ["--resync=1s"] });
  });
  afterAll(() => lab?.close());

  const isOf = (family: Family, address: string): boolean => address.includes(":") === (family === 6);
  const addressOf = (pod: Pod, family: Family): string => pod.addresses.find((text) => isOf(family, text)) ?? "";
  const end = (pod: Pod, family: Family): End => ({ netns: pod.netns, address: addressOf(pod, family) });
  const kernelEnd = (family: Family): End => ({ netns: kernel.pod, address: kernel.address[family] ?? "" });
  const nodeEnd = (node: Node, family: Family): End => ({
    netns: node.netns,
    address: family === 4 ? node.address : node.address6,
  });

  async function expectTcp(from: End, to: End, bytes = 5 * MB): Promise<void> {
    expect(await transferTcp(from, to, bytes, lab.directory)).toEqual({ sender: from.address, bytes, intact: true });
  }

  /** Pings once with this size of the whole packet, never cut. */
  function ping(from: Netns, to: string, size: number): ReturnType<Netns["capture"]> {
    const payload = String(size - ICMP_OVERHEAD[to.includes(":") ? 6 : 4]);
    return from.capture(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", payload, to]);
  }

  /** Larger interfaces than subnet.env says, so that it is the node who knows better. */
  async function widen(node: Node, pod: Pod): Promise<void> {
    const { stdout } = await node.run(["ip", "-j", "link", "show", "master", "cni0"]);
    const [port] = JSON.parse(stdout) as { ifname: string }[];
    await node.run(["ip", "link", "set", port?.ifname ?? "", "mtu", "1500"]);
    await node.run(["ip", "link", "set", "cni0", "mtu", "1500"]);
    await pod.netns.run(["ip", "link", "set", "eth0", "mtu", "1500"]);
  }

  test("subnet.env names both subnets and the MTU that both families get through with", () => {
    const env = lab.node(1).subnetEnv();
    expect(Object.keys(env)).toEqual([
      ...(families.length === 2 ? ["FLANNEL_NETWORK", "FLANNEL_SUBNET"] : []),
      "FLANNEL_IPV6_NETWORK",
      "FLANNEL_IPV6_SUBNET",
      "FLANNEL_MTU",
      "FLANNEL_IPMASQ",
    ]);
    expect(env["FLANNEL_IPV6_SUBNET"]).toMatch(/^fd10:244:[0-9a-f:]+::1\/64$/);
    expect(env["FLANNEL_MTU"]).toBe("1430");
  });

  test("the lease is one key with both subnets, and another folder's where there is no IPv4", async () => {
    const under = async (folder: string): Promise<string[]> =>
      (await lab.etcd.list(`${lab.prefix}/${folder}`)).map(({ key }) => key.slice(lab.prefix.length + 1));
    const subnets = await under("subnets");
    const alone = await under("ipv6-subnets");
    if (families.length === 2) {
      expect(subnets).toHaveLength(3);
      for (const key of subnets) expect(key).toMatch(/^subnets\/10\.244\.\d+\.0-24&fd10:244:[0-9a-f:]+::-64$/);
      expect(alone).toEqual([]);
    } else {
      expect(subnets).toEqual([]);
      expect(alone).toHaveLength(3);
      for (const key of alone) expect(key).toMatch(/^ipv6-subnets\/fd10:244:[0-9a-f:]+::-64$/);
    }
  });

  test("a pod has one address of each family, and the way out by each", async () => {
    const pod = lab.pod(1, 1);
    expect(pod.addresses.map((text) => (text.includes(":") ? 6 : 4))).toEqual(families);
    for (const family of families) {
      const { stdout } = await pod.netns.run(["ip", `-${family}`, "route", "show", "default"]);
      expect(stdout).toMatch(/^default via /);
    }
  });

  test("pods reach pods by every family, and see the sender's own address", async () => {
    for (const family of families) {
      await expectTcp(end(lab.pod(1, 1), family), end(lab.pod(2, 1), family));
      await expectTcp(end(lab.pod(2, 1), family), end(lab.pod(3, 1), family));
    }
  });

  test("trace has nothing to say against a way that works", async () => {
    for (const family of families) {
      const { stdout } = await lab.node(1).ctl(["trace", addressOf(lab.pod(2, 1), family)]);
      expect(stdout).toMatch(new RegExp(`^mtu +ok  ${MTU[family]} on twill\\.1; .* leaves ${MTU[family]}$`, "m"));
    }
  });

  test("nodes reach pods on other nodes, and pods other nodes", async () => {
    for (const family of families) {
      const any: End = { netns: lab.node(1).netns, address: family === 4 ? "0.0.0.0" : "::" };
      const there = end(lab.pod(2, 1), family);
      expect(await transferTcp(any, there, MB, lab.directory)).toMatchObject({ bytes: MB, intact: true });
      const transfer = await transferTcp(end(lab.pod(1, 1), family), nodeEnd(lab.node(2), family), MB, lab.directory);
      // Masqueraded: the other node knows the way back only to ours.
      expect(transfer).toEqual({ sender: nodeEnd(lab.node(1), family).address, bytes: MB, intact: true });
    }
  });

  test("a packet of exactly the MTU passes uncut; one byte more is answered with what would fit", async () => {
    const pod = lab.pod(1, 1);
    for (const i of [1, 2]) await widen(lab.node(i), lab.pod(i, 1));
    for (const family of families) {
      const there = addressOf(lab.pod(2, 1), family);
      expect(await ping(pod.netns, there, MTU[family])).toMatchObject({ status: 0 });
      const refused = await ping(pod.netns, there, MTU[family] + 1);
      expect(refused.status).toBe(1);
      expect(refused.stdout).toMatch(
        family === 4 ? /Frag needed and DF set \(mtu = 1450\)/ : /Packet too big: mtu=1430/,
      );
    }
    // TCP finds it out by itself.
    for (const family of families) await expectTcp(end(pod, family), end(lab.pod(2, 1), family));
  });

  test("the host takes no router advertisements from pods, and goes on taking them from the underlay", async () => {
    const acceptRa = async (dev: string): Promise<string> =>
      (await lab.node(1).run(["sysctl", "-n", `net/ipv6/conf/${dev}/accept_ra`])).stdout.trim();
    expect(await acceptRa("twill.1")).toBe("0");
    expect(await acceptRa("cni0")).toBe("0");
    expect(await acceptRa("eth0")).toBe("2");
  });

  describe("with a node whose VXLAN is the kernel's", () => {
    beforeAll(async () => {
      const subnet = families.length === 2 ? KERNEL_SUBNET : { 6: KERNEL_SUBNET[6] };
      kernel = await addKernelPeer(lab, subnet);
      await untilRouted(lab, kernel);
    });

    test("TCP runs both ways between its pod and ours", async () => {
      for (const family of families) {
        await expectTcp(kernelEnd(family), end(lab.pod(1, 1), family), 20 * MB);
        await expectTcp(end(lab.pod(1, 1), family), kernelEnd(family), 20 * MB);
      }
    });

    test("packets of exactly the MTU pass both ways", async () => {
      for (const family of families) {
        const ours = lab.pod(1, 1);
        expect(await ping(kernel.pod, addressOf(ours, family), MTU[family])).toMatchObject({ status: 0 });
        expect(await ping(ours.netns, kernel.address[family] ?? "", MTU[family])).toMatchObject({ status: 0 });
      }
    });

    test("all of it also with --verify-sender=strict", async () => {
      await lab.node(1).restart(["--verify-sender=strict"]);
      for (const family of families) {
        await expectTcp(end(lab.pod(2, 1), family), end(lab.pod(1, 1), family));
        await expectTcp(kernelEnd(family), end(lab.pod(1, 1), family));
        await expectTcp(end(lab.pod(1, 1), family), kernelEnd(family));
        // From the other nodes themselves, and from the kernel's node by its address towards its pods.
        const node: End = { netns: lab.node(2).netns, address: family === 4 ? "0.0.0.0" : "::" };
        const host: End = { netns: kernel.host.netns, address: kernel.gateway[family] ?? "" };
        for (const from of [node, host]) {
          const transfer = await transferTcp(from, end(lab.pod(1, 1), family), MB, lab.directory);
          expect(transfer).toMatchObject({ bytes: MB, intact: true });
        }
      }
    });
  });

  test("IPv6 that somebody disables on the device is enabled again", async () => {
    await lab.node(1).run(["sysctl", "-qw", "net/ipv6/conf/twill.1/disable_ipv6=1"]);
    await expectTcp(end(lab.pod(1, 1), 6), end(lab.pod(2, 1), 6));
  });

  // IPv6 is cut by its sender alone, which a host is not of what it forwards.
  test("TCP reaches a peer to whom the way is narrower than the underlay", async () => {
    const [from, to, router] = [lab.node(1), lab.node(2), lab.node(3)];
    const route = [`${to.address6}/128`, "via", router.address6, "dev", "eth0", "mtu", "1400"];
    const hasTunnel = from.logText().includes("TCP leaves through the tunnel device");
    const tunnelled = async (): Promise<number> => {
      if (!hasTunnel) return 0; // before Linux 6.17
      const { stdout } = await from.run(["ip", "-j", "-s", "link", "show", "dev", "twgso.1"]);
      const [tap] = JSON.parse(stdout) as { stats64: { rx: { bytes: number } } }[];
      return tap?.stats64.rx.bytes ?? 0;
    };
    const start = await tunnelled();
    await expectTcp(end(lab.pod(1, 1), 6), end(lab.pod(2, 1), 6));
    const near = await tunnelled();
    if (hasTunnel) expect(near - start).toBeGreaterThan(5 * MB);
    await from.run(["ip", "-6", "route", "add", ...route]);
    await expectTcp(end(lab.pod(1, 1), 6), end(lab.pod(2, 1), 6));
    expect((await tunnelled()) - near).toBeLessThan(3 * MB); // what left before the route was seen
    await from.run(["ip", "-6", "route", "delete", ...route]);
    // As a router may advertise it.
    await from.run(["sysctl", "-qw", "net.ipv6.conf.eth0.mtu=1400"]);
    await expectTcp(end(lab.pod(1, 1), 6), end(lab.pod(2, 1), 6));
  });
});
