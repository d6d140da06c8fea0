// Peers on the same link as this node need no tunnel: packets for their subnet go to their PublicIP as to any router.
// All of host-gw works so, and VXLAN where the network config says DirectRouting. Nothing here is remembered: who is
// on-link is read from the routes as they are, at every reconcile.

import { type Addr, sameAddr } from "../addr/addr.ts";
import { mapFamilies, type PerFamily } from "../addr/family.ts";
import { containsAddr, containsPrefix, type Prefix } from "../addr/prefix.ts";
import type { Route } from "../host/host.ts";
import type { Underlay } from "../underlay/underlay.ts";

/**
 * The rtm_protocol that plain routes of ours carry, so that they are known again: by a later run, by another data plane
 * and by whoever reads `ip route` (`proto 84`). iproute2's list of numbers, rt_protos, has nobody else there.
 */
export const PLAIN_ROUTE_PROTOCOL = "84";

/** The route to a peer on the same link, in flannel's form: `10.5.2.0/24 via <PublicIP> dev <underlay>`. */
export function plainRoute(subnet: Prefix, publicIp: Addr, underlay: Underlay): Route {
  return { dst: subnet, via: publicIp, dev: underlay.name, protocol: PLAIN_ROUTE_PROTOCOL };
}

/** Whether a route is one that plainRoute made for a network, by this run or another. */
export function isPlainRoute(route: Route, network: PerFamily<Prefix>): boolean {
  return route.protocol === PLAIN_ROUTE_PROTOCOL && leadsInto(network, route);
}

/**
 * Tells of an address whether packets to it leave through the underlay interface without a gateway. `routes` is the main
 * table (Host.routes) of every family in question. One look at it serves any number of peers; where policy routing sends
 * a peer elsewhere, the kernel refuses the plain route and the peer is told as failed.
 */
export function onLinkBy(
  routes: PerFamily<readonly Route[]>,
  underlay: Underlay,
  network: PerFamily<Prefix>,
): (addr: Addr) => boolean {
  const length = (route: Route): number => route.dst?.length ?? 0;
  // Routes to pods are the bulk and never lead to a peer itself. The longest prefix wins, then the lowest metric.
  const best = mapFamilies(routes, (rows) =>
    rows
      .filter((route) => !leadsInto(network, route))
      .toSorted((a, b) => length(b) - length(a) || (a.metric ?? 0) - (b.metric ?? 0)),
  );
  return (addr) => {
    if (sameAddr(addr, underlay.addr[addr.family])) return false;
    const route = best[addr.family]?.find(({ dst }) => dst === undefined || containsAddr(dst, addr));
    return route !== undefined && route.via === undefined && route.dev === underlay.name;
  };
}

/** Whether a route's whole destination lies in a network. */
export function leadsInto(network: PerFamily<Prefix>, { dst }: Route): boolean {
  const whole = dst && network[dst.family];
  return dst !== undefined && whole !== undefined && containsPrefix(whole, dst);
}
