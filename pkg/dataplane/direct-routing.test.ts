import { expect, test } from "vitest";
import { addr, prefix } from "../../test/literals.ts";
import type { Route } from "../host/host.ts";
import type { Underlay } from "../underlay/underlay.ts";
import { isPlainRoute, onLinkBy, plainRoute } from "./direct-routing.ts";

const underlay: Underlay = {
  name: "eth0",
  index: 2,
  mtu: 1500,
  addr: { 4: addr("192.0.2.1"), 6: addr("2001:db8::1") },
  publicIp: { 4: addr("192.0.2.1"), 6: addr("2001:db8::1") },
};
const network = { 4: prefix("10.5.0.0/16"), 6: prefix("fd05::/48") };

const connected: Route = { dst: prefix("192.0.2.0/24"), dev: "eth0", protocol: "kernel", src: addr("192.0.2.1") };
const gateway: Route = { dst: undefined, via: addr("192.0.2.254"), dev: "eth0" };

function onLink(routes4: readonly Route[], target: string, routes6: readonly Route[] = []): boolean {
  return onLinkBy({ 4: routes4, 6: routes6 }, underlay, network)(addr(target));
}

test("a peer of the interface's own prefix is on-link, one beyond a router is not", () => {
  expect(onLink([gateway, connected], "192.0.2.7")).toBe(true);
  expect(onLink([gateway, connected], "198.51.100.7")).toBe(false);
  expect(onLink([connected], "198.51.100.7")).toBe(false);
});

test("this node itself is no peer", () => {
  expect(onLink([connected], "192.0.2.1")).toBe(false);
});

test("the longest prefix decides, then the lowest metric", () => {
  const host: Route = { dst: prefix("192.0.2.7/32"), via: addr("192.0.2.254"), dev: "eth0" };
  expect(onLink([connected, host], "192.0.2.7")).toBe(false);
  expect(onLink([connected, host], "192.0.2.8")).toBe(true);
  const worse: Route = { ...connected, dev: "eth1", metric: 100 };
  expect(onLink([worse, connected], "192.0.2.7")).toBe(true);
  const better: Route = { ...connected, metric: 200 };
  expect(onLink([worse, better], "192.0.2.7")).toBe(false);
});

test("a link that is not the underlay's does not count", () => {
  expect(onLink([{ dst: prefix("198.51.100.0/24"), dev: "eth1" }, connected], "198.51.100.7")).toBe(false);
});

test("a default route without a gateway is a link to everybody, of its own family", () => {
  const all: Route = { dst: undefined, dev: "eth0" };
  expect(onLink([all], "198.51.100.7")).toBe(true);
  expect(onLink([all], "2001:db8:1::7")).toBe(false);
  expect(onLink([], "2001:db8:1::7", [all])).toBe(true);
});

test("routes of the pod network say nothing about peers", () => {
  const pods = plainRoute(prefix("10.5.2.0/24"), addr("192.0.2.7"), underlay);
  expect(onLink([pods, connected], "192.0.2.7")).toBe(true);
  expect(onLink([pods, connected], "10.5.2.1")).toBe(false);
});

test("plain routes are flannel's, under a protocol number by which they are known again", () => {
  const route = plainRoute(prefix("fd05:0:0:2::/64"), addr("2001:db8::7"), underlay);
  expect(route).toEqual({
    dst: prefix("fd05:0:0:2::/64"),
    via: addr("2001:db8::7"),
    dev: "eth0",
    protocol: "84",
  });
  expect(isPlainRoute(route, network)).toBe(true);
  expect(isPlainRoute({ ...route, dev: "eth9" }, network)).toBe(true);
  expect(isPlainRoute({ ...route, dst: prefix("fd06::/64") }, network)).toBe(false);
  expect(isPlainRoute({ ...route, dst: undefined }, network)).toBe(false);
  expect(isPlainRoute({ ...route, protocol: "static" }, network)).toBe(false);
  expect(isPlainRoute(route, { 4: network[4] })).toBe(false);
});
