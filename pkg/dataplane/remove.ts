import { FAMILIES, type PerFamily } from "../addr/family.ts";
import { containsAddr, type Prefix } from "../addr/prefix.ts";
import { describeError } from "../base/errors.ts";
import type { Host, HostChange, Link, Route } from "../host/host.ts";
import { isPlainRoute, leadsInto } from "./direct-routing.ts";
import { removeSenderTables } from "./kernel/sender-table.ts";

// As device-names.ts makes them, of any VNI.
const DEVICES = [
  { name: /^twill\.\d+$/, kind: "tun" },
  { name: /^flannel(-v6)?\.\d+$/, kind: "vxlan" },
];

/**
 * The devices that VXLAN planes have made for a network, ours or flannel's, this run's or an earlier one's: by name and
 * kind, so that nobody's bridge goes because of what it is called, and by their address, which tells this network's from
 * another's on the same host.
 */
export function overlayDevices(links: readonly Link[], network: PerFamily<Prefix>): readonly string[] {
  const networks = Object.values(network);
  return links
    .filter((link) => DEVICES.some(({ name, kind }) => link.kind === kind && name.test(link.name)))
    .filter(({ addresses }) => addresses.some(({ addr }) => networks.some((whole) => containsAddr(whole, addr))))
    .map(({ name }) => name);
}

/**
 * Takes away what data planes have made for a network: devices, with everything that hangs on them, plain routes and the
 * rules that check senders. For a host that leaves: no data plane may be open. Resolves to what could not be done, a
 * sentence each.
 */
export async function removeDataplanes(host: Host, network: PerFamily<Prefix>): Promise<readonly string[]> {
  return [
    ...(await removeDevicesAndRoutes(host, network)),
    ...(await attempt(async () => {
      await removeSenderTables(host, FAMILIES);
      return [];
    })),
  ];
}

/**
 * Takes away the devices and routes that data planes have made for a network, but for what is of the network `current`
 * too: an open data plane takes care of that. For a node that has gone from one network to the other. Resolves to what
 * could not be done, a sentence each.
 */
export function removeDevicesAndRoutes(
  host: Host,
  network: PerFamily<Prefix>,
  current: PerFamily<Prefix> = {},
): Promise<readonly string[]> {
  return attempt(async () => {
    const links = await host.links();
    const kept = new Set(overlayDevices(links, current));
    const devices = overlayDevices(links, network).filter((dev) => !kept.has(dev));
    const changes = devices.map((dev): HostChange => ({ kind: "delete-link", dev }));
    // A device that goes on without one of its families still has that one's routes.
    const isOurs = (route: Route): boolean =>
      isPlainRoute(route, network) || (kept.has(route.dev) && route.protocol !== "kernel" && leadsInto(network, route));
    for (const family of FAMILIES) {
      for (const route of await host.routes(family)) {
        if (isOurs(route) && !leadsInto(current, route)) changes.push({ kind: "delete-route", route });
      }
    }
    return (await host.apply(changes)).flatMap((error) => (error ? [error.message] : []));
  });
}

async function attempt(step: () => Promise<readonly string[]>): Promise<readonly string[]> {
  try {
    return await step();
  } catch (error) {
    return [describeError(error)];
  }
}
