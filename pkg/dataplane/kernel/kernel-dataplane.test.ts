import { describe, expect, test, vi } from "vitest";
import { dataplaneContract } from "../../../test/contract/dataplane.ts";
import { addr, mac, prefix } from "../../../test/literals.ts";
import { formatAddr } from "../../addr/addr.ts";
import { MemoryLogger } from "../../base/logger.ts";
import type { HostChange, Link } from "../../host/host.ts";
import { MemoryHost } from "../../host/memory-host.ts";
import { formatRoute } from "../../host/route.ts";
import type { Lease } from "../../lease/lease.ts";
import type { Underlay } from "../../underlay/underlay.ts";
import { DataplaneError, type Want } from "../dataplane.ts";
import { KernelDataplane, type KernelOptions } from "./kernel-dataplane.ts";

const underlay: Underlay = {
  name: "u0",
  index: 2,
  mtu: 1500,
  addr: { 4: addr("198.51.100.1") },
  publicIp: { 4: addr("198.51.100.1") },
};
const dual: Underlay = {
  ...underlay,
  addr: { ...underlay.addr, 6: addr("2001:db8::1") },
  publicIp: { ...underlay.publicIp, 6: addr("2001:db8::1") },
};
const backend = { vni: 1, port: 8472, mtu: undefined, gbp: false, learning: false, directRouting: false };
const OWN = mac("0a:00:00:00:00:01");
const OWN_6 = mac("0a:00:00:00:06:01");

function makeHost(): MemoryHost {
  const host = new MemoryHost();
  host.addLink({ name: "u0", up: true });
  void host.apply([
    { kind: "address", dev: "u0", address: { addr: addr("198.51.100.1"), length: 24 } },
    { kind: "address", dev: "u0", address: { addr: addr("2001:db8::1"), length: 64 } },
  ]);
  host.applied.length = 0;
  return host;
}

function makePlane(host: MemoryHost, options: Partial<KernelOptions> = {}, log = new MemoryLogger()): KernelDataplane {
  const network = { 4: prefix("10.5.0.0/16") };
  return new KernelDataplane({ backend, network, vtepMac: { 4: OWN }, verifySender: "default", host, log, ...options });
}

const both: Partial<KernelOptions> = {
  network: { 4: prefix("10.5.0.0/16"), 6: prefix("fd05::/48") },
  vtepMac: { 4: OWN, 6: OWN_6 },
};

function lease(n: number, changes: Partial<Lease> = {}, attrs: Partial<Lease["attrs"]> = {}): Lease {
  return {
    key: `subnets/10.5.${n}.0-24`,
    subnet: { 4: prefix(`10.5.${n}.0/24`) },
    attrs: {
      publicIp: { 4: addr(`198.51.100.${n}`), 6: addr(`2001:db8::${n}`) },
      backendType: "vxlan",
      vtep: { 4: { vni: 1, mac: mac(`0a:00:00:00:00:0${n}`) }, 6: { vni: 1, mac: mac(`0a:00:00:00:06:0${n}`) } },
      ...attrs,
    },
    leaseId: "7",
    modRevision: "1",
    ...changes,
  };
}

function dualLease(n: number): Lease {
  return lease(n, { subnet: { 4: prefix(`10.5.${n}.0/24`), 6: prefix(`fd05:0:0:${n}::/64`) } });
}

function want(peers: readonly Lease[], changes: Partial<Want> = {}): Want {
  return { own: lease(1), peers, underlay, ...changes };
}

async function device(host: MemoryHost, name: string): Promise<Link | undefined> {
  return (await host.links()).find((link) => link.name === name);
}

/** Everything that leads to peers, as text. */
async function peersOf(host: MemoryHost, dev = "flannel.1"): Promise<string[]> {
  const family = dev.includes("v6") ? 6 : 4;
  return [
    ...(await host.neighbours(dev)).map(({ addr, mac }) => `neigh ${formatAddr(addr)} ${mac ?? ""}`),
    ...(await host.fdb(dev)).map(({ mac, dst }) => `fdb ${mac} ${formatAddr(dst)}`),
    ...(await host.routes(family))
      .filter((route) => route.dev === dev && route.protocol !== "kernel")
      .map((route) => `route ${formatRoute(route)}`),
  ].toSorted();
}

dataplaneContract("KernelDataplane", async () => ({
  plane: makePlane(makeHost()),
  underlay,
  cleanUp: () => Promise.resolve(),
}));

describe("the kernel plane", () => {
  test("makes the device and each peer's entries as flannel does, and has nothing to do the second time", async () => {
    const host = makeHost();
    const plane = makePlane(host);
    await plane.open(underlay);
    await plane.reconcile(want([lease(2), lease(3)]));
    expect(await device(host, "flannel.1")).toMatchObject({
      mac: OWN,
      mtu: 1450,
      up: true,
      vxlan: { vni: 1, local: addr("198.51.100.1"), underlay: "u0", port: 8472, learning: false, gbp: false },
      addresses: [{ addr: addr("10.5.1.0"), length: 32 }],
    });
    expect(await peersOf(host)).toEqual([
      "fdb 0a:00:00:00:00:02 198.51.100.2",
      "fdb 0a:00:00:00:00:03 198.51.100.3",
      "neigh 10.5.2.0 0a:00:00:00:00:02",
      "neigh 10.5.3.0 0a:00:00:00:00:03",
      "route 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink",
      "route 10.5.3.0/24 via 10.5.3.0 dev flannel.1 onlink",
    ]);
    expect(host.sysctls.get("net/ipv4/ip_forward")).toBe("1");
    expect(host.sysctls.get("net/ipv6/conf/flannel.1/accept_ra")).toBe("0");
    const { length } = host.applied;
    await plane.reconcile(want([lease(2), lease(3)]));
    expect(host.applied.length).toBe(length);
  });

  test("IPv6 has a device of its own, 20 bytes smaller", async () => {
    const host = makeHost();
    const plane = makePlane(host, both);
    const attrs = await plane.open(dual);
    expect(attrs.vtep).toEqual({ 4: { vni: 1, mac: OWN }, 6: { vni: 1, mac: OWN_6 } });
    expect(plane.mtu).toEqual({ 4: 1450, 6: 1430 });
    await plane.reconcile({ own: dualLease(1), peers: [dualLease(2)], underlay: dual });
    expect(await device(host, "flannel-v6.1")).toMatchObject({
      mac: OWN_6,
      mtu: 1430,
      vxlan: { vni: 1, local: addr("2001:db8::1"), port: 8472 },
      addresses: [{ addr: addr("fd05:0:0:1::"), length: 128 }],
    });
    expect(await peersOf(host, "flannel-v6.1")).toEqual([
      "fdb 0a:00:00:00:06:02 2001:db8::2",
      "neigh fd05:0:0:2:: 0a:00:00:00:06:02",
      "route fd05:0:0:2::/64 via fd05:0:0:2:: dev flannel-v6.1 onlink",
    ]);
  });

  test("takes VNI, port, MTU, GBP and learning from the network config", async () => {
    const host = makeHost();
    const options = { ...backend, vni: 77, port: 4789, mtu: 1400, gbp: true, learning: true };
    const plane = makePlane(host, { backend: options });
    await plane.open(underlay);
    expect(await device(host, "flannel.77")).toMatchObject({
      mtu: 1350,
      vxlan: { vni: 77, port: 4789, gbp: true, learning: true },
    });
  });

  describe("an existing device", () => {
    const vxlan = { vni: 1, local: addr("198.51.100.1"), underlay: "u0", port: 8472, learning: false, gbp: false };
    const made = (changes: object = {}, others: readonly string[] = []): HostChange => ({
      kind: "vxlan",
      dev: "flannel.1",
      mac: OWN,
      mtu: 1450,
      vxlan: { ...vxlan, others, ...changes },
    });
    const up: HostChange = { kind: "link", dev: "flannel.1", up: true };

    test("that fits is kept as it is, with what it carries", async () => {
      const host = makeHost();
      await host.apply([made(), up, { kind: "neighbour", dev: "flannel.1", addr: addr("10.5.2.0"), mac: lease2Mac }]);
      const before = host.applied.length;
      await makePlane(host).open(underlay);
      expect(host.applied.slice(before)).toEqual([]);
    });

    test.each([
      ["MAC", made({}), { kind: "link", dev: "flannel.1", mac: mac("0a:00:00:00:00:99") }],
      ["MTU", made({}), { kind: "link", dev: "flannel.1", mtu: 1400 }],
      ["learning", made({ learning: true }), up],
      ["local address", made({ local: addr("198.51.100.9") }), up],
    ] as const)("has its %s changed in place", async (_, change, spoil) => {
      const host = makeHost();
      await host.apply([change, up, spoil]);
      const { index } = (await device(host, "flannel.1")) as Link;
      await makePlane(host).open(underlay);
      expect(await device(host, "flannel.1")).toMatchObject({
        index,
        mac: OWN,
        mtu: 1450,
        up: true,
        vxlan: { ...vxlan, others: [] },
      });
    });

    test.each([
      ["VNI", made({ vni: 2 })],
      ["port", made({ port: 4789 })],
      ["group policy", made({ gbp: true })],
      ["anything else", made({}, ["l2miss"])],
    ] as const)("is made anew where its %s differs", async (_, change) => {
      const host = makeHost();
      await host.apply([change, up]);
      const { index } = (await device(host, "flannel.1")) as Link;
      await makePlane(host).open(underlay);
      const now = await device(host, "flannel.1");
      expect(now).toMatchObject({ mac: OWN, mtu: 1450, up: true, vxlan: { ...vxlan, others: [] } });
      expect(now?.index).not.toBe(index);
    });

    test("is made anew where the kernel will not change it in place", async () => {
      const host = makeHost();
      await host.apply([made({ learning: true }), up]);
      host.failNext("change-vxlan", "Operation not supported");
      await makePlane(host).open(underlay);
      expect((await device(host, "flannel.1"))?.vxlan?.learning).toBe(false);
    });

    test("of another kind is not touched", async () => {
      const host = makeHost();
      host.addLink({ name: "flannel.1", kind: "bridge" });
      await expect(makePlane(host).open(underlay)).rejects.toThrow(
        /^an interface flannel\.1 of the kind bridge is in the way: delete it \(ip link delete flannel\.1\)$/,
      );
      expect((await device(host, "flannel.1"))?.kind).toBe("bridge");
    });

    test("of another name with our VNI is named", async () => {
      const host = makeHost();
      await host.apply([{ ...made(), dev: "vx0" } as HostChange]);
      await expect(makePlane(host).open(underlay)).rejects.toThrow(
        /vx0 is a VXLAN device with the same VNI 1 and port 8472; delete it \(ip link delete vx0\)/,
      );
    });
  });

  test.each([
    ["vxlan", "Unknown device type", /no VXLAN devices; load the module \(modprobe vxlan\), or give --dataplane=tun$/],
    ["vxlan", "Operation not permitted", /run twilld as root or with CAP_NET_ADMIN$/],
    ["link", "Address already in use", /UDP port 8472 is taken; see by whom with "ss -lunp sport = :8472"$/],
  ] as const)("cannot open: %s, %s", async (what, reason, sentence) => {
    const host = makeHost();
    host.failNext(what, reason);
    const opening = makePlane(host).open(underlay);
    await expect(opening).rejects.toThrow(sentence);
    await expect(opening).rejects.toBeInstanceOf(DataplaneError);
  });

  test("cannot open on an underlay without an address of the network's family", async () => {
    await expect(makePlane(makeHost(), both).open(underlay)).rejects.toThrow(
      /^the underlay interface u0 has no IPv6 address, which the network fd05::\/48 needs/,
    );
  });

  test("removes what peers have left behind, and what an old MAC or address was programmed with", async () => {
    const host = makeHost();
    const plane = makePlane(host);
    await plane.open(underlay);
    await plane.reconcile(want([lease(2), lease(3), lease(4)]));
    // A restart, with 4 gone, 3 on another machine, and rows that nobody knows.
    await host.apply([
      { kind: "fdb", dev: "flannel.1", mac: mac("0a:00:00:00:00:77"), dst: addr("198.51.100.77") },
      { kind: "neighbour", dev: "flannel.1", addr: addr("10.5.77.0"), mac: mac("0a:00:00:00:00:77") },
    ]);
    const again = makePlane(host);
    await again.open(underlay);
    const moved = lease(3, {}, { publicIp: { 4: addr("198.51.100.33") }, vtep: { 4: { vni: 1, mac: lease9Mac } } });
    await again.reconcile(want([lease(2), moved]));
    expect(await peersOf(host)).toEqual([
      "fdb 0a:00:00:00:00:02 198.51.100.2",
      "fdb 0a:00:00:00:00:09 198.51.100.33",
      "neigh 10.5.2.0 0a:00:00:00:00:02",
      "neigh 10.5.3.0 0a:00:00:00:00:09",
      "route 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink",
      "route 10.5.3.0/24 via 10.5.3.0 dev flannel.1 onlink",
    ]);
  });

  test.each([
    ["its own MAC", lease(2, {}, { vtep: { 4: { vni: 1, mac: OWN } } }), /VTEP MAC .* is this node's own/],
    ["a peer's MAC", lease(2, {}, { vtep: { 4: { vni: 1, mac: mac("0a:00:00:00:00:03") } } }), /also that of subnets/],
    ["a group MAC", lease(2, {}, { vtep: { 4: { vni: 1, mac: mac("01:00:5e:00:00:01") } } }), /a single device/],
    ["no MAC", lease(2, {}, { vtep: {} }), /^the lease names no VTEP MAC for 10\.5\.2\.0\/24$/],
    ["our subnet", lease(2, { subnet: { 4: prefix("10.5.1.0/25") } }), /overlaps this node's own/],
  ] as const)("refuses a lease with %s, and only that", async (_, bad, reason) => {
    const host = makeHost();
    const plane = makePlane(host);
    await plane.open(underlay);
    const outcome = await plane.reconcile(want([lease(3), bad]));
    expect(outcome.peers.get(bad.key)).toEqual({ failed: expect.stringMatching(reason) });
    expect(outcome.peers.get(lease(3).key)).toBe("in-sync");
    expect(await peersOf(host)).toHaveLength(3);
  });

  test.each(["neighbour", "fdb", "route"] as const)("a %s that fails is told of its peer alone", async (kind) => {
    const host = makeHost();
    const plane = makePlane(host);
    await plane.open(underlay);
    host.failNext(kind, "No buffer space available");
    const outcome = await plane.reconcile(want([lease(2), lease(3)]));
    expect([...outcome.peers.values()].filter((state) => state !== "in-sync")).toEqual([
      { failed: expect.stringContaining("No buffer space available") },
    ]);
    const second = await plane.reconcile(want([lease(2), lease(3)]));
    expect([...second.peers.values()]).toEqual(["in-sync", "in-sync"]);
  });

  test("a peer that joins is carried before everything is looked at, and let in", async () => {
    const host = makeHost();
    const log = new MemoryLogger();
    const plane = makePlane(host, {}, log);
    await plane.open(underlay);
    await plane.reconcile(want([lease(2)]));
    const before = host.applied.length;
    host.failNext("links", "interrupted");
    await expect(plane.reconcile(want([lease(2), lease(3)]))).rejects.toThrow("interrupted");
    expect(host.applied.slice(before).map(({ kind }) => kind)).toEqual(["neighbour", "fdb", "route"]);
    const newcomers = async (): Promise<readonly unknown[] | undefined> =>
      (await host.nftTable("ip", "twill-sender"))?.find(({ name }) => name === "newcomers")?.rules;
    expect(JSON.stringify(await newcomers())).toContain("198.51.100.3");
    // The next whole pass takes it over, and has nothing else to do.
    await plane.reconcile(want([lease(2), lease(3)]));
    expect(await newcomers()).toEqual([]);
    expect(JSON.stringify(await host.nftTable("ip", "twill-sender"))).toContain("198.51.100.3");
    await plane.reconcile(want([lease(2)]));
    expect(JSON.stringify(await host.nftTable("ip", "twill-sender"))).not.toContain("198.51.100.3");
    expect(log.sentences("warn")).toEqual([]);
  });

  test.each(["neighbour", "fdb", "route"] as const)(
    "a %s that fails while a peer is welcomed is left to a reconcile",
    async (kind) => {
      const host = makeHost();
      const plane = makePlane(host);
      await plane.open(underlay);
      await plane.reconcile(want([lease(2)]));
      host.failNext(kind, "No buffer space available");
      const wanted = want([lease(2), lease(3)]);
      expect(await plane.welcome(wanted)).toBe(false);
      // No route leads to a peer that cannot be reached.
      expect((await host.routes(4)).map(formatRoute).join("; ")).not.toContain("10.5.3.0/24");
      expect((await plane.reconcile(wanted)).peers.get(lease(3).key)).toBe("in-sync");
      expect(await peersOf(host)).toHaveLength(6);
    },
  );

  test.each(["fdb", "nftTable", "setNftTable"] as const)(
    "a peer that joins while a reconcile is in %s is carried before that ends, and stays",
    async (step) => {
      const host = makeHost();
      const log = new MemoryLogger();
      const plane = makePlane(host, {}, log);
      await plane.open(underlay);
      await plane.reconcile(want([lease(2)]));
      const gate = Promise.withResolvers<void>();
      const reached = Promise.withResolvers<void>();
      const through = host[step].bind(host) as (...args: unknown[]) => Promise<never>;
      const spy = vi.spyOn(host, step).mockImplementation(async (...args: unknown[]) => {
        reached.resolve();
        await gate.promise;
        return through(...args);
      });
      // Another peer changes meanwhile, so that the rules are written.
      const moved = lease(2, {}, { publicIp: { 4: addr("198.51.100.22") } });
      expect(await plane.welcome(want([moved]))).toBe(false);
      const pass = plane.reconcile(want([moved]));
      await reached.promise;
      const welcome = plane.welcome(want([moved, lease(3)]));
      if (step !== "setNftTable") {
        await welcome;
        expect((await host.routes(4)).map(formatRoute).join("; ")).toContain("10.5.3.0/24");
      }
      gate.resolve();
      await Promise.all([pass, welcome]);
      spy.mockRestore();
      const carried = await peersOf(host);
      expect(carried).toHaveLength(6);
      const senders = async (): Promise<string> => JSON.stringify(await host.nftTable("ip", "twill-sender"));
      expect(await senders()).toContain("198.51.100.3");
      await plane.reconcile(want([moved, lease(3)]));
      expect(await peersOf(host)).toEqual(carried);
      // Only who leaves must be seen to at once.
      expect(await plane.welcome(want([moved, lease(3)]))).toBe(true);
      expect(await plane.welcome(want([moved, lease(3), lease(4)]))).toBe(true);
      expect(await plane.welcome(want([moved, lease(3)]))).toBe(false);
      await plane.reconcile(want([moved]));
      expect(await peersOf(host)).toHaveLength(3);
      expect(await senders()).not.toContain("198.51.100.3");
      expect(log.sentences("warn")).toEqual([]);
    },
  );

  test("with DirectRouting only peers behind a router go through the tunnel", async () => {
    const host = makeHost();
    await host.apply([{ kind: "route", route: { dst: undefined, via: addr("198.51.100.254"), dev: "u0" } }]);
    const plane = makePlane(host, { backend: { ...backend, directRouting: true } });
    await plane.open(underlay);
    const far = lease(3, {}, { publicIp: { 4: addr("203.0.113.3") } });
    await plane.reconcile(want([lease(2), far]));
    expect(await peersOf(host)).toEqual([
      "fdb 0a:00:00:00:00:03 203.0.113.3",
      "neigh 10.5.3.0 0a:00:00:00:00:03",
      "route 10.5.3.0/24 via 10.5.3.0 dev flannel.1 onlink",
    ]);
    expect((await host.routes(4)).map(formatRoute)).toContain("10.5.2.0/24 via 198.51.100.2 dev u0 proto 84");
  });

  test("puts the routes of the tun plane on its own device before it removes that one", async () => {
    const host = makeHost();
    host.addLink({ name: "twill.1", kind: "tun", up: true });
    await host.apply([{ kind: "address", dev: "twill.1", address: { addr: addr("10.5.1.0"), length: 32 } }]);
    await host.apply([{ kind: "route", route: { dst: prefix("10.5.2.0/24"), dev: "twill.1" } }]);
    const log = new MemoryLogger();
    const plane = makePlane(host, {}, log);
    await plane.open(underlay);
    const before = host.applied.length;
    await plane.reconcile(want([lease(2)]));
    const kinds = host.applied.slice(before).map(({ kind }) => kind);
    expect(kinds.indexOf("route")).toBeLessThan(kinds.indexOf("delete-link"));
    expect(kinds).not.toContain("delete-route");
    expect(await device(host, "twill.1")).toBeUndefined();
    expect(log.sentences("info")).toContain("removed the device of another data plane");
  });

  test("removes the device of a family that the network no longer has", async () => {
    const host = makeHost();
    const former = makePlane(host, both);
    await former.open(dual);
    await former.reconcile({ own: dualLease(1), peers: [dualLease(2)], underlay: dual });
    expect(await host.nftTable("ip6", "twill-sender")).toBeDefined();
    const plane = makePlane(host);
    await plane.open(underlay);
    await plane.reconcile(want([lease(2)]));
    expect(await device(host, "flannel-v6.1")).toBeUndefined();
    expect(await host.nftTable("ip6", "twill-sender")).toBeUndefined();
    expect(await host.nftTable("ip", "twill-sender")).toBeDefined();
  });

  test("follows the underlay to another address and a smaller MTU", async () => {
    const host = makeHost();
    const plane = makePlane(host);
    await plane.open(underlay);
    await plane.reconcile(want([lease(2)]));
    await host.apply([{ kind: "link", dev: "u0", mtu: 1400 }]);
    const moved = { ...underlay, mtu: 1400, addr: { 4: addr("198.51.100.7") }, publicIp: { 4: addr("198.51.100.7") } };
    const outcome = await plane.reconcile(want([lease(2)], { underlay: moved }));
    expect(outcome.attrs.publicIp).toEqual(moved.publicIp);
    expect(plane.mtu).toEqual({ 4: 1350 });
    expect(await device(host, "flannel.1")).toMatchObject({ mtu: 1350, vxlan: { local: addr("198.51.100.7") } });
  });

  test("close leaves everything in place", async () => {
    const host = makeHost();
    const plane = makePlane(host);
    await plane.open(underlay);
    await plane.reconcile(want([lease(2)]));
    const before = await peersOf(host);
    await plane.close();
    expect(await peersOf(host)).toEqual(before);
  });
});

const lease2Mac = mac("0a:00:00:00:00:02");
const lease9Mac = mac("0a:00:00:00:00:09");
