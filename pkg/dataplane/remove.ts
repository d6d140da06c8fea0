import { FAMILIES, type PerFamily } from "../addr/family.ts";
import { containsAddr, type Prefix } from "../addr/prefix.ts";
import { describeError } from "../base/errors.ts";
import type { Host, HostChange, Link } from "../host/host.ts";
import { isPlainRoute } from "./direct-routing.ts";
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
  const problems: string[] = [];
  const attempt = async (step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      problems.push(describeError(error));
    }
  };
  await attempt(async () => {
    const devices = overlayDevices(await host.links(), network);
    const changes = devices.map((dev): HostChange => ({ kind: "delete-link", dev }));
    for (const family of FAMILIES) {
      for (const route of await host.routes(family)) {
        if (isPlainRoute(route, network)) changes.push({ kind: "delete-route", route });
      }
    }
    for (const error of await host.apply(changes)) if (error) problems.push(error.message);
  });
  await attempt(() => removeSenderTables(host, FAMILIES));
  return problems;
}
