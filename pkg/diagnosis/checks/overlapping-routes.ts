import { FAMILIES } from "../../addr/family.ts";
import { containsPrefix, formatPrefix, overlaps, parsePrefix, type Prefix } from "../../addr/prefix.ts";
import { PLAIN_ROUTE_PROTOCOL } from "../../dataplane/direct-routing.ts";
import type { Route } from "../../host/host.ts";
import { PODS_BRIDGE } from "../../host/forward-chains.ts";
import type { Check, Finding } from "../finding.ts";
import { overlayDevices } from "../surroundings.ts";

/** Nobody else has routes into the pod network. */
export const overlappingRoutes: Check = {
  name: "overlapping-routes",
  async run({ status, host }) {
    const networks = (status?.network?.networks ?? []).flatMap((text) => parsePrefix(text) ?? []);
    const own = (status?.lease?.subnets ?? []).flatMap((text) => parsePrefix(text) ?? []);
    // An address of another subnet on the bridge brings its route: it is another check's finding.
    const devices = new Set([...overlayDevices(status), PODS_BRIDGE]);
    const found: Finding[] = [];
    for (const family of FAMILIES) {
      if (!networks.some((network) => network.family === family)) continue;
      for (const route of await host.routes(family)) {
        const { dst } = route;
        if (!dst || devices.has(route.dev) || isOurs(route, dst, own)) continue;
        if (!networks.some((network) => overlaps(network, dst))) continue;
        found.push({
          // One that holds the whole network has longer ones, which are the overlay's, before it.
          severity: networks.some((network) => containsPrefix(network, dst)) ? "error" : "warning",
          what: "a route of somebody else overlaps the pod network",
          evidence: `${formatPrefix(dst)} goes to ${route.dev}; the pods have ${status?.network?.networks.join(" ")}`,
          fix: `ip route delete ${formatPrefix(dst)} dev ${route.dev}`,
        });
      }
    }
    return found;
  },
};

// Plain routes to peers, and what lies in the node's own subnet: its bridge and its pods.
function isOurs({ protocol }: Route, dst: Prefix, own: readonly Prefix[]): boolean {
  return protocol === PLAIN_ROUTE_PROTOCOL || own.some((subnet) => containsPrefix(subnet, dst));
}
