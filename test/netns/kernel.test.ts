// The kernel plane on the real kernel, each test in a network namespace of its own.

import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemoryLogger } from "../../pkg/base/logger.ts";
import { KernelDataplane, type KernelOptions } from "../../pkg/dataplane/kernel/kernel-dataplane.ts";
import type { Execute } from "../../pkg/host/command.ts";
import { executeBySpawn } from "../../pkg/host/execute.ts";
import { LinuxHost } from "../../pkg/host/linux-host.ts";
import type { Lease } from "../../pkg/lease/lease.ts";
import type { Underlay } from "../../pkg/underlay/underlay.ts";
import { dataplaneContract } from "../contract/dataplane.ts";
import { addr, mac, prefix } from "../literals.ts";
import { until } from "../until.ts";
import { notRoot, rootTitle } from "./netns.ts";

const run = (file: string, ...args: string[]): string => execFileSync(file, args, { encoding: "utf8" });

// A namespace with an interface u0 that has the addresses 198.51.100.1 and fd77::1.
function makeNamespace(): string {
  const netns = `twk-${randomBytes(4).toString("hex")}`;
  run("ip", "netns", "add", netns);
  run("ip", "-n", netns, "link", "add", "u0", "type", "veth", "peer", "name", "u1");
  run("ip", "-n", netns, "address", "add", "198.51.100.1/24", "dev", "u0");
  run("ip", "-n", netns, "address", "add", "fd77::1/64", "dev", "u0", "nodad");
  for (const dev of ["lo", "u0", "u1"]) run("ip", "-n", netns, "link", "set", dev, "up");
  return netns;
}

const underlay: Underlay = {
  name: "u0",
  index: 2,
  mtu: 1500,
  addr: { 4: addr("198.51.100.1"), 6: addr("fd77::1") },
  publicIp: { 4: addr("198.51.100.1"), 6: addr("fd77::1") },
};
const vtepMac = { 4: mac("0a:00:00:00:04:01"), 6: mac("0a:00:00:00:06:01") };
const backend = { vni: 1, port: 8472, mtu: undefined, gbp: false, learning: false, directRouting: false };

function makePlane(netns: string, options: Partial<KernelOptions> = {}): KernelDataplane {
  return new KernelDataplane({
    backend,
    network: { 4: prefix("10.0.0.0/8"), 6: prefix("fd05::/48") },
    vtepMac,
    verifySender: "default",
    host: new LinuxHost({ netns, execute: executeBySpawn(process.env) }),
    log: new MemoryLogger(),
    ...options,
  });
}

function lease(n: number): Lease {
  const [high, low] = [n >> 8, n & 255];
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  const vtep = (family: number) => ({ vni: 1, mac: mac(`0a:00:00:0${family}:${hex(high)}:${hex(low)}`) });
  return {
    key: `subnets/10.${5 + high}.${low}.0-24&fd05:0:0:${n.toString(16)}::-64`,
    subnet: { 4: prefix(`10.${5 + high}.${low}.0/24`), 6: prefix(`fd05:0:0:${n.toString(16)}::/64`) },
    attrs: {
      publicIp: { 4: addr(`198.51.${100 + high}.${low}`), 6: addr(`fd77::${n.toString(16)}`) },
      backendType: "vxlan",
      vtep: { 4: vtep(4), 6: vtep(6) },
    },
    leaseId: "1",
    modRevision: "1",
  };
}

describe.skipIf(notRoot)(rootTitle("the kernel plane"), () => {
  dataplaneContract("KernelDataplane", async () => {
    const netns = makeNamespace();
    const plane = makePlane(netns, { network: { 4: prefix("10.5.0.0/16") }, vtepMac: { 4: vtepMac[4] } });
    return { plane, underlay, cleanUp: async () => void run("ip", "netns", "delete", netns) };
  });

  let netns = "";
  const namespaceForAll = (): void => {
    beforeAll(() => void (netns = makeNamespace()));
    afterAll(() => void run("ip", "netns", "delete", netns));
  };
  const ip = (...args: string[]): string => run("ip", "-n", netns, ...args);
  const inside = (...args: string[]): string => run("ip", "netns", "exec", netns, ...args);

  /** Everything of ours in the kernel, as text. */
  function state(): Record<string, string[]> {
    const lines = (text: string): string[] =>
      text
        .split("\n")
        // What changes by itself: indexes, duplicate address detection, counters.
        .map((line) =>
          line
            .replace(/^\d+: /, "")
            .replace(" tentative", "")
            .replace(/packets \d+ bytes \d+/, "")
            .trim(),
        )
        .filter((line) => line !== "")
        .sort();
    const devices = ["flannel.1", "flannel-v6.1"];
    return {
      links: devices.map((dev) =>
        ip("-d", "link", "show", "dev", dev)
          .replace(/^\d+: /, "")
          .replaceAll(/\s+/g, " "),
      ),
      addresses: lines(ip("-o", "address", "show", "scope", "global")).filter((line) => line.includes("flannel")),
      routes: lines(ip("route") + ip("-6", "route")).filter(
        (line) => line.includes("flannel") && !line.includes("proto kernel"),
      ),
      neighbours: lines(devices.map((dev) => ip("neigh", "show", "dev", dev, "nud", "permanent")).join("")),
      fdb: lines(devices.map((dev) => inside("bridge", "fdb", "show", "dev", dev)).join("")),
      nft: lines(inside("nft", "list", "ruleset")),
      sysctls: lines(
        inside(
          "cat",
          "/proc/sys/net/ipv4/ip_forward",
          "/proc/sys/net/ipv6/conf/all/forwarding",
          "/proc/sys/net/ipv4/conf/flannel.1/rp_filter",
          ...devices.map((dev) => `/proc/sys/net/ipv6/conf/${dev}/accept_ra`),
        ),
      ),
    };
  }

  const spoilFdb = (...words: string[]): string =>
    inside(...`bridge fdb replace 0a:00:00:04:00:02 dst 198.51.100.2 dev flannel.1 permanent`.split(" "), ...words);
  const twoHops = (dst: string, first: string, second: string): string[] =>
    `route replace ${dst} nexthop via ${first} onlink nexthop via ${second}`.split(" ");
  const spoils: Record<string, () => void> = {
    "device deleted": () => ip("link", "delete", "flannel.1"),
    "IPv6 device deleted": () => ip("link", "delete", "flannel-v6.1"),
    "device down": () => ip("link", "set", "flannel.1", "down"),
    "IPv6 device down": () => ip("link", "set", "flannel-v6.1", "down"),
    MTU: () => ip("link", "set", "flannel.1", "mtu", "1300"),
    MAC: () => ip("link", "set", "flannel.1", "address", "0a:00:00:00:00:99"),
    learning: () => ip("link", "set", "flannel.1", "type", "vxlan", "id", "1", "learning"),
    "local address": () => ip("link", "set", "flannel.1", "type", "vxlan", "id", "1", "local", "198.51.100.77"),
    TTL: () => ip("link", "set", "flannel.1", "type", "vxlan", "id", "1", "ttl", "3"),
    "address deleted": () => ip("address", "delete", "10.5.1.0/32", "dev", "flannel.1"),
    "address added": () => ip("address", "add", "10.99.0.1/24", "dev", "flannel.1"),
    "IPv6 address deleted": () => ip("address", "delete", "fd05:0:0:1::/128", "dev", "flannel-v6.1"),
    "route deleted": () => ip("route", "delete", "10.5.2.0/24"),
    "route changed": () => ip("route", "replace", "10.5.2.0/24", "dev", "u0"),
    "route with a second hop": () => ip(...twoHops("10.5.2.0/24", "10.5.2.0 dev flannel.1", "198.51.100.77 dev u0")),
    "IPv6 route with a second hop": () =>
      ip(...twoHops("fd05:0:0:2::/64", "fd05:0:0:2:: dev flannel-v6.1", "fd77::77 dev u0")),
    "route added": () => ip("route", "add", "10.5.77.0/24", "dev", "flannel.1"),
    "IPv6 route deleted": () => ip("route", "delete", "fd05:0:0:2::/64"),
    "IPv6 route changed": () => ip("route", "replace", "fd05:0:0:2::/64", "via", "fd77::9", "dev", "u0"),
    "all routes flushed": () => ip("route", "flush", "dev", "flannel.1"),
    "neighbour deleted": () => ip("neigh", "delete", "10.5.2.0", "dev", "flannel.1"),
    "neighbour changed": () =>
      ip("neigh", "replace", "10.5.2.0", "lladdr", "0a:00:00:00:00:99", "dev", "flannel.1", "nud", "permanent"),
    "neighbour made mortal": () => ip("neigh", "change", "10.5.2.0", "dev", "flannel.1", "nud", "reachable"),
    "neighbour added": () =>
      ip("neigh", "add", "10.5.77.0", "lladdr", "0a:00:00:00:00:99", "dev", "flannel.1", "nud", "permanent"),
    "IPv6 neighbour deleted": () => ip("neigh", "delete", "fd05:0:0:2::", "dev", "flannel-v6.1"),
    "FDB entry deleted": () => inside("bridge", "fdb", "delete", "0a:00:00:04:00:02", "dev", "flannel.1"),
    "FDB entry changed": () =>
      inside("bridge", "fdb", "replace", "0a:00:00:04:00:02", "dst", "198.51.100.9", "dev", "flannel.1"),
    "FDB entry with another port": () => spoilFdb("port", "4789"),
    "FDB entry with another VNI": () => spoilFdb("vni", "7"),
    "FDB entry with an interface": () => spoilFdb("via", "u1"),
    "FDB entry added": () =>
      inside("bridge", "fdb", "add", "0a:00:00:04:00:77", "dst", "198.51.100.9", "dev", "flannel.1"),
    "IPv6 FDB entry deleted": () => inside("bridge", "fdb", "delete", "0a:00:00:06:00:02", "dev", "flannel-v6.1"),
    "nft rules flushed": () => inside("nft", "flush", "ruleset"),
    "nft rule deleted": () => inside("nft", "flush", "chain", "ip", "twill-sender", "input"),
    "nft policy changed": () => inside("nft", "add chain ip twill-sender input { policy drop; }"),
    "nft table put to sleep": () => inside("nft", "add table ip twill-sender { flags dormant; }"),
    "IPv6 nft table deleted": () => inside("nft", "delete", "table", "ip6", "twill-sender"),
    "forwarding off": () => inside("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"),
    "IPv6 forwarding off": () => inside("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding"),
    "rp_filter strict": () => inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/flannel.1/rp_filter"),
    "IPv6 disabled": () => inside("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/flannel-v6.1/disable_ipv6"),
    "router advertisements accepted": () =>
      inside("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/flannel-v6.1/accept_ra"),
  };

  describe("puts back", () => {
    namespaceForAll();
    let plane: KernelDataplane;
    const want = { own: lease(1), peers: [lease(2), lease(3)], underlay };
    let right: ReturnType<typeof state>;
    beforeAll(async () => {
      plane = makePlane(netns);
      await plane.open(underlay);
      await plane.reconcile(want);
      right = state();
    });

    test.each(Object.entries(spoils))("%s", async (_, spoil) => {
      spoil();
      expect(state2(), "nothing was spoiled").not.toEqual(right);
      const outcome = await plane.reconcile(want);
      expect([...outcome.peers.values()]).toEqual(["in-sync", "in-sync"]);
      expect(state()).toEqual(right);
    });

    // A device that is gone cannot be shown.
    function state2(): unknown {
      try {
        return state();
      } catch {
        return "gone";
      }
    }

    test("IPv6 routes flushed, with a route around them that leads elsewhere", async () => {
      ip("-6", "route", "flush", "dev", "flannel-v6.1", "proto", "boot");
      ip("route", "add", "fd05::/48", "via", "fd77::9", "dev", "u0");
      const outcome = await plane.reconcile(want);
      ip("route", "delete", "fd05::/48");
      expect([...outcome.peers.values()]).toEqual(["in-sync", "in-sync"]);
      expect(state()).toEqual(right);
    });

    test("all of it at once", async () => {
      for (const [name, spoil] of Object.entries(spoils)) {
        if (name.includes("device")) continue;
        try {
          spoil();
        } catch {
          // Another has taken it away.
        }
      }
      ip("link", "delete", "flannel-v6.1");
      await plane.reconcile(want);
      expect(state()).toEqual(right);
    });

    test("nothing where nothing has changed: no write, and the device is the same", async () => {
      const tools: string[] = [];
      const again = makePlane(netns, { host: new LinuxHost({ netns, onRun: (tool) => tools.push(tool) }) });
      const index = ip("-o", "link", "show", "dev", "flannel.1").split(":")[0];
      await again.open(underlay);
      await again.reconcile(want);
      tools.length = 0;
      await again.reconcile(want);
      // Links, then neighbours and routes by family; forwarding entries; sender rules; sysctls.
      expect(tools.filter((tool) => tool === "ip")).toHaveLength(5);
      expect(tools.filter((tool) => tool === "bridge")).toHaveLength(2);
      expect(tools.filter((tool) => tool === "nft")).toHaveLength(2);
      expect(tools).not.toContain("tee");
      expect(state()).toEqual(right);
      expect(ip("-o", "link", "show", "dev", "flannel.1").split(":")[0]).toBe(index);
    });
  });

  describe("with DirectRouting", () => {
    namespaceForAll();

    test("a peer that comes to be behind a router has a route all the time", async () => {
      const plane = makePlane(netns, { backend: { ...backend, directRouting: true } });
      const want = { own: lease(1), peers: [lease(2)], underlay };
      await plane.open(underlay);
      await plane.reconcile(want);
      const routes = (): string[] =>
        [ip("route", "show", "10.5.2.0/24"), ip("-6", "route", "show", "fd05:0:0:2::/64")].map((line) =>
          line.replaceAll(/ metric.*|\s+$/gs, ""),
        );
      expect(routes()).toEqual([
        "10.5.2.0/24 via 198.51.100.2 dev u0 proto 84",
        "fd05:0:0:2::/64 via fd77::2 dev u0 proto 84",
      ]);
      let heard = "";
      const monitor = spawn("ip", ["-n", netns, "-o", "monitor", "route"]);
      monitor.stdout.setEncoding("utf8").on("data", (text: string) => (heard += text));
      try {
        await until(() => {
          ip("route", "replace", "192.0.2.0/24", "dev", "u0");
          return Promise.resolve(heard !== "");
        });
        ip("route", "add", "198.51.100.2", "via", "198.51.100.254", "dev", "u0");
        ip("route", "add", "fd77::2", "via", "fd77::fe", "dev", "u0");
        const outcome = await plane.reconcile(want);
        expect([...outcome.peers.values()]).toEqual(["in-sync"]);
        await until(() => Promise.resolve(heard.includes("\nfd05:0:0:2::/64 via fd05:0:0:2:: dev flannel-v6.1")));
      } finally {
        monitor.kill();
      }
      expect(routes()).toEqual([
        "10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink",
        "fd05:0:0:2::/64 via fd05:0:0:2:: dev flannel-v6.1",
      ]);
      expect(heard).not.toMatch(/^Deleted .*(10\.5\.2\.0|fd05:0:0:2::)\/(24|64)/m);
    });
  });

  describe("keeps a device that", () => {
    namespaceForAll();

    test.each([false, true])("a newer iproute2 shows with more settings, group policy %j", async (gbp) => {
      // As iproute2 7.1 does on Linux 6.14 and newer, and one that nobody has thought of yet.
      const newer = {
        reserved_bits: gbp ? "0x77000000000000ff" : "0xf7ffffff000000ff",
        external: false,
        localbypass: true,
        mcroute: false,
        shiny: "always",
        ...(gbp && { gbp: null }),
      };
      const execute: Execute = async (file, args, stdin) => {
        const result = await executeBySpawn(process.env)(file, args, stdin);
        const stdout = result.stdout.replaceAll(
          /("info_kind":"vxlan","info_data":)(\{.*?"udp_zero_csum6_rx":\w+).*?\}/g,
          (_, before: string, data: string) =>
            before + JSON.stringify({ ...(JSON.parse(`${data}}`) as object), ...newer }),
        );
        return { ...result, stdout };
      };
      const plane = makePlane(netns, { backend: { ...backend, gbp }, host: new LinuxHost({ netns, execute }) });
      const want = { own: lease(1), peers: [lease(2)], underlay };
      const indexes = (): string[] =>
        ["flannel.1", "flannel-v6.1"].map((dev) => ip("-o", "link", "show", "dev", dev).split(":")[0] ?? "");
      await plane.open(underlay);
      const first = indexes();
      await plane.reconcile(want);
      await plane.reconcile(want);
      expect(indexes()).toEqual(first);
      expect(ip("-d", "link", "show", "dev", "flannel.1").includes(" gbp ")).toBe(gbp);
      for (const dev of ["flannel.1", "flannel-v6.1"]) ip("link", "delete", dev);
    });
  });

  describe("where IPv6 is disabled on new devices", () => {
    namespaceForAll();

    test("it is enabled on the device of the IPv6 network alone", async () => {
      inside("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
      const plane = makePlane(netns);
      await plane.open(underlay);
      const outcome = await plane.reconcile({ own: lease(1), peers: [lease(2)], underlay });
      expect([...outcome.peers.values()]).toEqual(["in-sync"]);
      const disabled = (dev: string): string => inside("cat", `/proc/sys/net/ipv6/conf/${dev}/disable_ipv6`).trim();
      expect(["flannel.1", "flannel-v6.1", "default"].map(disabled)).toEqual(["1", "0", "1"]);
    });
  });

  describe("1,000 peers", () => {
    namespaceForAll();

    test("go in by a handful of processes, and one bad one does not hold up the others", async () => {
      const tools: string[] = [];
      const host = new LinuxHost({ netns, onRun: (tool) => tools.push(tool) });
      const plane = makePlane(netns, { network: { 4: prefix("10.0.0.0/8") }, vtepMac: { 4: vtepMac[4] }, host });
      await plane.open(underlay);
      const peers = Array.from({ length: 1000 }, (_, i) => lease(i + 2));
      const bad = { ...lease(1002), attrs: { ...lease(1002).attrs, publicIp: {} } };
      tools.length = 0;
      const before = usage();
      const outcome = await plane.reconcile({ own: lease(1), peers: [...peers, bad], underlay });
      const after = usage();
      const cpu = after.self - before.self + after.children - before.children;
      console.log(
        `1,000 peers: ${Math.round(after.wall - before.wall)} ms wall, ${cpu} ms CPU, ${tools.length} processes`,
      );
      expect([...outcome.peers.values()].filter((each) => each === "in-sync")).toHaveLength(1000);
      expect(tools.filter((tool) => tool !== "cat" && tool !== "tee").length).toBeLessThan(20);
      expect(
        ip("route", "show", "dev", "flannel.1")
          .split("\n")
          .filter((line) => line.includes("onlink")),
      ).toHaveLength(1000);
      expect(ip("neigh", "show", "dev", "flannel.1", "nud", "permanent").trim().split("\n")).toHaveLength(1000);
      expect(inside("bridge", "fdb", "show", "dev", "flannel.1").trim().split("\n")).toHaveLength(1000);
      // And again where they are right already; and one that leaves.
      const [start] = [usage()];
      await plane.reconcile({ own: lease(1), peers: peers.slice(1), underlay });
      const end = usage();
      console.log(
        `one of them leaves: ${Math.round(end.wall - start.wall)} ms wall, ${end.self - start.self + end.children - start.children} ms CPU`,
      );
      expect(ip("route", "show", "10.5.2.0/24")).toBe("");
    });
  });
});

// Milliseconds: CPU of this process and of the children that it has waited for (proc(5), stat: ticks of 10 ms).
function usage(): { wall: number; self: number; children: number } {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
  const ticks = (i: number): number => Number(fields[i]) * 10;
  return { wall: performance.now(), self: ticks(11) + ticks(12), children: ticks(13) + ticks(14) };
}
