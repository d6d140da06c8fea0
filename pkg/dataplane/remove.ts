import { FAMILIES, type PerFamily } from "../addr/family.ts";
import type { Prefix } from "../addr/prefix.ts";
import { describeError } from "../base/errors.ts";
import type { Host, HostChange } from "../host/host.ts";
import { isPlainRoute } from "./direct-routing.ts";

/**
 * Takes away what data planes have made for a network, ours or flannel's, this run's or an earlier one's: the devices,
 * with everything that hangs on them, and plain routes. `vni` is undefined where the network has no VXLAN. For a host
 * that leaves: no data plane may be open. Resolves to what could not be done, a sentence each.
 */
export async function removeDataplanes(
  host: Host,
  network: PerFamily<Prefix>,
  vni: number | undefined,
): Promise<readonly string[]> {
  // By name and kind, so that nobody's bridge goes because of what it is called.
  const devices = new Map([
    [`twill.${vni}`, "tun"],
    [`flannel.${vni}`, "vxlan"],
    [`flannel-v6.${vni}`, "vxlan"],
  ]);
  try {
    const changes: HostChange[] = [];
    for (const { name, kind } of await host.links()) {
      if (devices.get(name) === kind) changes.push({ kind: "delete-link", dev: name });
    }
    for (const family of FAMILIES) {
      for (const route of await host.routes(family)) {
        if (isPlainRoute(route, network)) changes.push({ kind: "delete-route", route });
      }
    }
    return (await host.apply(changes)).flatMap((error) => (error ? [error.message] : []));
  } catch (error) {
    return [describeError(error)];
  }
}
