import { formatAddr, sameAddr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import { formatPrefix, samePrefix } from "../addr/prefix.ts";

import type { Route } from "./host.ts";

// What the kernel (IPv6) and iproute2 (`proto boot`) fill in where a route does not say.
const DEFAULT_METRIC = { 4: 0, 6: 1024 } as const;
const DEFAULT_PROTOCOL = "boot";

// include/uapi/linux/rtnetlink.h; the others have no name that is the same on every host.
const PROTOCOLS = [
  ["redirect", "1"],
  ["kernel", "2"],
  ["boot", "3"],
  ["static", "4"],
] as const;

export function protocolName(number: string): string {
  return PROTOCOLS.find(([, n]) => n === number)?.[0] ?? number;
}

export function protocolNumber(name: string): string {
  return PROTOCOLS.find(([n]) => n === name)?.[1] ?? name;
}

/** A route's family; a default route that names no address is IPv4. */
export function routeFamily(route: Route): Family {
  return (route.dst ?? route.via ?? route.src)?.family ?? 4;
}

/** The metric that the kernel keeps the route under. */
export function routeMetric(route: Route): number {
  return route.metric === undefined || route.metric === 0 ? DEFAULT_METRIC[routeFamily(route)] : route.metric;
}

/** Whether the kernel would keep both as the same route: what is left out counts as the default that it fills in. */
export function sameRoute(a: Route, b: Route): boolean {
  return (
    sameRouteKey(a, b) &&
    a.dev === b.dev &&
    sameAddr(a.via, b.via) &&
    sameAddr(a.src, b.src) &&
    (a.onlink ?? false) === (b.onlink ?? false) &&
    a.multipath === b.multipath &&
    (a.protocol ?? DEFAULT_PROTOCOL) === (b.protocol ?? DEFAULT_PROTOCOL)
  );
}

/** Whether writing one replaces the other: the kernel tells routes apart by destination and metric. */
export function sameRouteKey(a: Route, b: Route): boolean {
  return routeFamily(a) === routeFamily(b) && samePrefix(a.dst, b.dst) && routeMetric(a) === routeMetric(b);
}

/** As the arguments of `ip route`, which is also how people read it. */
export function formatRoute(route: Route): string {
  const words = [route.dst ? formatPrefix(route.dst) : routeFamily(route) === 4 ? "0.0.0.0/0" : "::/0"];
  if (route.via) words.push("via", formatAddr(route.via));
  words.push("dev", route.dev);
  if (route.protocol !== undefined) words.push("proto", route.protocol);
  if (route.metric !== undefined) words.push("metric", String(route.metric));
  if (route.src) words.push("src", formatAddr(route.src));
  if (route.onlink === true) words.push("onlink");
  return words.join(" ");
}
