import { expect, test } from "vitest";
import type { HostEvent } from "../host/host.ts";
import { scopeOf } from "./host-bell.ts";

test.each<[HostEvent["kind"], string, string | undefined]>([
  ["link", "eth0", "host"],
  ["address", "twill.1", "host"],
  ["route", "eth0", "host"],
  ["sysctl", "net/ipv4/ip_forward", "host"],
  ["neighbour", "flannel.1", "host"],
  ["neighbour", "flannel-v6.1", "host"],
  ["neighbour", "cni0", undefined],
  ["nft", "ip twill", "all"],
  ["nft", "ip6 twill-sender", "all"],
  ["nft", "ip filter", "all"],
  ["nft", "ip nat", undefined],
  ["nft", "inet firewall", undefined],
  ["iptables", "", "all"],
  ["gap", "", "all"],
])("%s of %s: %s", (kind, of, scope) => {
  expect(scopeOf({ kind, of })).toBe(scope);
});
