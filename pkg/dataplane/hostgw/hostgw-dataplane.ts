import { formatAddr, sameAddr } from "../../addr/addr.ts";
import { FAMILIES, type Family, mapFamilies, type PerFamily } from "../../addr/family.ts";
import { formatPrefix, type Prefix } from "../../addr/prefix.ts";
import type { Logger } from "../../base/logger.ts";
import { type Host, HostError, type Route } from "../../host/host.ts";
import type { Lease, LeaseKey } from "../../lease/lease.ts";
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
import { isPlainRoute, onLinkBy, plainRoute } from "../direct-routing.ts";
import { setForwarding } from "../forwarding.ts";
import { refusalOf } from "../peer-refusal.ts";
import { reconcileRoutes } from "../routes.ts";
import { TakeOver } from "../take-over.ts";

export interface HostGwOptions {
  readonly network: PerFamily<Prefix>;
  readonly host: Host;
  readonly log: Logger;
}

/**
 * The backend host-gw: no device and no tunnel, one route per peer's subnet with the peer as its gateway. All nodes must
 * be on one link; a peer that is not is told as failed, and looked at again at every reconcile.
 */
export class HostGwDataplane implements Dataplane {
  readonly name = "host-gw";
  readonly forwards: readonly string[] = [];
  readonly done: Promise<void>;
  mtu: PerFamily<number> = {};

  readonly #options: HostGwOptions;
  readonly #families: readonly Family[];
  readonly #takeOver: TakeOver;
  #state: "new" | "open" | "closed" = "new";
  #settle: () => void = () => undefined;

  constructor(options: HostGwOptions) {
    this.#options = options;
    this.#families = FAMILIES.filter((family) => options.network[family]);
    this.#takeOver = new TakeOver({ ...options, devices: [] });
    this.done = new Promise((resolve) => (this.#settle = resolve));
  }

  async open(underlay: Underlay): Promise<PlaneAttrs> {
    const attrs = this.#describe(underlay);
    this.#state = "open";
    this.#options.log.info("data plane open", { routesThrough: underlay.name });
    return attrs;
  }

  async reconcile(want: Want): Promise<Outcome> {
    if (this.#state !== "open") throw new Error(`the data plane is ${this.#state === "new" ? "not open" : "closed"}`);
    const { host, network } = this.#options;
    const attrs = this.#describe(want.underlay);
    const others = await setForwarding(host, this.#families, want.underlay.name);
    const tables: { [F in Family]?: readonly Route[] } = {};
    for (const family of this.#families) tables[family] = await host.routes(family);

    const states = new Map<LeaseKey, PeerState>();
    const desired: Route[] = [];
    const peerOf: LeaseKey[] = [];
    const isOnLink = onLinkBy(tables, want.underlay, network);
    for (const peer of want.peers) {
      const { routes, problem } = this.#routesTo(peer, want, isOnLink);
      states.set(peer.key, problem === undefined ? "in-sync" : { failed: problem });
      for (const route of routes) {
        desired.push(route);
        peerOf.push(peer.key);
      }
    }
    const problems = await reconcileRoutes(host, desired, Object.values(tables).flat(), (route) =>
      isPlainRoute(route, network),
    );
    for (const [i, error] of problems.failed) states.set(peerOf[i] as LeaseKey, { failed: error.message });
    others.push(...problems.others);
    // What a VXLAN plane has left, from before the network config said host-gw. Its routes have been replaced by now.
    if (problems.failed.size === 0) await this.#takeOver.run(await host.links());
    if (others.length > 0) throw new HostError(others.join("; "));
    return { attrs, peers: states };
  }

  /** The kernel does the forwarding and counts nothing by peer. */
  stats(): DataplaneStats {
    return { counters: {}, peers: new Map() };
  }

  close(): Promise<void> {
    this.#state = "closed";
    this.#settle();
    return Promise.resolve();
  }

  // The routes to one peer, and why there are fewer than there should be.
  #routesTo(
    peer: Lease,
    want: Want,
    isOnLink: ReturnType<typeof onLinkBy>,
  ): { readonly routes: readonly Route[]; readonly problem: string | undefined } {
    const { network } = this.#options;
    let problem = refusalOf(peer, want, network);
    if (problem !== undefined) return { routes: [], problem };
    const routes: Route[] = [];
    for (const family of this.#families) {
      const subnet = peer.subnet[family];
      if (!subnet) continue;
      const publicIp = peer.attrs.publicIp[family];
      if (!publicIp) {
        problem = `the lease names no IPv${family} address to reach ${formatPrefix(subnet)} at`;
      } else if (!isOnLink(publicIp)) {
        problem =
          `${formatAddr(publicIp)} is not on the link of ${want.underlay.name}, and host-gw reaches no node beyond ` +
          `a router: connect them to one segment, or make the backend vxlan with DirectRouting`;
      } else {
        routes.push(plainRoute(subnet, publicIp, want.underlay));
      }
    }
    return { routes, problem };
  }

  // Peers make our PublicIP their gateway, so it has to be an address of the interface itself.
  #describe(underlay: Underlay): PlaneAttrs {
    for (const family of this.#families) {
      const addr = underlay.addr[family];
      const publicIp = underlay.publicIp[family];
      const network = formatPrefix(this.#options.network[family] as Prefix);
      if (!addr) {
        throw new DataplaneError(
          `the underlay interface ${underlay.name} has no IPv${family} address, which the network ${network} needs: ` +
            `give it one or choose another with --iface`,
        );
      }
      if (!publicIp || !sameAddr(addr, publicIp)) {
        throw new DataplaneError(
          `the public address ${publicIp ? formatAddr(publicIp) : "(none)"} is not the address ${formatAddr(addr)} of ` +
            `${underlay.name}, which host-gw peers use as their gateway: leave out --public-ip, or make the backend vxlan`,
        );
      }
    }
    this.mtu = mapFamilies(this.#options.network, () => underlay.mtu);
    return { backendType: "host-gw", publicIp: underlay.publicIp, vtep: {} };
  }
}
