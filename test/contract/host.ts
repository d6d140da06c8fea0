import { describe, expect, test } from "vitest";

import { type Addr, parseAddr } from "../../pkg/addr/addr.ts";
import { type Family } from "../../pkg/addr/family.ts";
import { type InterfaceAddr, formatInterfaceAddr, parseInterfaceAddr, parsePrefix } from "../../pkg/addr/prefix.ts";
import { type Host, type HostChange, HostError, type Link, type NftChain, type Route } from "../../pkg/host/host.ts";
import { sameRoute } from "../../pkg/host/route.ts";

/** A host with the interfaces lo and "u0", which is up, has a carrier and no addresses, and generates none. */
export interface HostUnderTest {
  readonly host: Host;
  close(): Promise<void>;
}

/** What every Host does; `make` is called once per test. */
export function hostContract(name: string, make: () => Promise<HostUnderTest>): void {
  const on = (title: string, fn: (host: Host) => Promise<void>): void =>
    test(title, async () => {
      const made = await make();
      try {
        await fn(made.host);
      } finally {
        await made.close();
      }
    });

  describe(`${name}: links and addresses`, () => {
    on("lists the interfaces", async (host) => {
      const lo = await link(host, "lo");
      expect(lo).toMatchObject({ index: 1, kind: "loopback", mtu: 65_536, mac: undefined });
      const u0 = await link(host, "u0");
      expect(u0).toMatchObject({ kind: "veth", mtu: 1500, up: true, addresses: [] });
      expect(u0.index).toBeGreaterThan(1);
    });

    on("sets MTU, queue length and state", async (host) => {
      expect(await host.apply([{ kind: "link", dev: "u0", mtu: 1400, txQueueLen: 500, up: false }])).toEqual([
        undefined,
      ]);
      expect(await link(host, "u0")).toMatchObject({ mtu: 1400, txQueueLen: 500, up: false });
      expect(await host.apply([{ kind: "link", dev: "u0", up: true }])).toEqual([undefined]);
      expect(await link(host, "u0")).toMatchObject({ mtu: 1400, txQueueLen: 500, up: true });
    });

    on("adds an address once and deletes it once", async (host) => {
      const add: HostChange = { kind: "address", dev: "u0", address: cidr("10.5.1.0/32") };
      const del: HostChange = { kind: "delete-address", dev: "u0", address: cidr("10.5.1.0/32") };
      expect(await host.apply([add, add])).toEqual([undefined, undefined]);
      const { addresses } = await link(host, "u0");
      expect(addresses).toEqual([
        { ...cidr("10.5.1.0/32"), scope: "global", deprecated: false, dynamic: false, temporary: false },
      ]);
      expect(await host.apply([del, del])).toEqual([undefined, undefined]);
      expect((await link(host, "u0")).addresses).toEqual([]);
    });

    on("holds both families on one link", async (host) => {
      await must(host, [
        { kind: "address", dev: "u0", address: cidr("10.5.1.0/32") },
        { kind: "address", dev: "u0", address: cidr("fd05:1::/128") },
      ]);
      const { addresses } = await link(host, "u0");
      expect(addresses.map(formatInterfaceAddr).toSorted()).toEqual(["10.5.1.0/32", "fd05:1::/128"]);
    });

    on("deletes a link once, with its routes", async (host) => {
      await must(host, [{ kind: "route", route: route("10.5.2.0/24", { via: "10.5.2.0", onlink: true }) }]);
      const del: HostChange = { kind: "delete-link", dev: "u0" };
      expect(await host.apply([del, del])).toEqual([undefined, undefined]);
      expect((await host.links()).some((link) => link.name === "u0")).toBe(false);
      expect(await host.routes(4)).toEqual([]);
    });
  });

  describe(`${name}: changes that fail`, () => {
    on("says which device is missing, and does the rest", async (host) => {
      const results = await host.apply([
        { kind: "link", dev: "gone0", up: true },
        { kind: "address", dev: "gone0", address: cidr("10.5.1.0/32") },
        { kind: "address", dev: "u0", address: cidr("10.5.1.0/32") },
        { kind: "route", route: { ...route("10.5.2.0/24"), dev: "gone0" } },
        { kind: "delete-address", dev: "gone0", address: cidr("10.5.1.0/32") },
        { kind: "delete-route", route: { ...route("10.5.2.0/24"), dev: "gone0" } },
      ]);
      expect(results.map((result) => result?.message)).toEqual([
        'cannot set up the link gone0: Cannot find device "gone0"',
        'cannot add the address 10.5.1.0/32 to gone0: Cannot find device "gone0"',
        undefined,
        'cannot add the route 10.5.2.0/24 dev gone0: Cannot find device "gone0"',
        undefined,
        undefined,
      ]);
      expect(results[0]).toBeInstanceOf(HostError);
      expect((await link(host, "u0")).addresses).toHaveLength(1);
    });

    on("refuses names that are none", async (host) => {
      for (const dev of ["", "two words", "a/b", 'quote"d', "0123456789abcdef", "..", "x\nlink delete dev u0"]) {
        const [result] = await host.apply([{ kind: "delete-link", dev }]);
        expect(result?.message).toBe(
          `cannot delete the link ${dev}: ${JSON.stringify(dev)} is not the name of an interface`,
        );
      }
      expect(await link(host, "u0")).toBeDefined();
    });

    on("refuses a route through a link that is down", async (host) => {
      const results = await host.apply([
        { kind: "link", dev: "u0", up: false },
        { kind: "route", route: route("10.5.2.0/24", { via: "10.5.2.0", onlink: true }) },
      ]);
      expect(results.map((result) => result?.message)).toEqual([
        undefined,
        "cannot add the route 10.5.2.0/24 via 10.5.2.0 dev u0 onlink: Nexthop device is not up",
      ]);
    });

    on("refuses a gateway that is not on the link", async (host) => {
      const results = await host.apply([
        { kind: "route", route: route("10.5.2.0/24", { via: "10.9.9.9" }) },
        { kind: "route", route: route("fd05:2::/64", { via: "fd09::9" }) },
      ]);
      expect(results.map((result) => result?.message)).toEqual([
        "cannot add the route 10.5.2.0/24 via 10.9.9.9 dev u0: Nexthop has invalid gateway",
        "cannot add the route fd05:2::/64 via fd09::9 dev u0: No route to host",
      ]);
    });

    on("refuses a source address that nobody has, an MTU that is too small and the end of lo", async (host) => {
      const results = await host.apply([
        { kind: "route", route: route("10.5.2.0/24", { src: "10.1.2.3" }) },
        { kind: "link", dev: "u0", mtu: 20 },
        { kind: "delete-link", dev: "lo" },
      ]);
      expect(results.map((result) => result?.message)).toEqual([
        "cannot add the route 10.5.2.0/24 dev u0 src 10.1.2.3: Invalid prefsrc address",
        "cannot set up the link u0: mtu less than device minimum",
        "cannot delete the link lo: Operation not supported",
      ]);
    });
  });

  describe(`${name}: routes`, () => {
    const written: readonly Route[] = [
      route("10.5.2.0/24", { via: "10.5.2.0", onlink: true }),
      route("10.5.3.0/24", { via: "10.5.3.0", onlink: true, protocol: "static", metric: 7 }),
      route("10.5.4.0/24", { protocol: "99" }),
      route("10.5.5.7/32", { src: "10.5.1.1" }),
      route("fd05:2::/64", { via: "fd05:2::", onlink: true }),
      route("fd05:3::/64", { protocol: "static", metric: 7 }),
    ];

    on("reads back what was written, however often", async (host) => {
      await must(host, [{ kind: "address", dev: "u0", address: cidr("10.5.1.1/32") }]);
      const changes = written.map((route): HostChange => ({ kind: "route", route }));
      await must(host, changes);
      await must(host, changes);
      for (const family of [4, 6] as const) {
        const have = (await ours(host, family)).toSorted(byDst);
        expect(have).toEqual(written.filter((route) => route.dst?.family === family));
      }
    });

    on("takes what it fills in as the same as leaving it out", async (host) => {
      await must(host, [
        { kind: "route", route: route("10.5.2.0/24", { protocol: "boot", metric: 0, onlink: false }) },
        { kind: "route", route: route("fd05:2::/64", { protocol: "boot", metric: 1024 }) },
      ]);
      expect(await ours(host, 4)).toEqual([route("10.5.2.0/24")]);
      expect(await ours(host, 6)).toEqual([route("fd05:2::/64")]);
      expect(sameRoute(route("fd05:2::/64"), route("fd05:2::/64", { protocol: "boot", metric: 1024 }))).toBe(true);
      expect(sameRoute(route("fd05:2::/64"), route("fd05:2::/64", { metric: 5 }))).toBe(false);
    });

    on("replaces a route to the same destination, not one of another metric", async (host) => {
      await must(host, [
        { kind: "route", route: route("10.5.2.0/24", { metric: 9 }) },
        { kind: "route", route: route("10.5.2.0/24") },
        { kind: "route", route: route("10.5.2.0/24", { via: "10.5.2.0", onlink: true }) },
        { kind: "route", route: route("fd05:2::/64") },
        { kind: "route", route: route("fd05:2::/64", { via: "fd05:2::", onlink: true }) },
      ]);
      expect((await ours(host, 4)).toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0))).toEqual([
        route("10.5.2.0/24", { via: "10.5.2.0", onlink: true }),
        route("10.5.2.0/24", { metric: 9 }),
      ]);
      expect(await ours(host, 6)).toEqual([route("fd05:2::/64", { via: "fd05:2::", onlink: true })]);
    });

    on("deletes a route once", async (host) => {
      await must(
        host,
        written.filter((route) => !route.src).map((route): HostChange => ({ kind: "route", route })),
      );
      const removals = written.map((route): HostChange => ({ kind: "delete-route", route }));
      await must(host, removals);
      await must(host, removals);
      expect([...(await ours(host, 4)), ...(await ours(host, 6))]).toEqual([]);
    });

    on("deletes only the route that it was asked for", async (host) => {
      await must(host, [
        { kind: "route", route: route("10.5.2.0/24", { protocol: "static" }) },
        { kind: "delete-route", route: route("10.5.2.0/24", { via: "10.5.2.0" }) },
        { kind: "delete-route", route: route("10.5.2.0/24", { protocol: "99" }) },
        { kind: "delete-route", route: route("10.5.2.0/24", { metric: 4 }) },
        { kind: "delete-route", route: route("10.5.0.0/16") },
      ]);
      expect(await ours(host, 4)).toEqual([route("10.5.2.0/24", { protocol: "static" })]);
    });

    on("shows the routes that the kernel makes for an address", async (host) => {
      await must(host, [
        { kind: "address", dev: "u0", address: cidr("10.1.0.7/24") },
        { kind: "address", dev: "u0", address: cidr("fd01::7/64") },
      ]);
      const kernel = async (family: Family): Promise<Route[]> =>
        (await host.routes(family)).filter((route) => route.dev === "u0" && route.protocol === "kernel");
      expect(await kernel(4)).toEqual([route("10.1.0.0/24", { protocol: "kernel", src: "10.1.0.7" })]);
      expect(await kernel(6)).toContainEqual(route("fd01::/64", { protocol: "kernel", metric: 256 }));
      await must(host, [{ kind: "delete-address", dev: "u0", address: cidr("10.1.0.7/24") }]);
      expect(await kernel(4)).toEqual([]);
    });

    on("loses the routes of a link that goes down, and finds them back only if they are the kernel's", async (host) => {
      await must(host, [
        { kind: "address", dev: "u0", address: cidr("10.1.0.7/24") },
        { kind: "route", route: route("10.5.2.0/24") },
        { kind: "link", dev: "u0", up: false },
      ]);
      expect(await host.routes(4)).toEqual([]);
      await must(host, [{ kind: "link", dev: "u0", up: true }]);
      expect(await host.routes(4)).toEqual([route("10.1.0.0/24", { protocol: "kernel", src: "10.1.0.7" })]);
    });

    on("looks up which way a packet would go", async (host) => {
      expect(await host.routeTo(addr("10.9.9.9"))).toBeUndefined();
      await must(host, [
        { kind: "address", dev: "u0", address: cidr("10.1.0.7/24") },
        { kind: "route", route: { dst: undefined, dev: "u0", via: addr("10.1.0.1") } },
        { kind: "route", route: route("10.5.0.0/16", { via: "10.1.0.2" }) },
        { kind: "route", route: route("10.5.2.0/24", { via: "10.1.0.3" }) },
      ]);
      const src = addr("10.1.0.7");
      expect(await host.routeTo(addr("10.1.0.9"))).toEqual({ dev: "u0", via: undefined, src });
      expect(await host.routeTo(addr("10.9.9.9"))).toEqual({ dev: "u0", via: addr("10.1.0.1"), src });
      expect(await host.routeTo(addr("10.5.9.9"))).toEqual({ dev: "u0", via: addr("10.1.0.2"), src });
      expect(await host.routeTo(addr("10.5.2.9"))).toEqual({ dev: "u0", via: addr("10.1.0.3"), src });
      expect(await host.routeTo(src)).toEqual({ dev: "lo", via: undefined, src });
      expect((await host.routes(4)).filter((route) => !route.dst)).toEqual([
        { dst: undefined, dev: "u0", via: addr("10.1.0.1") },
      ]);
    });
  });

  describe(`${name}: sysctls`, () => {
    on("reads and writes", async (host) => {
      expect(await host.sysctl("net/ipv4/ip_forward")).toMatch(/^[01]$/);
      await host.setSysctl("net/ipv4/ip_forward", "1");
      expect(await host.sysctl("net/ipv4/ip_forward")).toBe("1");
      await host.setSysctl("net/ipv4/conf/u0/rp_filter", "2");
      expect(await host.sysctl("net/ipv4/conf/u0/rp_filter")).toBe("2");
    });

    on("knows what does not exist", async (host) => {
      expect(await host.sysctl("net/ipv4/conf/gone0/forwarding")).toBeUndefined();
      const error = await host.setSysctl("net/ipv4/conf/gone0/forwarding", "1").catch((error: unknown) => error);
      expect(error).toBeInstanceOf(HostError);
      expect(String(error)).toContain(
        "cannot set the sysctl net/ipv4/conf/gone0/forwarding to 1: this kernel has no such setting",
      );
    });
  });

  describe(`${name}: nftables`, () => {
    const chain = (rules: NftChain["rules"]): NftChain => ({
      name: "masquerade",
      type: "nat",
      hook: "postrouting",
      priority: 100,
      rules,
    });
    const masquerade = [
      {
        match: {
          op: "==",
          left: { payload: { protocol: "ip", field: "saddr" } },
          right: { prefix: { addr: "10.5.0.0", len: 16 } },
        },
      },
      { masquerade: null },
    ];

    on("writes a table whole and reads it back", async (host) => {
      expect(await host.nftTable("ip", "twill-test")).toBeUndefined();
      await host.setNftTable("ip", "twill-test", [chain([masquerade, [{ return: null }]])]);
      expect(await host.nftTable("ip", "twill-test")).toEqual([chain([masquerade, [{ return: null }]])]);
      await host.setNftTable("ip", "twill-test", [chain([masquerade])]);
      expect(await host.nftTable("ip", "twill-test")).toEqual([chain([masquerade])]);
      expect(await host.nftTable("ip6", "twill-test")).toBeUndefined();
    });

    on("writes and reads the policy of a chain", async (host) => {
      const drops: NftChain = { ...chain([]), type: "filter", hook: "input", priority: 0, policy: "drop" };
      await host.setNftTable("ip", "twill-test", [drops]);
      expect(await host.nftTable("ip", "twill-test")).toEqual([drops]);
      const { policy: _, ...accepts } = drops;
      await host.setNftTable("ip", "twill-test", [accepts]);
      expect(await host.nftTable("ip", "twill-test")).toEqual([accepts]);
    });

    on("keeps chains that others jump to, and adds a rule at their end", async (host) => {
      const inner: NftChain = { name: "inner", rules: [[{ return: null }]] };
      const outer = chain([[{ jump: { target: "inner" } }], masquerade]);
      await host.setNftTable("ip", "twill-test", [inner, outer]);
      await host.addNftRule("ip", "twill-test", "inner", [{ accept: null }]);
      const right = [{ ...inner, rules: [...inner.rules, [{ accept: null }]] }, outer];
      expect(await host.nftTable("ip", "twill-test")).toEqual(right);
      await expect(host.addNftRule("ip", "twill-test", "none", [{ accept: null }])).rejects.toThrow(
        /^cannot add a rule to ip twill-test none of nftables: .*No such file or directory/,
      );
    });

    on("takes a table of any size", async (host) => {
      const rules = Array.from({ length: 12_000 }, (_, i) => [
        { match: { op: "==", left: { payload: { protocol: "udp", field: "dport" } }, right: i + 1 } },
        { return: null },
      ]);
      await host.setNftTable("ip", "twill-test", [chain(rules)]);
      expect((await host.nftTable("ip", "twill-test"))?.[0]?.rules).toHaveLength(rules.length);
    });

    on("names the tables, by family", async (host) => {
      expect([...(await host.nftTables())]).toEqual([]);
      await host.setNftTable("ip", "twill-test", [chain([masquerade])]);
      await host.setNftTable("ip6", "twill-test", []);
      expect([...(await host.nftTables())].toSorted()).toEqual(["ip twill-test", "ip6 twill-test"]);
      await host.setForwardChain(4, "nft", "TWILL-TEST", []);
      expect(await host.nftTables()).toContain("ip filter");
    });

    on("deletes a table once", async (host) => {
      await host.setNftTable("ip", "twill-test", [chain([masquerade])]);
      await host.setNftTable("ip", "twill-test", undefined);
      await host.setNftTable("ip", "twill-test", undefined);
      expect(await host.nftTable("ip", "twill-test")).toBeUndefined();
    });
  });

  describe(`${name}: iptables`, () => {
    const rules = [
      ["-s", "10.5.0.0/16", "-m", "comment", "--comment", "pods of twill", "-j", "ACCEPT"],
      ["-d", "10.5.0.0/16", "-j", "ACCEPT"],
    ];
    const rules6 = [["-s", "fd05::/56", "-j", "ACCEPT"]];

    for (const variant of ["nft", "legacy"] as const) {
      on(`${variant}: writes, keeps and removes a chain`, async (host) => {
        expect(await host.iptablesInUse(4)).toEqual([]);
        expect(await host.setForwardChain(4, variant, "TWILL-TEST", undefined)).toBe(false);
        expect(await host.setForwardChain(4, variant, "TWILL-TEST", rules)).toBe(true);
        expect(await host.setForwardChain(4, variant, "TWILL-TEST", rules)).toBe(false);
        expect(await host.iptablesInUse(4)).toEqual([variant]);
        expect(await host.iptablesInUse(4, await host.nftTables())).toEqual([variant]);
        expect(await host.iptablesInUse(4, new Set())).toEqual(variant === "nft" ? [] : [variant]);
        expect(await host.iptablesInUse(6)).toEqual([]);
        expect(await host.setForwardChain(4, variant, "TWILL-TEST", rules.toReversed())).toBe(true);
        expect(await host.setForwardChain(4, variant, "TWILL-TEST", undefined)).toBe(true);
        expect(await host.setForwardChain(4, variant, "TWILL-TEST", undefined)).toBe(false);
        expect(await host.iptablesInUse(4)).toEqual([]);
      });

      on(`${variant}: does the same for IPv6`, async (host) => {
        expect(await host.setForwardChain(6, variant, "TWILL-TEST", rules6)).toBe(true);
        expect(await host.setForwardChain(6, variant, "TWILL-TEST", rules6)).toBe(false);
        expect(await host.iptablesInUse(6)).toEqual([variant]);
        expect(await host.iptablesInUse(4)).toEqual([]);
        expect(await host.setForwardChain(6, variant, "TWILL-TEST", undefined)).toBe(true);
      });

      on(`${variant}: removes a chain of somebody else's with the jumps to it`, async (host) => {
        const where = { table: "filter", hook: "FORWARD", chain: "OTHER" } as const;
        expect(await host.removeIptablesChain(4, variant, where)).toBe(false);
        await host.setForwardChain(4, variant, "OTHER", rules);
        await host.setForwardChain(4, variant, "TWILL-TEST", rules);
        expect(await host.removeIptablesChain(6, variant, where)).toBe(false);
        expect(await host.removeIptablesChain(4, variant, { ...where, table: "nat" })).toBe(false);
        if (variant === "nft") expect(await host.removeIptablesChain(4, variant, where, new Set())).toBe(false);
        expect(await host.removeIptablesChain(4, variant, where, await host.nftTables())).toBe(true);
        expect(await host.removeIptablesChain(4, variant, where)).toBe(false);
        expect(await host.setForwardChain(4, variant, "TWILL-TEST", rules)).toBe(false);
      });

      on(`${variant}: puts the jump back to the front`, async (host) => {
        await host.setForwardChain(4, variant, "TWILL-TEST", rules);
        await host.setForwardChain(4, variant, "OTHER", [["-j", "DROP"]]);
        expect(await host.setForwardChain(4, variant, "TWILL-TEST", rules)).toBe(true);
        expect(await host.setForwardChain(4, variant, "TWILL-TEST", rules)).toBe(false);
        expect(await host.setForwardChain(4, variant, "OTHER", [["-j", "DROP"]])).toBe(true);
      });
    }
  });
}

async function link(host: Host, name: string): Promise<Link> {
  const found = (await host.links()).find((link) => link.name === name);
  if (!found) throw new Error(`there is no interface ${name}`);
  return found;
}

async function must(host: Host, changes: readonly HostChange[]): Promise<void> {
  expect((await host.apply(changes)).filter((result) => result)).toEqual([]);
}

// The routes that the test wrote.
async function ours(host: Host, family: Family): Promise<Route[]> {
  return (await host.routes(family)).filter((route) => route.dev === "u0" && route.protocol !== "kernel");
}

function route(
  dst: string,
  rest: Omit<Partial<Route>, "via" | "src"> & { readonly via?: string; readonly src?: string } = {},
): Route {
  const { via, src, ...plain } = rest;
  const prefix = parsePrefix(dst);
  if (!prefix) throw new Error(`${dst} is no prefix`);
  return { dst: prefix, dev: "u0", ...plain, ...(via && { via: addr(via) }), ...(src && { src: addr(src) }) };
}

function byDst(a: Route, b: Route): number {
  return Number((a.dst?.value ?? 0n) - (b.dst?.value ?? 0n));
}

function addr(text: string): Addr {
  const parsed = parseAddr(text);
  if (!parsed) throw new Error(`${text} is no address`);
  return parsed;
}

function cidr(text: string): InterfaceAddr {
  const parsed = parseInterfaceAddr(text);
  if (!parsed) throw new Error(`${text} is no address with a length`);
  return parsed;
}
