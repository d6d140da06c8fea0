import { expect, test } from "vitest";
import { addr, prefix } from "../../test/literals.ts";
import type { LinkAddr } from "../host/host.ts";
import { MemoryHost } from "../host/memory-host.ts";
import { formatRoute } from "../host/route.ts";
import { removeDevicesAndRoutes } from "./remove.ts";

function at(text: string): LinkAddr {
  const { length, ...rest } = prefix(text);
  return { addr: rest, length, scope: "global", deprecated: false, dynamic: false, temporary: false };
}

test("of a network that held the current one, and IPv6 too, what the current one has stays", async () => {
  const host = new MemoryHost();
  host.addLink({ name: "eth0", up: true, addresses: [at("192.0.2.1/24")] });
  host.addLink({ name: "twill.1", kind: "tun", up: true, addresses: [at("10.99.1.0/32")] });
  host.addLink({ name: "flannel.1", kind: "vxlan", up: true, addresses: [at("10.5.1.0/32")] });
  const via = addr("192.0.2.2");
  for (const route of [
    { dst: prefix("10.99.2.0/24"), dev: "twill.1" },
    { dst: prefix("10.99.3.0/24"), via, dev: "eth0", protocol: "84" },
    { dst: prefix("10.5.3.0/24"), via, dev: "eth0", protocol: "84" },
    { dst: prefix("10.5.4.0/24"), via, dev: "eth0" },
    { dst: prefix("10.5.5.0/24"), dev: "flannel.1" },
    { dst: prefix("fd05:0:0:2::/64"), dev: "twill.1" },
    { dst: prefix("fd05:0:0:1::/64"), dev: "twill.1", protocol: "kernel" },
    { dst: prefix("fd06::/64"), dev: "twill.1" },
  ]) {
    expect(await host.apply([{ kind: "route", route }])).toEqual([undefined]);
  }
  const former = { 4: prefix("10.0.0.0/8"), 6: prefix("fd05::/48") };
  expect(await removeDevicesAndRoutes(host, former, { 4: prefix("10.99.0.0/16") })).toEqual([]);
  expect((await host.links()).map(({ name }) => name)).toEqual(["lo", "eth0", "twill.1"]);
  const routes = [...(await host.routes(4)), ...(await host.routes(6))].map(formatRoute);
  expect(routes.filter((route) => /^(10|fd)/.test(route))).toEqual([
    "10.99.2.0/24 dev twill.1",
    "10.99.3.0/24 via 192.0.2.2 dev eth0 proto 84",
    "10.5.4.0/24 via 192.0.2.2 dev eth0",
    "fd05:0:0:1::/64 dev twill.1 proto kernel",
    "fd06::/64 dev twill.1",
  ]);
});
