import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

import { describe, expect, onTestFinished, test } from "vitest";

import { executeBySpawn } from "../../pkg/host/execute.ts";
import { LinuxHost } from "../../pkg/host/linux-host.ts";
import { rings, vxlanHostContract } from "../contract/host-vxlan.ts";
import { type HostUnderTest, hostContract } from "../contract/host.ts";

// Each test has a network namespace of its own with one end of a veth pair in it; the other end is up, so u0 has a
// carrier.

describe.skipIf(process.getuid?.() !== 0)("LinuxHost (needs root for network namespaces)", () => {
  const make = async (): Promise<HostUnderTest> => {
    const netns = makeNamespace();
    const execute = executeBySpawn(process.env); // as the agent's
    return { host: new LinuxHost({ netns, execute }), close: async () => sh("ip", "netns", "delete", netns) };
  };
  hostContract("LinuxHost", make);
  vxlanHostContract("LinuxHost", make);

  test("the bell rings for sysctls that were read, of which the kernel says nothing", async () => {
    const netns = makeNamespace();
    onTestFinished(() => sh("ip", "netns", "delete", netns));
    const host = new LinuxHost({ netns });
    const path = "net/ipv6/conf/u0/accept_ra";
    const somebody = new LinuxHost({ netns });
    await host.sysctl(path);
    expect(
      await rings(host, { kind: "sysctl", of: path }, (n) => somebody.setSysctl(path, n % 40 < 20 ? "0" : "2")),
    ).toBe(true);
  });

  test("the bell rings for rules of iptables-legacy", async () => {
    const netns = makeNamespace();
    onTestFinished(() => sh("ip", "netns", "delete", netns));
    const host = new LinuxHost({ netns });
    const rules = [["-j", "ACCEPT"]];
    await host.setForwardChain(4, "legacy", "TWILL-TEST", rules);
    const change = async (n: number): Promise<unknown> =>
      n === 30 ? host.setForwardChain(4, "legacy", "TWILL-TEST", undefined) : undefined;
    expect(await rings(host, { kind: "iptables", of: "" }, change)).toBe(true);
  });

  test("the bell is hung up again when its monitor dies", async () => {
    const netns = makeNamespace();
    onTestFinished(() => sh("ip", "netns", "delete", netns));
    const host = new LinuxHost({ netns });
    const children = (): string[] => readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
    const before = new Set(children());
    let killed = 0;
    const heard = await rings(host, { kind: "gap", of: "" }, async (n) => {
      if (n !== 30) return;
      for (const pid of children()) {
        if (before.has(pid)) continue;
        process.kill(Number(pid), "SIGKILL");
        killed++;
      }
    });
    expect(heard).toBe(true);
    expect(killed).toBe(2);
  });

  test("the address generation mode is set before the link comes up", async () => {
    const netns = makeNamespace();
    try {
      sh("ip", "-n", netns, "link", "add", "t0", "type", "veth", "peer", "name", "t1");
      sh("ip", "-n", netns, "link", "set", "t1", "up");
      const host = new LinuxHost({ netns });
      expect(await host.apply([{ kind: "link", dev: "t0", addrGenMode: "none", mtu: 1450, up: true }])).toEqual([
        undefined,
      ]);
      const links = await host.links();
      expect(links.find((link) => link.name === "t0")).toMatchObject({ up: true, mtu: 1450, addresses: [] });
      // What the other end got shows that a link-local address would have been there by now.
      expect(links.find((link) => link.name === "t1")?.addresses).toHaveLength(1);
    } finally {
      sh("ip", "netns", "delete", netns);
    }
  });

  test("a link without IPv6 has no address to generate", async () => {
    const netns = makeNamespace();
    try {
      // As where the kernel was started with ipv6.disable=1: IPv6 leaves a link that is smaller than its smallest packet.
      sh("ip", "-n", netns, "tuntap", "add", "t0", "mode", "tun");
      sh("ip", "-n", netns, "link", "set", "t0", "mtu", "1200");
      const host = new LinuxHost({ netns });
      const changes = [
        { kind: "link", dev: "t0", addrGenMode: "none", up: true },
        { kind: "link", dev: "gone0", addrGenMode: "none" },
      ] as const;
      const [done, lost] = await host.apply(changes);
      expect(done).toBeUndefined();
      expect(lost?.message).toBe('cannot set up the link gone0: Cannot find device "gone0"');
      expect((await host.links()).find(({ name }) => name === "t0")).toMatchObject({ up: true, addresses: [] });
    } finally {
      sh("ip", "netns", "delete", netns);
    }
  });

  test("without a namespace of its own it is this host", async () => {
    const host = new LinuxHost();
    const path = "net/ipv4/conf/lo/rp_filter";
    const value = readFileSync(`/proc/sys/${path}`, "utf8").trim();
    expect(await host.sysctl(path)).toBe(value);
    await host.setSysctl(path, value);
    await expect(host.setSysctl("net/ipv4/conf/gone0/rp_filter", "0")).rejects.toThrow(
      "cannot set the sysctl net/ipv4/conf/gone0/rp_filter to 0: this kernel has no such setting",
    );
    await expect(host.setSysctl(path, "many")).rejects.toThrow(
      `cannot set the sysctl ${path} to many: Invalid argument`,
    );
    expect((await host.links())[0]).toMatchObject({ name: "lo", kind: "loopback" });
  });

  test("reads routes that we never write: several next hops, blackholes, names with dots", async () => {
    const netns = makeNamespace();
    try {
      const host = new LinuxHost({ netns });
      const ip = (...args: string[]): void => sh("ip", "-n", netns, ...args);
      ip("link", "set", "u0", "name", "eth0.100");
      ip("link", "set", "eth0.100", "up");
      ip("address", "add", "10.1.0.7/24", "dev", "eth0.100");
      ip("route", "add", "blackhole", "10.66.0.0/16");
      ip("route", "add", "default", "nexthop", "via", "10.1.0.1", "nexthop", "via", "10.1.0.2");
      const routes = await host.routes(4);
      expect(routes.map((route) => [route.dst === undefined, route.dev])).toEqual([
        [true, "eth0.100"],
        [true, "eth0.100"],
        [false, "eth0.100"],
      ]);
      expect(await host.routeTo({ family: 4, value: 0x0a42_0001n })).toBeUndefined();
      await host.setSysctl("net/ipv4/conf/eth0.100/rp_filter", "2");
      expect(await host.sysctl("net/ipv4/conf/eth0.100/rp_filter")).toBe("2");
    } finally {
      sh("ip", "netns", "delete", netns);
    }
  });
});

function makeNamespace(): string {
  const netns = `twill-host-${randomBytes(4).toString("hex")}`;
  sh("ip", "netns", "add", netns);
  sh("ip", "-n", netns, "link", "set", "lo", "up");
  sh("ip", "-n", netns, "link", "add", "u0", "type", "veth", "peer", "name", "p0");
  sh("ip", "-n", netns, "link", "set", "u0", "addrgenmode", "none");
  sh("ip", "-n", netns, "link", "set", "p0", "addrgenmode", "none");
  sh("ip", "-n", netns, "link", "set", "p0", "up");
  sh("ip", "-n", netns, "link", "set", "u0", "up");
  return netns;
}

function sh(file: string, ...args: string[]): void {
  execFileSync(file, args, { stdio: ["ignore", "ignore", "inherit"] });
}
