// The tun plane's pieces on the real kernel, each test in a network namespace of its own.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MemoryLogger } from "../../pkg/base/logger.ts";
import type { Dataplane } from "../../pkg/dataplane/dataplane.ts";
import { TunDataplane, type TunOptions } from "../../pkg/dataplane/tun/tun-dataplane.ts";
import { LinuxHost } from "../../pkg/host/linux-host.ts";
import type { Lease } from "../../pkg/lease/lease.ts";
import { VNET_HDR_LEN } from "../../pkg/packet/vnet.ts";
import { Arena, IOVEC_LEN } from "../../pkg/sys/arena.ts";
import { openTun, TUN_OFFLOAD } from "../../pkg/sys/tun-device.ts";
import { LinuxTun } from "../../pkg/tun/linux-tun.ts";
import type { Underlay } from "../../pkg/underlay/underlay.ts";
import { dataplaneContract } from "../contract/dataplane.ts";
import { deviceContract } from "../contract/device.ts";
import { addr, mac, prefix } from "../literals.ts";
import { inside } from "./inside.ts";
import { until } from "../until.ts";

const WORKER = new URL("../../cmd/twilld/packet-loop.ts", import.meta.url);

const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });

// A namespace with an interface u0 that has the address 198.51.100.1.
function makeNamespace(): string {
  const netns = `twt-${randomBytes(4).toString("hex")}`;
  ip("netns", "add", netns);
  ip("-n", netns, "link", "add", "u0", "type", "veth", "peer", "name", "u1");
  ip("-n", netns, "address", "add", "198.51.100.1/24", "dev", "u0");
  for (const dev of ["lo", "u0", "u1"]) ip("-n", netns, "link", "set", dev, "up");
  return netns;
}

const underlay: Underlay = {
  name: "u0",
  index: 2,
  mtu: 1500,
  addr: { 4: addr("198.51.100.1") },
  publicIp: { 4: addr("198.51.100.1") },
};

function makePlane(netns: string, options: Partial<TunOptions> = {}): TunDataplane {
  const plane = new TunDataplane({
    backend: { vni: 1, port: 8472, mtu: undefined },
    network: { 4: prefix("10.5.0.0/16") },
    vtepMac: { 4: mac("0a:00:00:00:00:01") },
    verifySender: "default",
    offload: "auto",
    threads: 1,
    forwardRules: true,
    host: new LinuxHost({ netns }),
    log: new MemoryLogger(),
    worker: WORKER,
    ...options,
  });
  const open = plane.open.bind(plane);
  plane.open = (where) => inside(netns, () => open(where));
  return plane;
}

function lease(n: number, subnet = `10.5.${n}.0/24`): Lease {
  const net = prefix(subnet);
  return {
    key: `subnets/${subnet.replace("/", "-")}`,
    subnet: { [net.family]: net },
    attrs: {
      publicIp: { 4: addr(`198.51.100.${n}`) },
      backendType: "vxlan",
      vtep: { 4: { vni: 1, mac: mac(`0a:00:00:00:00:0${n}`) } },
    },
    leaseId: "1",
    modRevision: "1",
  };
}

describe.skipIf(process.getuid?.() !== 0)("on the kernel (needs root for network namespaces)", () => {
  dataplaneContract("TunDataplane", async () => {
    const netns = makeNamespace();
    return { plane: makePlane(netns), underlay, cleanUp: async () => void ip("netns", "delete", netns) };
  });

  // The kernel forwards between the device under test and a second one, on which the test plays the pods.
  deviceContract("LinuxTun", async () => {
    const netns = makeNamespace();
    const host = new LinuxHost({ netns });
    await host.setSysctl("net/ipv4/ip_forward", "1");
    await host.setSysctl("net/ipv6/conf/default/disable_ipv6", "1"); // or it sends packets of its own accord
    const arena = Arena.create(4 * 1024 * 1024);
    const [device, pods] = ["tt0", "tt1"].map((name) => {
      const fd = inside(netns, () => openTun(name, VNET_HDR_LEN, TUN_OFFLOAD.none));
      ip("-n", netns, "link", "set", name, "up");
      return new LinuxTun(arena, name, fd);
    });
    if (!device || !pods) throw new Error("no devices");
    ip("-n", netns, "route", "add", "10.5.2.0/24", "dev", "tt0");
    ip("-n", netns, "route", "add", "10.5.1.0/24", "dev", "tt1");
    const at = arena.alloc(70_000);
    const iov = arena.alloc(IOVEC_LEN, 16);
    return {
      arena,
      device,
      async inject(packet) {
        arena.bytes.fill(0, at, at + VNET_HDR_LEN);
        arena.bytes.set(packet, at + VNET_HDR_LEN);
        arena.putIovec(iov, at, VNET_HDR_LEN + packet.length);
        expect(pods.write(iov, 1)).toBe(VNET_HDR_LEN + packet.length);
      },
      async taken(count) {
        const packets: Uint8Array[] = [];
        for (let tries = 0; packets.length < count && tries < 200; tries++) {
          const n = pods.read(at, 70_000);
          if (n > 0) packets.push(arena.bytes.slice(at + VNET_HDR_LEN, at + n));
          else await new Promise((resolve) => setTimeout(resolve, 5));
        }
        return packets;
      },
      async close() {
        device.close();
        pods.close();
        ip("netns", "delete", netns);
      },
    };
  });

  describe("TunDataplane", () => {
    let netns: string;
    let plane: TunDataplane;
    const opened: Dataplane[] = [];
    beforeEach(() => {
      netns = makeNamespace();
      plane = makePlane(netns);
      opened.push(plane);
    });
    afterEach(async () => {
      for (const each of opened.splice(0)) await each.close();
      ip("netns", "delete", netns);
    });

    const routes = (): string[] =>
      ip("-n", netns, "route", "show", "dev", "twill.1")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.trim().replace(/ linkdown$/, "")); // while no agent has the device open

    test("makes device, address, route and sysctls as flannel's are, and they outlive it", async () => {
      await plane.open(underlay);
      await plane.reconcile({ own: lease(1), peers: [lease(2)], underlay });
      const check = (): void => {
        expect(ip("-n", netns, "-brief", "address", "show", "dev", "twill.1")).toMatch(
          /^twill.1 +\w+ +10\.5\.1\.0\/32 *\n/,
        );
        expect(ip("-n", netns, "link", "show", "dev", "twill.1")).toMatch(/mtu 1450 .* qlen 1000/);
        expect(routes()).toEqual(["10.5.2.0/24 scope link"]);
      };
      check();
      expect(ip("netns", "exec", netns, "cat", "/proc/sys/net/ipv4/ip_forward").trim()).toBe("1");
      await plane.close();
      check();
    });

    test("routes to a peer when the packet loop knows it, and no sooner", async () => {
      const late = `await new Promise((resolve) => setTimeout(resolve, 700)); await import("${WORKER.href}")`;
      const slow = makePlane(netns, { worker: new URL(`data:text/javascript,${late}`) });
      opened.push(slow);
      await slow.open(underlay);
      const done = slow.reconcile({ own: lease(1), peers: [lease(2)], underlay });
      await new Promise((resolve) => setTimeout(resolve, 400));
      expect(routes()).toEqual([]);
      await done;
      expect(routes()).toEqual(["10.5.2.0/24 scope link"]);
    });

    test("says so when its packet loop cannot be loaded", async () => {
      const broken = makePlane(netns, { worker: new URL("data:text/javascript,throw new Error('no such thing')") });
      opened.push(broken);
      await broken.open(underlay);
      const done = broken.reconcile({ own: lease(1), peers: [], underlay });
      await expect(done).rejects.toThrow("the packet loop died");
      await expect(broken.done).rejects.toThrow("the packet loop died");
    });

    test("puts back what somebody else changed, and takes away what does not belong", async () => {
      await plane.open(underlay);
      const want = { own: lease(1), peers: [lease(2), lease(3)], underlay };
      await plane.reconcile(want);
      ip("-n", netns, "link", "set", "twill.1", "down");
      ip("-n", netns, "link", "set", "twill.1", "mtu", "1300");
      ip("-n", netns, "address", "flush", "dev", "twill.1");
      ip("-n", netns, "address", "add", "10.99.0.1/24", "dev", "twill.1");
      ip("-n", netns, "link", "set", "twill.1", "up");
      ip("-n", netns, "route", "replace", "10.5.77.0/24", "dev", "twill.1");
      const outcome = await plane.reconcile(want);
      expect([...outcome.peers.values()]).toEqual(["in-sync", "in-sync"]);
      expect(ip("-n", netns, "-brief", "address", "show", "dev", "twill.1")).toMatch(/10\.5\.1\.0\/32 *\n/);
      expect(ip("-n", netns, "link", "show", "dev", "twill.1")).toContain("mtu 1450");
      expect(routes()).toEqual(["10.5.2.0/24 scope link", "10.5.3.0/24 scope link"]);
    });

    test.each([
      ["10.9.0.0/24", "lies outside the network 10.5.0.0/16"],
      ["0.0.0.0/0", "lies outside the network 10.5.0.0/16"],
      ["10.5.1.128/25", "overlaps this node's own 10.5.1.0/24"],
    ])("does not route %s to whoever leases it", async (subnet, reason) => {
      await plane.open(underlay);
      const outcome = await plane.reconcile({ own: lease(1), peers: [lease(2, subnet), lease(3)], underlay });
      expect(outcome.peers.get(lease(2, subnet).key)).toEqual({ failed: expect.stringContaining(reason) });
      expect(routes()).toEqual(["10.5.3.0/24 scope link"]);
    });

    test("refuses a peer that claims our own address", async () => {
      await plane.open(underlay);
      const peer = { ...lease(2), attrs: lease(1).attrs };
      const outcome = await plane.reconcile({ own: lease(1), peers: [peer], underlay });
      expect(outcome.peers.get(peer.key)).toEqual({ failed: "it claims this node's own address 198.51.100.1" });
    });

    test("says who may hold the UDP port", async () => {
      ip("-n", netns, ..."link add vx0 type vxlan id 9 local 198.51.100.1 dstport 8472 nolearning".split(" "));
      ip("-n", netns, "link", "set", "vx0", "up");
      await expect(async () => plane.open(underlay)).rejects.toThrow(
        /^UDP port 8472 on 198\.51\.100\.1 is taken: .*ip -d link show type vxlan\)$/,
      );
    });

    test("says that another agent holds the device", async () => {
      await plane.open(underlay);
      await expect(async () => makePlane(netns).open(underlay)).rejects.toThrow(
        /^the TUN device twill\.1 is held by another process/,
      );
    });

    test("says that an interface of another kind is in the way", async () => {
      ip("-n", netns, "link", "add", "twill.1", "type", "bridge");
      await expect(async () => plane.open(underlay)).rejects.toThrow(
        /^an interface twill\.1 of another kind is in the way/,
      );
    });

    test("says that the underlay has no address of the network's family", async () => {
      await expect(async () => plane.open({ ...underlay, addr: {} })).rejects.toThrow(
        /^the underlay interface u0 has no IPv4 address, which the network needs: give it one/,
      );
    });

    test("dies with a sentence when its device is deleted", async () => {
      await plane.open(underlay);
      await plane.reconcile({ own: lease(1), peers: [], underlay });
      ip("-n", netns, "link", "delete", "twill.1");
      await expect(plane.done).rejects.toThrow("the packet loop died");
    });

    test("stops within a second while it is idle", async () => {
      await plane.open(underlay);
      await until(() => (plane.stats().counters["loop_turns"] ?? 0n) > 0n); // it sleeps now
      const start = performance.now();
      await plane.close();
      expect(performance.now() - start).toBeLessThan(1000);
    });
  });
});
