// What a data plane finds that another one has left, when a node changes from one to the other, or from flannel: devices,
// with the routes and the UDP port that hang on them, and rules that check senders.

import { FAMILIES, type Family, type PerFamily } from "../addr/family.ts";
import type { Mac } from "../addr/mac.ts";
import type { Prefix } from "../addr/prefix.ts";
import type { Logger } from "../base/logger.ts";
import type { Host, HostChange, Link } from "../host/host.ts";
import { vxlanDevice } from "./device-names.ts";
import { removeSenderTables } from "./kernel/sender-table.ts";
import { overlayDevices } from "./remove.ts";

export interface TakeOverOptions {
  readonly host: Host;
  readonly log: Logger;
  readonly network: PerFamily<Prefix>;
  /** Devices of the plane that takes over. */
  readonly devices: readonly string[];
  /** The families whose sender rules are its own. */
  readonly senders?: readonly Family[];
  /** Whose VXLAN devices are in the way of it, whether or not they have an address of the network. */
  readonly backend?: { readonly vni: number; readonly port: number };
}

/** The MACs of the VXLAN devices that a network's nodes have, by family, where they stand on this host. */
export async function findVtepMacs(
  host: Host,
  backend: { readonly vni: number; readonly port: number },
): Promise<PerFamily<Mac>> {
  const links = await host.links();
  const macs: { [F in Family]?: Mac } = {};
  for (const family of FAMILIES) {
    const link = links.find(({ name }) => name === vxlanDevice(backend.vni, family));
    if (link?.mac !== undefined && isOf(link, backend)) macs[family] = link.mac;
  }
  return macs;
}

function isOf({ vxlan }: Link, { vni, port }: { readonly vni: number; readonly port: number }): boolean {
  return vxlan?.vni === vni && vxlan.port === port;
}

export class TakeOver {
  readonly #options: TakeOverOptions;
  #rulesGone = false;

  constructor(options: TakeOverOptions) {
    this.#options = options;
  }

  /** Removes it all and says so. Resolves to the devices that are gone; throws a HostError when one will not go. */
  async run(links: readonly Link[]): Promise<readonly string[]> {
    const { host, log, senders = [] } = this.#options;
    const devices = this.#found(links);
    for (const dev of devices) {
      const [error] = await host.apply([{ kind: "delete-link", dev }]);
      if (error) throw error;
      log.info("removed the device of another data plane", { device: dev });
    }
    if (devices.length > 0 || !this.#rulesGone) {
      await removeSenderTables(
        host,
        FAMILIES.filter((family) => !senders.includes(family)),
      );
      this.#rulesGone = true;
    }
    return devices;
  }

  /**
   * The same, but before the plane has routes of its own: those of the devices that go lead to `dev` from now on, so that
   * no packet for a pod leaves by the default route in between.
   */
  async runEarly(links: readonly Link[], dev: string): Promise<readonly string[]> {
    const { host, network } = this.#options;
    const devices = this.#found(links);
    if (devices.length === 0) return [];
    const changes: HostChange[] = [
      { kind: "link", dev, addrGenMode: "none" },
      { kind: "link", dev, up: true },
    ];
    for (const family of FAMILIES.filter((each) => network[each])) {
      for (const { dst, dev: old, protocol } of await host.routes(family)) {
        if (devices.includes(old) && protocol !== "kernel") changes.push({ kind: "route", route: { dst, dev } });
      }
    }
    const [error] = (await host.apply(changes)).filter((each) => each !== undefined);
    if (error) throw error;
    return this.run(links);
  }

  #found(links: readonly Link[]): readonly string[] {
    const { network, devices, backend } = this.#options;
    const found = new Set(overlayDevices(links, network));
    for (const link of links) {
      if (!backend || !isOf(link, backend)) continue;
      if (FAMILIES.some((family) => link.name === vxlanDevice(backend.vni, family))) found.add(link.name);
    }
    return [...found].filter((name) => !devices.includes(name));
  }
}
