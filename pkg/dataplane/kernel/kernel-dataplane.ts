// The data plane of the kernel's own VXLAN devices: one for each family, a neighbour, a forwarding entry and a route for
// each peer, and nft rules that check who may send us what.

import { formatAddr } from "../../addr/addr.ts";
import { FAMILIES, type Family, mapFamilies, type PerFamily } from "../../addr/family.ts";
import type { Mac } from "../../addr/mac.ts";
import { formatPrefix, type Prefix } from "../../addr/prefix.ts";
import { describeError } from "../../base/errors.ts";
import { Lock } from "../../base/lock.ts";
import type { Logger } from "../../base/logger.ts";
import { type FdbEntry, type Host, type HostChange, HostError, type Neighbour, type Route } from "../../host/host.ts";
import type { LeaseKey } from "../../lease/lease.ts";
import { VXLAN_OVERHEAD } from "../../packet/vxlan.ts";
import type { Underlay } from "../../underlay/underlay.ts";
import {
  type Dataplane,
  DataplaneError,
  type DataplaneStats,
  type Outcome,
  type PeerState,
  type PlaneAttrs,
  type Want,
} from "../dataplane.ts";
import { vxlanDevice } from "../device-names.ts";
import { isPlainRoute, onLinkBy, plainRoute } from "../direct-routing.ts";
import { setForwarding } from "../forwarding.ts";
import { reconcileRoutes } from "../routes.ts";
import { TakeOver } from "../take-over.ts";
import { LinkTotals } from "./link-totals.ts";
import { type Destination, destinationsOf, entryChanges, tunnelRoute } from "./peer-entries.ts";
import { senderRules } from "./sender-rules.ts";
import { SenderTable } from "./sender-table.ts";
import { reconcileVxlan, type VxlanWant } from "./vxlan-device.ts";

export interface KernelOptions {
  readonly backend: {
    readonly vni: number;
    readonly port: number;
    readonly mtu: number | undefined;
    readonly gbp: boolean;
    readonly learning: boolean;
    /** Reach peers on our link without the tunnel. */
    readonly directRouting: boolean;
  };
  readonly network: PerFamily<Prefix>;
  /** One for each family of the network; kept over restarts by the caller. */
  readonly vtepMac: PerFamily<Mac>;
  readonly verifySender: "default" | "strict";
  readonly host: Host;
  readonly log: Logger;
}

// More at once are left to reconcile.
const MOST_NEWCOMERS = 32;

/** What the kernel has of peers. */
interface View {
  readonly routes: PerFamily<readonly Route[]>;
  readonly neighbours: PerFamily<readonly Neighbour[]>;
  readonly fdb: PerFamily<readonly FdbEntry[]>;
}

/** What is to be done for peers: entries, then routes (one for each destination), then what is left over. */
interface Plan {
  readonly additions: readonly { readonly change: HostChange; readonly to: Destination }[];
  readonly desired: readonly Route[];
  readonly removals: readonly HostChange[];
}

export class KernelDataplane implements Dataplane {
  readonly name = "kernel";
  readonly forwards: readonly string[] = [];
  readonly done: Promise<void>;
  mtu: PerFamily<number> = {};

  readonly #options: KernelOptions;
  readonly #families: readonly Family[];
  readonly #senders: PerFamily<SenderTable>;
  readonly #totals: LinkTotals;
  readonly #takeOver: TakeOver;
  /** What the last reconcile has seen to, and who was welcomed since; undefined before the first. */
  #carried: Set<string> | undefined;
  /** Who was welcomed since the last reconcile began: it may not have heard of them, and must not take them for stale. */
  #welcomed: Destination[] = [];
  #newest: Want | undefined;
  readonly #welcoming = new Lock();
  #state: "new" | "open" | "closed" = "new";
  #settle: () => void = () => undefined;

  constructor(options: KernelOptions) {
    const { host, log, network, vtepMac } = options;
    this.#options = options;
    this.#families = FAMILIES.filter((family) => vtepMac[family] && network[family]);
    this.#senders = mapFamilies(vtepMac, (_, family) => new SenderTable(host, family, log));
    const devices = this.#families.map((family) => this.#device(family));
    this.#totals = new LinkTotals(host, devices);
    this.#takeOver = new TakeOver({ host, log, network, devices, senders: this.#families, backend: options.backend });
    this.done = new Promise((resolve) => (this.#settle = resolve));
  }

  /** Devices of the last run, or of flannel, go on carrying packets: only what differs is touched. */
  async open(underlay: Underlay): Promise<PlaneAttrs> {
    const attrs = this.#describe(underlay);
    const { host, log } = this.#options;
    const links = await host.links();
    try {
      for (const family of this.#families) await reconcileVxlan(host, links, this.#deviceWant(family, underlay));
    } catch (error) {
      if (error instanceof HostError) throw new DataplaneError(error.message, { cause: error.cause });
      throw error;
    }
    this.#totals.start();
    this.#state = "open";
    log.info("data plane open", { devices: this.#families.map((family) => this.#device(family)).join(", ") });
    return attrs;
  }

  async reconcile(want: Want): Promise<Outcome> {
    if (this.#state !== "open") throw new Error(`the data plane is ${this.#state === "new" ? "not open" : "closed"}`);
    const { host, network, vtepMac } = this.#options;
    this.#welcomed = [];
    const attrs = this.#describe(want.underlay);
    const { list: known, states } = destinationsOf(want, this.#families, network, vtepMac);
    const problems: string[] = [];
    const attempt = async (step: () => Promise<void>): Promise<void> => {
      try {
        await step();
      } catch (error) {
        problems.push(describeError(error));
      }
    };
    await this.welcome(want);
    // One look at everything, all at the same time: each costs a process.
    const looking = this.#look();
    const [links, sysctlProblems] = await Promise.all([
      host.links(),
      setForwarding(host, this.#families, want.underlay.name),
    ]);
    problems.push(...sysctlProblems);
    let repaired = false;
    for (const family of this.#families) {
      const device = { ...this.#deviceWant(family, want.underlay), own: want.own.subnet[family] };
      await attempt(async () => {
        if (await reconcileVxlan(host, links, device)) repaired = true;
      });
    }
    const found = await looking;
    if (found instanceof Error) throw found;
    // A device that was made anew has lost what hung on it.
    const view = repaired ? await this.#look() : found;
    if (view instanceof Error) throw view;

    const peers = new Map<LeaseKey, PeerState>(states);
    const list = withNewer(known, this.#welcomed);
    const plan = this.#plan(view, want.underlay, list);
    // What comes from a new peer is let in, and its entries are there, before a route leads to it.
    await Promise.all([
      ...this.#families.map((family) => attempt(() => this.#checkSenders(family, want, list))),
      attempt(() => this.#add(plan, peers)),
    ]);
    await attempt(async () => void problems.push(...(await this.#route(plan, list, view, peers))));
    // Their routes have been replaced by now.
    await attempt(async () => void (await this.#takeOver.run(links)));
    this.#carried = new Set([...list, ...this.#welcomed].map(identity));
    if (problems.length > 0) throw new HostError(problems.join("; "));
    return { attrs, peers };
  }

  /** With DirectRouting this is left to reconcile, which knows who is on-link. */
  welcome(want: Want): Promise<boolean> {
    this.#newest = want;
    return this.#welcoming.run(async () => {
      const carried = this.#carried;
      if (!carried || !this.#newest || this.#state !== "open" || this.#options.backend.directRouting) return false;
      const { network, vtepMac } = this.#options;
      const { list } = destinationsOf(this.#newest, this.#families, network, vtepMac);
      const identities = list.map(identity);
      const newcomers = list.filter((_, i) => !carried.has(identities[i] as string));
      if (newcomers.length > MOST_NEWCOMERS) return false;
      for (const to of newcomers) carried.add(identity(to));
      this.#welcomed.push(...newcomers);
      try {
        // Of what has failed the pass tells, which tries again; and somebody may have left.
        return (newcomers.length === 0 || (await this.#carry(newcomers))) && carried.size === identities.length;
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        return false;
      }
    });
  }

  /** What the devices count, and the rules that check senders; the kernel counts nothing by peer. */
  stats(): DataplaneStats {
    const counters: Record<string, bigint> = this.#totals.read();
    for (const family of this.#families) {
      for (const [name, count] of this.#senders[family]?.counts() ?? [])
        counters[name] = (counters[name] ?? 0n) + count;
    }
    return { counters, peers: new Map() };
  }

  /** Everything stays and goes on carrying packets. */
  close(): Promise<void> {
    this.#state = "closed";
    this.#settle();
    return Promise.resolve();
  }

  #device(family: Family): string {
    return vxlanDevice(this.#options.backend.vni, family);
  }

  #describe(underlay: Underlay): PlaneAttrs {
    const { backend, network, vtepMac } = this.#options;
    for (const family of this.#families) {
      if (underlay.addr[family]) continue;
      throw new DataplaneError(
        `the underlay interface ${underlay.name} has no IPv${family} address, which the network ` +
          `${formatPrefix(network[family] as Prefix)} needs: give it one or choose another with --iface`,
      );
    }
    // The kernel refuses a device that its underlay cannot carry.
    const base = Math.min(backend.mtu ?? underlay.mtu, underlay.mtu);
    this.mtu = mapFamilies(vtepMac, (_, family) => base - VXLAN_OVERHEAD[family]);
    return {
      backendType: "vxlan",
      publicIp: underlay.publicIp,
      vtep: mapFamilies(vtepMac, (mac) => ({ vni: backend.vni, mac })),
    };
  }

  #deviceWant(family: Family, underlay: Underlay): VxlanWant {
    const { vni, port, learning, gbp } = this.#options.backend;
    return {
      name: this.#device(family),
      mac: this.#options.vtepMac[family] as Mac,
      mtu: this.mtu[family] as number,
      vxlan: { vni, port, learning, gbp, local: underlay.addr[family], underlay: underlay.name, others: [] },
      own: undefined,
    };
  }

  async #checkSenders(family: Family, want: Want, destinations: readonly Destination[]): Promise<void> {
    const { backend, network, verifySender } = this.#options;
    const own = want.own.subnet[family];
    const whole = network[family];
    if (!own || !whole) return;
    const { addr, publicIp } = want.underlay;
    const rules = senderRules({
      vni: backend.vni,
      port: backend.port,
      mac: this.#options.vtepMac[family] as Mac,
      gbp: backend.gbp,
      network: whole,
      own,
      ownAddrs: [addr[family], publicIp[family]].filter((each) => each !== undefined),
      peers: destinations.filter(({ subnet }) => subnet.family === family),
      strict: verifySender === "strict",
    });
    await this.#senders[family]?.reconcile(rules);
  }

  // Each command costs the start of a process, and so they run side by side; the route comes when all is ready for it.
  // Resolves to whether everything is there.
  async #carry(newcomers: readonly Destination[]): Promise<boolean> {
    const { host } = this.#options;
    const entries = this.#families.flatMap((family) => {
      const through = newcomers.filter(({ subnet }) => subnet.family === family);
      return entryChanges(this.#device(family), through, [], []).additions.map(({ change }) => change);
    });
    const [neighbours, fdb] = await Promise.all([
      host.apply(entries.filter(({ kind }) => kind === "neighbour")),
      host.apply(entries.filter(({ kind }) => kind === "fdb")),
      ...this.#families.map((family) =>
        this.#senders[family]?.admit(newcomers.filter(({ subnet }) => subnet.family === family)),
      ),
    ]);
    if ([...neighbours, ...fdb].some((error) => error)) return false;
    const routes = await host.apply(
      newcomers.map((to) => ({ kind: "route", route: tunnelRoute(to, this.#device(to.subnet.family)) })),
    );
    return !routes.some((error) => error);
  }

  // An error comes back as what it is, so that nobody need wait for it at once.
  async #look(): Promise<View | Error> {
    const { host } = this.#options;
    try {
      const [routes, neighbours, fdb] = await Promise.all([
        Promise.all(this.#families.map((family) => host.routes(family))),
        Promise.all(this.#families.map((family) => host.neighbours(this.#device(family)))),
        Promise.all(this.#families.map((family) => host.fdb(this.#device(family)))),
      ]);
      return { routes: this.#byFamily(routes), neighbours: this.#byFamily(neighbours), fdb: this.#byFamily(fdb) };
    } catch (error) {
      return error instanceof Error ? error : new Error(describeError(error));
    }
  }

  #byFamily<T>(values: readonly T[]): PerFamily<T> {
    return Object.fromEntries(this.#families.map((family, i) => [family, values[i]]));
  }

  #plan(view: View, underlay: Underlay, destinations: readonly Destination[]): Plan {
    const { network, backend } = this.#options;
    const isOnLink = backend.directRouting ? onLinkBy(view.routes, underlay, network) : (): boolean => false;
    const isDirect = new Set(destinations.filter(({ publicIp }) => isOnLink(publicIp)));
    const additions: Plan["additions"][number][] = [];
    const removals: HostChange[] = [];
    for (const family of this.#families) {
      const through = destinations.filter((to) => to.subnet.family === family && !isDirect.has(to));
      const { neighbours, fdb } = view;
      const changes = entryChanges(this.#device(family), through, neighbours[family] ?? [], fdb[family] ?? []);
      additions.push(...changes.additions.map(({ change, to }) => ({ change, to: through[to] as Destination })));
      removals.push(...changes.removals);
    }
    const desired = destinations.map((to): Route =>
      isDirect.has(to) ? plainRoute(to.subnet, to.publicIp, underlay) : tunnelRoute(to, this.#device(to.subnet.family)),
    );
    return { additions, desired, removals };
  }

  async #add({ additions }: Plan, peers: Map<LeaseKey, PeerState>): Promise<void> {
    const errors = await this.#options.host.apply(additions.map(({ change }) => change));
    for (const [i, error] of errors.entries()) {
      const to = additions[i]?.to;
      if (error && to) peers.set(to.peer, { failed: error.message });
    }
  }

  // Entries go after the route that needed them. Resolves to what could not be taken away.
  async #route(
    { desired, removals }: Plan,
    destinations: readonly Destination[],
    view: View,
    peers: Map<LeaseKey, PeerState>,
  ): Promise<readonly string[]> {
    const { host, network } = this.#options;
    const devices = new Set(this.#families.map((family) => this.#device(family)));
    // The kernel's own routes (of a device's address, of IPv6 link-local) come and go with the device.
    const ours = (route: Route): boolean =>
      (devices.has(route.dev) && route.protocol !== "kernel") || isPlainRoute(route, network);
    const { failed, others } = await reconcileRoutes(host, desired, Object.values(view.routes).flat(), ours);
    for (const [i, error] of failed) {
      const to = destinations[i];
      if (to) peers.set(to.peer, { failed: error.message });
    }
    const removed = await host.apply(removals);
    return [...others, ...removed.flatMap((error) => (error ? [error.message] : []))];
  }
}

/** The destinations, and in place of those with the same subnet the newer ones. */
function withNewer(list: readonly Destination[], newer: readonly Destination[]): readonly Destination[] {
  if (newer.length === 0) return list;
  const subnets = new Set(newer.map(({ subnet }) => formatPrefix(subnet)));
  return [...list.filter(({ subnet }) => !subnets.has(formatPrefix(subnet))), ...newer];
}

function identity({ subnet, publicIp, mac }: Destination): string {
  return `${formatPrefix(subnet)} ${formatAddr(publicIp)} ${mac}`;
}
