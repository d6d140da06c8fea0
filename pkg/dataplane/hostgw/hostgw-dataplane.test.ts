import { describe, expect, test } from "vitest";
import { dataplaneContract } from "../../../test/contract/dataplane.ts";
import { addr, prefix } from "../../../test/literals.ts";
import { MemoryLogger } from "../../base/logger.ts";
import type { Route } from "../../host/host.ts";
import { MemoryHost } from "../../host/memory-host.ts";
import { formatRoute } from "../../host/route.ts";
import type { Lease } from "../../lease/lease.ts";
import type { Underlay } from "../../underlay/underlay.ts";
import type { Want } from "../dataplane.ts";
import { HostGwDataplane } from "./hostgw-dataplane.ts";

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

async function makeHost(): Promise<MemoryHost> {
  const host = new MemoryHost();
  host.addLink({ name: "u0", up: true });
  host.addLink({ name: "u9", up: true });
  await host.apply([
    { kind: "address", dev: "u0", address: { addr: addr("198.51.100.1"), length: 24 } },
    { kind: "address", dev: "u0", address: { addr: addr("2001:db8::1"), length: 64 } },
    { kind: "route", route: { dst: undefined, via: addr("198.51.100.254"), dev: "u0" } },
  ]);
  return host;
}

dataplaneContract("HostGwDataplane", async () => {
  const host = await makeHost();
  const plane = new HostGwDataplane({ network: { 4: prefix("10.5.0.0/16") }, host, log: new MemoryLogger() });
  return { plane, underlay, backendType: "host-gw", cleanUp: () => Promise.resolve() };
});

describe("host-gw", () => {
  const network = { 4: prefix("10.5.0.0/16"), 6: prefix("fd05::/48") };

  function lease(n: number, changes: Partial<Lease> & { publicIp?: string } = {}): Lease {
    const { publicIp = `198.51.100.${n}`, ...rest } = changes;
    return {
      key: `subnets/10.5.${n}.0-24`,
      subnet: { 4: prefix(`10.5.${n}.0/24`) },
      attrs: { publicIp: { 4: addr(publicIp), 6: addr(`2001:db8::${n}`) }, backendType: "host-gw", vtep: {} },
      leaseId: "7",
      modRevision: "1",
      ...rest,
    };
  }

  async function open(where: Underlay = underlay): Promise<{
    readonly host: MemoryHost;
    readonly reconcile: (peers: readonly Lease[], changes?: Partial<Want>) => ReturnType<HostGwDataplane["reconcile"]>;
    readonly podRoutes: () => Promise<string[]>;
  }> {
    const host = await makeHost();
    const nets = where.addr[6] ? network : { 4: network[4] };
    const plane = new HostGwDataplane({ network: nets, host, log: new MemoryLogger() });
    await plane.open(where);
    return {
      host,
      reconcile: (peers, changes = {}) => plane.reconcile({ own: lease(1), peers, underlay: where, ...changes }),
      podRoutes: async () =>
        [...(await host.routes(4)), ...(await host.routes(6))]
          .filter(({ dst }) => dst && /^(10\.5|fd05)/.test(formatRoute({ dst, dev: "x" })))
          .map(formatRoute)
          .sort(),
    };
  }

  test("one route per peer in flannel's form, of both families; the second pass changes nothing", async () => {
    const { host, reconcile, podRoutes } = await open(dual);
    const peer = lease(2, { subnet: { 4: prefix("10.5.2.0/24"), 6: prefix("fd05:0:0:2::/64") } });
    const outcome = await reconcile([peer]);
    expect(outcome.attrs).toEqual({ backendType: "host-gw", publicIp: dual.publicIp, vtep: {} });
    expect(await podRoutes()).toEqual([
      "10.5.2.0/24 via 198.51.100.2 dev u0 proto 84",
      "fd05:0:0:2::/64 via 2001:db8::2 dev u0 proto 84",
    ]);
    expect(await host.sysctl("net/ipv4/ip_forward")).toBe("1");
    expect(await host.sysctl("net/ipv6/conf/all/forwarding")).toBe("1");
    const changes = host.applied.length;
    await reconcile([peer]);
    expect(host.applied.length).toBe(changes);
  });

  test("a peer beyond a router fails with a sentence, and gets its route once it is on-link", async () => {
    const { host, reconcile, podRoutes } = await open();
    const far = lease(3, { publicIp: "203.0.113.3" });
    const before = await reconcile([lease(2), far]);
    expect(before.peers.get(lease(2).key)).toBe("in-sync");
    expect(before.peers.get(far.key)).toEqual({
      failed: expect.stringMatching(/^203\.0\.113\.3 is not on the link of u0, and host-gw reaches no node beyond/),
    });
    expect(await podRoutes()).toEqual(["10.5.2.0/24 via 198.51.100.2 dev u0 proto 84"]);
    await host.apply([{ kind: "address", dev: "u0", address: { addr: addr("203.0.113.1"), length: 24 } }]);
    expect((await reconcile([lease(2), far])).peers.get(far.key)).toBe("in-sync");
    expect(await podRoutes()).toContain("10.5.3.0/24 via 203.0.113.3 dev u0 proto 84");
    await host.apply([{ kind: "delete-address", dev: "u0", address: { addr: addr("203.0.113.1"), length: 24 } }]);
    expect((await reconcile([lease(2), far])).peers.get(far.key)).toHaveProperty("failed");
    expect(await podRoutes()).toEqual(["10.5.2.0/24 via 198.51.100.2 dev u0 proto 84"]);
  });

  test("takes away its own routes of peers that left, also an earlier run's, and nobody else's", async () => {
    const { host, reconcile, podRoutes } = await open();
    const foreign: Route = { dst: prefix("10.5.77.0/24"), via: addr("198.51.100.77"), dev: "u0" };
    const former: Route = { dst: prefix("10.5.66.0/24"), via: addr("198.51.100.66"), dev: "u0", protocol: "84" };
    const outside: Route = { dst: prefix("10.6.0.0/24"), via: addr("198.51.100.66"), dev: "u0", protocol: "84" };
    await host.apply([foreign, former, outside].map((route) => ({ kind: "route", route }) as const));
    await reconcile([lease(2), lease(3)]);
    await reconcile([lease(3)]);
    expect(await podRoutes()).toEqual([
      "10.5.3.0/24 via 198.51.100.3 dev u0 proto 84",
      "10.5.77.0/24 via 198.51.100.77 dev u0",
    ]);
    expect((await host.routes(4)).map(formatRoute)).toContain("10.6.0.0/24 via 198.51.100.66 dev u0 proto 84");
  });

  test("takes over what flannel left for a subnet that is leased, wherever it leads", async () => {
    const { host, reconcile, podRoutes } = await open();
    await host.apply([
      { kind: "route", route: { dst: prefix("10.5.2.0/24"), via: addr("198.51.100.2"), dev: "u0" } },
      { kind: "route", route: { dst: prefix("10.5.3.0/24"), dev: "u9" } },
    ]);
    await reconcile([lease(2), lease(3)]);
    expect(await podRoutes()).toEqual([
      "10.5.2.0/24 via 198.51.100.2 dev u0 proto 84",
      "10.5.3.0/24 via 198.51.100.3 dev u0 proto 84",
    ]);
  });

  test("a route that the kernel refuses fails its peer alone, and an old one in its place goes", async () => {
    const { host, reconcile, podRoutes } = await open();
    await reconcile([lease(2), lease(3)]);
    host.failNext("route", "Nexthop has invalid gateway");
    const outcome = await reconcile([lease(2, { publicIp: "198.51.100.22" }), lease(3)]);
    expect(outcome.peers.get(lease(2).key)).toEqual({
      failed: "cannot add the route 10.5.2.0/24 via 198.51.100.22 dev u0 proto 84: Nexthop has invalid gateway",
    });
    expect(await podRoutes()).toEqual(["10.5.3.0/24 via 198.51.100.3 dev u0 proto 84"]);
  });

  test("removes the tunnel of an earlier network config once its routes have been replaced", async () => {
    const { host, reconcile, podRoutes } = await open();
    host.addLink({ name: "twill.1", kind: "tun", up: true });
    await host.apply([
      { kind: "address", dev: "twill.1", address: { addr: addr("10.5.1.0"), length: 32 } },
      { kind: "route", route: { dst: prefix("10.5.2.0/24"), dev: "twill.1" } },
      { kind: "route", route: { dst: prefix("10.5.88.0/24"), dev: "twill.1" } },
    ]);
    await reconcile([lease(2)]);
    expect(await podRoutes()).toEqual(["10.5.2.0/24 via 198.51.100.2 dev u0 proto 84"]);
    expect((await host.links()).map(({ name }) => name)).not.toContain("twill.1");
  });

  test("a peer's subnet that would draw our own traffic is refused", async () => {
    const { reconcile, podRoutes } = await open();
    const outcome = await reconcile([lease(2, { subnet: { 4: prefix("10.5.1.128/25") } })]);
    expect(outcome.peers.get(lease(2).key)).toEqual({
      failed: "its subnet 10.5.1.128/25 overlaps this node's own 10.5.1.0/24",
    });
    expect(await podRoutes()).toEqual([]);
  });

  test.each([
    ["its own subnet", "10.5.2.1"],
    ["another's subnet", "10.5.3.1"],
    ["ours", "10.5.1.1"],
  ])("a peer whose address is one of a pod in %s is refused", async (_, publicIp) => {
    const { reconcile } = await open();
    const bad = lease(2);
    const outcome = await reconcile([{ ...bad, attrs: { ...bad.attrs, publicIp: { 4: addr(publicIp) } } }, lease(3)]);
    expect(outcome.peers.get(bad.key)).toEqual({ failed: `its address ${publicIp} is one of a pod, not of a host` });
    expect(outcome.peers.get(lease(3).key)).toBe("in-sync");
  });

  test("the underlay's MTU is the pods', and follows it", async () => {
    const host = await makeHost();
    const plane = new HostGwDataplane({ network, host, log: new MemoryLogger() });
    await plane.open(dual);
    expect(plane.mtu).toEqual({ 4: 1500, 6: 1500 });
    await plane.reconcile({ own: lease(1), peers: [], underlay: { ...dual, mtu: 1400 } });
    expect(plane.mtu).toEqual({ 4: 1400, 6: 1400 });
  });

  test.each([
    [
      { ...underlay, publicIp: { 4: addr("203.0.113.9") } },
      "the public address 203.0.113.9 is not the address 198.51.100.1 of u0, which host-gw peers use as their gateway: " +
        "leave out --public-ip, or make the backend vxlan",
    ],
    [
      { ...underlay, addr: {}, publicIp: {} },
      "the underlay interface u0 has no IPv4 address, which the network 10.5.0.0/16 needs: give it one or choose another " +
        "with --iface",
    ],
  ])("does not start on an underlay that peers cannot use as a gateway: %#", async (where, sentence) => {
    const host = await makeHost();
    const plane = new HostGwDataplane({ network: { 4: network[4] }, host, log: new MemoryLogger() });
    await expect(plane.open(where)).rejects.toMatchObject({ name: "DataplaneError", message: sentence });
  });
});
