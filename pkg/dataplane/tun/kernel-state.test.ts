import { expect, test } from "vitest";
import { addr, prefix } from "../../../test/literals.ts";
import { MemoryHost } from "../../host/memory-host.ts";
import { reconcileKernel } from "./kernel-state.ts";

test("a peer is near where its packets leave through the underlay without a router, at the underlay's whole MTU", async () => {
  const host = new MemoryHost();
  host.addLink({ name: "eth0", up: true });
  host.addLink({ name: "twill.1", kind: "tun", up: true });
  host.sysctls.set("net/ipv6/conf/eth0/mtu", "1500");
  await host.apply([
    { kind: "address", dev: "eth0", address: { addr: addr("fd77::1"), length: 64 } },
    { kind: "route", route: { dst: prefix("fd77::/64"), dev: "eth0" } },
    { kind: "route", route: { dst: prefix("::/0"), via: addr("fd77::fe"), dev: "eth0" } },
  ]);
  const here = { 6: addr("fd77::1") };
  const underlay = { name: "eth0", index: 2, mtu: 1500, addr: here, publicIp: here };
  const want = {
    name: "twill.1",
    mtu: { 6: 1430 },
    network: { 6: prefix("fd05::/56") },
    own: { 6: prefix("fd05:0:0:1::/64") },
    peers: [],
    underlay,
    directRouting: false,
  };
  const { isNear } = await reconcileKernel(host, want);
  expect([isNear(addr("fd77::2")), isNear(addr("fd78::2"))]).toEqual([true, false]);
  host.sysctls.set("net/ipv6/conf/eth0/mtu", "1400"); // as a router advertises it
  expect((await reconcileKernel(host, want)).isNear(addr("fd77::2"))).toBe(false);
});
