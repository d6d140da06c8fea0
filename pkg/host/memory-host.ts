import { type Addr, sameAddr } from "../addr/addr.ts";
import { ADDR_BITS, FAMILIES, type Family } from "../addr/family.ts";
import type { Mac } from "../addr/mac.ts";
import { type InterfaceAddr, containsAddr, prefixOf, samePrefix } from "../addr/prefix.ts";

import { describeChange, invalidDevice } from "./change.ts";
import {
  type ForwardChain,
  type FdbEntry,
  type Host,
  type HostChange,
  HostError,
  type HostEvent,
  type IptablesVariant,
  type Link,
  type LinkAddr,
  type LinkCounters,
  type Neighbour,
  type NftChain,
  type NftFamily,
  type NftTables,
  NFT_FAMILY,
  type Route,
  type RouteLookup,
  type Vxlan,
  type WatchOptions,
} from "./host.ts";
import { routeFamily, routeMetric, sameRouteKey } from "./route.ts";

/** What `failNext` can make fail: one kind of change, or a method. */
export type Failable =
  HostChange["kind"] | "links" | "routes" | "setSysctl" | "setNftTable" | "setForwardChain" | "iptablesInUse";

/** The filter table of one iptables variant: the policy of FORWARD and all rules, as after `-A`. */
export interface MemoryIptables {
  policy: "ACCEPT" | "DROP";
  readonly forward: string[];
  readonly postrouting: string[];
  readonly chains: Map<string, string[]>;
}

interface MemoryLink {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  mac: Mac | undefined;
  mtu: number;
  up: boolean;
  txQueueLen: number;
  readonly addresses: LinkAddr[];
  vxlan: Vxlan | undefined;
  readonly neighbours: Neighbour[];
  readonly fdb: FdbEntry[];
}

/** A host in memory for tests, which behaves as the kernel does as far as `Host` can see. */
export class MemoryHost implements Host {
  /** Sysctls by path; a test adds those it needs. */
  readonly sysctls = new Map([
    ["net/ipv4/ip_forward", "0"],
    ["net/ipv6/conf/all/forwarding", "0"],
  ]);

  /** Every change that was carried out, in order: a reconcile that had nothing to do leaves this as it was. */
  readonly applied: HostChange[] = [];

  /** What foreignForwardChains tells. */
  readonly forwardChains: ForwardChain[] = [];

  readonly #links: MemoryLink[] = [];
  readonly #routes: Route[] = [];
  readonly #tables = new Map<string, readonly NftChain[]>();
  readonly #iptables = new Map<string, MemoryIptables>();
  readonly #listeners = new Set<(event: HostEvent) => void>();
  readonly #failures: { readonly what: Failable; readonly reason: string }[] = [];
  #nextIndex = 1;

  constructor() {
    this.addLink({ name: "lo", kind: "loopback", mtu: 65_536, up: true });
    this.#link("lo")?.addresses.push(linkAddr({ addr: { family: 4, value: 0x7f00_0001n }, length: 8 }, "host"));
  }

  /** Creates an interface, as a driver or another program would; down and without addresses unless said otherwise. */
  addLink(link: Partial<Link> & { readonly name: string }): void {
    if (this.#link(link.name)) throw new Error(`there is an interface ${link.name} already`);
    const { name, kind = "veth", mtu = 1500, mac, up = false, txQueueLen = 1000, addresses = [], vxlan } = link;
    const index = link.index ?? this.#nextIndex;
    this.#nextIndex = Math.max(this.#nextIndex, index) + 1;
    const empty = { up: false, neighbours: [], fdb: [] };
    this.#links.push({ ...empty, index, name, kind, mac, mtu, txQueueLen, addresses: [...addresses], vxlan });
    for (const path of ["forwarding", "rp_filter"]) this.sysctls.set(`net/ipv4/conf/${name}/${path}`, "0");
    for (const path of ["forwarding", "addr_gen_mode", "disable_ipv6"])
      this.sysctls.set(`net/ipv6/conf/${name}/${path}`, "0");
    for (const path of ["accept_ra"]) this.sysctls.set(`net/ipv6/conf/${name}/${path}`, "1");
    if (up) this.#change({ kind: "link", dev: name, up });
    this.#tell("link", name);
  }

  /** The next `times` uses of `what` fail with this reason. */
  failNext(what: Failable, reason: string, times = 1): void {
    for (let i = 0; i < times; i++) this.#failures.push({ what, reason });
  }

  /** The filter table of one iptables variant, for tests to look at and to spoil. */
  iptables(family: Family, variant: IptablesVariant): MemoryIptables {
    const key = `${family} ${variant}`;
    let table = this.#iptables.get(key);
    if (!table)
      this.#iptables.set(key, (table = { policy: "ACCEPT", forward: [], postrouting: [], chains: new Map() }));
    return table;
  }

  async links(): Promise<readonly Link[]> {
    const reason = this.#failure("links");
    if (reason !== undefined) throw new HostError(`ip address show failed: ${reason}`);
    return this.#links.map(({ index, name, kind, mac, mtu, up, txQueueLen, addresses, vxlan }) => {
      const link = { index, name, kind, mac, mtu, up, txQueueLen, addresses: [...addresses] };
      return vxlan ? { ...link, vxlan } : link;
    });
  }

  async routes(family: Family): Promise<readonly Route[]> {
    const reason = this.#failure("routes");
    if (reason !== undefined) throw new HostError(`ip route show failed: ${reason}`);
    return this.#routes.filter((route) => routeFamily(route) === family);
  }

  async neighbours(dev: string): Promise<readonly Neighbour[]> {
    return [...(this.#link(dev)?.neighbours ?? [])];
  }

  async fdb(dev: string): Promise<readonly FdbEntry[]> {
    return [...(this.#link(dev)?.fdb ?? [])];
  }

  linkCounters(dev: string): LinkCounters | undefined {
    const none = { rxPackets: 0n, rxBytes: 0n, rxErrors: 0n, rxDropped: 0n };
    return this.#link(dev) && { ...none, txPackets: 0n, txBytes: 0n, txErrors: 0n, txDropped: 0n };
  }

  async watch({ signal, onEvent }: WatchOptions): Promise<void> {
    if (signal.aborted) return;
    this.#listeners.add(onEvent);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    this.#listeners.delete(onEvent);
  }

  /** As somebody else would change it: told to whoever watches. */
  tell(event: HostEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  async routeTo(addr: Addr): Promise<RouteLookup | undefined> {
    if (this.#links.some((link) => link.addresses.some((own) => sameAddr(own.addr, addr))))
      return { dev: "lo", via: undefined, src: addr };
    const length = (route: Route): number => route.dst?.length ?? 0;
    const [route] = this.#routes
      .filter((route) => (route.dst ? containsAddr(route.dst, addr) : routeFamily(route) === addr.family))
      .toSorted((a, b) => length(b) - length(a) || routeMetric(a) - routeMetric(b));
    if (!route) return undefined;
    const src = route.src ?? this.#link(route.dev)?.addresses.find((own) => own.addr.family === addr.family)?.addr;
    return { dev: route.dev, via: route.via, src };
  }

  async apply(changes: readonly HostChange[]): Promise<readonly (HostError | undefined)[]> {
    return changes.map((change) => {
      const invalid = invalidDevice(change);
      if (invalid) return invalid;
      const reason = this.#failure(change.kind) ?? this.#change(change);
      if (reason !== undefined) return new HostError(`cannot ${describeChange(change)}: ${reason}`);
      this.applied.push(change);
      this.#tell(EVENT_OF[change.kind], "route" in change ? change.route.dev : change.dev);
      return undefined;
    });
  }

  async sysctl(path: string): Promise<string | undefined> {
    return this.sysctls.get(path);
  }

  async setSysctl(path: string, value: string): Promise<void> {
    const reason =
      this.#failure("setSysctl") ?? (this.sysctls.has(path) ? undefined : "this kernel has no such setting");
    if (reason !== undefined) throw new HostError(`cannot set the sysctl ${path} to ${value}: ${reason}`);
    this.sysctls.set(path, value);
    this.#tell("sysctl", path);
  }

  async setNftTable(family: NftFamily, name: string, chains: readonly NftChain[] | undefined): Promise<void> {
    const reason = this.#failure("setNftTable");
    if (reason !== undefined) {
      throw new HostError(`cannot ${chains ? "write" : "delete"} the nftables table ${family} ${name}: ${reason}`);
    }
    if (chains) this.#tables.set(`${family} ${name}`, structuredClone(chains));
    else this.#tables.delete(`${family} ${name}`);
    this.#tell("nft", `${family} ${name}`);
  }

  async nftTable(family: NftFamily, name: string): Promise<readonly NftChain[] | undefined> {
    return structuredClone(this.#tables.get(`${family} ${name}`));
  }

  async nftTables(): Promise<NftTables> {
    const tables = new Set(this.#tables.keys());
    for (const family of FAMILIES) {
      const iptables = this.#iptables.get(`${family} nft`);
      if (!iptables) continue;
      for (const table of ["filter", "nat"]) tables.add(`${NFT_FAMILY[family]} ${table}`);
    }
    return tables;
  }

  async addNftRule(family: NftFamily, table: string, chain: string, rule: readonly object[]): Promise<void> {
    const chains = this.#tables.get(`${family} ${table}`);
    const found = chains?.find(({ name }) => name === chain);
    if (!chains || !found)
      throw new HostError(
        `cannot add a rule to ${family} ${table} ${chain} of nftables: Could not process rule: No such file or directory`,
      );
    const longer = { ...found, rules: [...found.rules, structuredClone(rule)] };
    const others = chains.map((each) => (each === found ? longer : each));
    this.#tables.set(`${family} ${table}`, others);
    this.#tell("nft", `${family} ${table}`);
  }

  async iptablesInUse(family: Family, tables?: NftTables): Promise<readonly IptablesVariant[]> {
    const reason = this.#failure("iptablesInUse");
    if (reason !== undefined) throw new HostError(reason);
    return (["nft", "legacy"] as const).filter((variant) => {
      if (variant === "nft" && tables?.has(`${NFT_FAMILY[family]} filter`) === false) return false;
      const table = this.#iptables.get(`${family} ${variant}`);
      return table && (table.policy === "DROP" || table.forward.length > 0 || table.chains.size > 0);
    });
  }

  async setForwardChain(
    family: Family,
    variant: IptablesVariant,
    chain: string,
    rules: readonly (readonly string[])[] | undefined,
  ): Promise<boolean> {
    const reason = this.#failure("setForwardChain");
    if (reason !== undefined) throw new HostError(`cannot ${rules ? "write" : "remove"} the chain ${chain}: ${reason}`);
    const table = this.iptables(family, variant);
    const before = JSON.stringify([table.forward, table.chains.get(chain)]);
    const others = table.forward.filter((rule) => rule !== `-j ${chain}`);
    if (rules)
      table.chains.set(
        chain,
        rules.map((rule) => rule.join(" ")),
      );
    else table.chains.delete(chain);
    table.forward.splice(0, table.forward.length, ...(rules ? [`-j ${chain}`] : []), ...others);
    return JSON.stringify([table.forward, table.chains.get(chain)]) !== before;
  }

  async foreignForwardChains(family: Family): Promise<readonly ForwardChain[]> {
    return this.forwardChains.filter(({ name }) => !name.startsWith(family === 4 ? "ip6 " : "ip "));
  }

  async removeIptablesChain(
    family: Family,
    variant: IptablesVariant,
    { table, hook, chain }: Parameters<Host["removeIptablesChain"]>[2],
    tables?: NftTables,
  ): Promise<boolean> {
    if (variant === "nft" && tables?.has(`${NFT_FAMILY[family]} ${table}`) === false) return false;
    const rules = this.iptables(family, variant);
    const [jumps, home] = table === "filter" ? [rules.forward, "FORWARD"] : [rules.postrouting, "POSTROUTING"];
    const others = jumps.filter((rule) => !rule.split(" ").includes(chain));
    if (hook !== home || (others.length === jumps.length && (table === "nat" || !rules.chains.has(chain))))
      return false;
    rules.chains.delete(chain);
    jumps.splice(0, jumps.length, ...others);
    return true;
  }

  #tell(kind: HostEvent["kind"], of: string): void {
    this.tell({ kind, of });
  }

  // Carries out one change as the kernel would. The answer is why it refused, in iproute2's words.
  #change(change: HostChange): string | undefined {
    if (change.kind === "route") return this.#addRoute(change.route);
    if (change.kind === "delete-route") return this.#deleteRoute(change.route);
    if (change.kind === "vxlan") return this.#addVxlan(change);
    const link = this.#link(change.dev);
    if (!link) return change.kind.startsWith("delete-") ? undefined : `Cannot find device "${change.dev}"`;
    switch (change.kind) {
      case "link":
        return this.#setLink(link, change);
      case "delete-link":
        if (link.kind === "loopback") return "Operation not supported";
        this.#links.splice(this.#links.indexOf(link), 1);
        for (const upper of this.#links.filter(({ vxlan }) => vxlan?.underlay === link.name))
          this.#change({ kind: "delete-link", dev: upper.name });
        return this.#dropRoutes((route) => route.dev === link.name);
      case "change-vxlan": {
        if (!link.vxlan) return "Operation not supported";
        const { local, underlay, learning } = change.vxlan;
        link.vxlan = { ...link.vxlan, local, underlay, learning };
        return undefined;
      }
      case "neighbour": {
        const entry: Neighbour = { addr: change.addr, mac: change.mac, permanent: true };
        return replace(link.neighbours, entry, (other) => sameAddr(other.addr, change.addr));
      }
      case "delete-neighbour":
        return remove(link.neighbours, (other) => sameAddr(other.addr, change.addr));
      case "fdb": {
        if (!link.vxlan) return "Operation not supported";
        const entry: FdbEntry = { mac: change.mac, dst: change.dst, permanent: true };
        return replace(link.fdb, entry, (other) => other.mac === change.mac);
      }
      case "delete-fdb":
        return remove(link.fdb, (other) => other.mac === change.mac);
      case "address":
        return this.#addAddress(link, change.address);
      case "delete-address":
        return this.#deleteAddress(link, change.address);
    }
  }

  #setLink(link: MemoryLink, change: HostChange & { kind: "link" }): string | undefined {
    if (change.mtu !== undefined) {
      if (change.mtu < 68) return "mtu less than device minimum";
      if (change.mtu > this.#mostMtu(link.vxlan)) return "Invalid argument";
      link.mtu = change.mtu;
    }
    if (change.addrGenMode !== undefined)
      this.sysctls.set(`net/ipv6/conf/${link.name}/addr_gen_mode`, change.addrGenMode === "none" ? "1" : "0");
    link.txQueueLen = change.txQueueLen ?? link.txQueueLen;
    link.mac = change.mac ?? link.mac;
    if (change.up === undefined || change.up === link.up) return undefined;
    link.up = change.up;
    if (link.up) {
      for (const address of link.addresses) this.#addConnectedRoute(link, address);
      return undefined;
    }
    // A link that goes down loses its routes and, as long as keep_addr_on_down is 0, its IPv6 addresses.
    const kept = link.addresses.filter((address) => address.addr.family === 4);
    link.addresses.splice(0, link.addresses.length, ...kept);
    link.neighbours.length = 0;
    return this.#dropRoutes((route) => route.dev === link.name);
  }

  #addVxlan({ dev, mac, mtu, vxlan }: HostChange & { kind: "vxlan" }): string | undefined {
    if (this.#link(dev)) return "File exists";
    if (vxlan.underlay !== undefined && !this.#link(vxlan.underlay)) return `Cannot find device "${vxlan.underlay}"`;
    const sameVni = (other: Vxlan | undefined): boolean => other?.vni === vxlan.vni && other.port === vxlan.port;
    if (this.#links.some((link) => sameVni(link.vxlan) && link.vxlan?.local?.family === vxlan.local?.family))
      return "A VXLAN device with the specified VNI already exists";
    const most = this.#mostMtu(vxlan);
    this.addLink({ name: dev, kind: "vxlan", mac, mtu: Math.min(mtu, most), txQueueLen: 0, vxlan });
    return undefined;
  }

  #mostMtu(vxlan: Vxlan | undefined): number {
    const underlay = vxlan?.underlay === undefined ? undefined : this.#link(vxlan.underlay);
    return underlay ? underlay.mtu - (vxlan?.local?.family === 6 ? 70 : 50) : Infinity;
  }

  #addAddress(link: MemoryLink, address: InterfaceAddr): undefined {
    if (link.addresses.some((own) => sameInterfaceAddr(own, address))) return;
    link.addresses.push(linkAddr(address, link.kind === "loopback" ? "host" : "global"));
    if (link.up) this.#addConnectedRoute(link, address);
  }

  #deleteAddress(link: MemoryLink, address: InterfaceAddr): undefined {
    const at = link.addresses.findIndex((own) => sameInterfaceAddr(own, address));
    if (at < 0) return;
    link.addresses.splice(at, 1);
    const dst = prefixOf(address.addr, address.length);
    const shared = link.addresses.some((own) => samePrefix(prefixOf(own.addr, own.length), dst));
    this.#dropRoutes(
      (route) =>
        sameAddr(route.src, address.addr) ||
        (!shared && route.protocol === "kernel" && route.dev === link.name && samePrefix(route.dst, dst)),
    );
  }

  #addConnectedRoute(link: MemoryLink, address: InterfaceAddr): void {
    const { family } = address.addr;
    if (link.kind === "loopback" || (family === 4 && address.length === ADDR_BITS[family])) return;
    const dst = prefixOf(address.addr, address.length);
    const source = family === 4 ? { src: address.addr } : { metric: 256 };
    const route: Route = { dst, dev: link.name, protocol: "kernel", ...source };
    if (!this.#routes.some((other) => sameRouteKey(other, route) && other.dev === route.dev)) this.#routes.push(route);
  }

  #addRoute(route: Route): string | undefined {
    const link = this.#link(route.dev);
    if (!link) return `Cannot find device "${route.dev}"`;
    if (!link.up) return "Nexthop device is not up";
    if (route.src && !this.#links.some(({ addresses }) => addresses.some((own) => sameAddr(own.addr, route.src))))
      return "Invalid prefsrc address";
    if (route.via && route.onlink !== true && !this.#onLink(link, route.via))
      return route.via.family === 4 ? "Nexthop has invalid gateway" : "No route to host";
    const at = this.#routes.findIndex((other) => sameRouteKey(other, route));
    const written = asRead(route);
    if (at < 0) this.#routes.push(written);
    else this.#routes[at] = written;
    return undefined;
  }

  // The kernel takes the first route that fits what is given; what is left out fits anything.
  #deleteRoute(route: Route): undefined {
    const at = this.#routes.findIndex(
      (other) =>
        routeFamily(other) === routeFamily(route) &&
        samePrefix(other.dst, route.dst) &&
        other.dev === route.dev &&
        (route.via === undefined || sameAddr(other.via, route.via)) &&
        (route.src === undefined || sameAddr(other.src, route.src)) &&
        (route.metric === undefined || routeMetric(other) === routeMetric(route)) &&
        (route.protocol === undefined || (other.protocol ?? "boot") === route.protocol),
    );
    if (at >= 0) this.#routes.splice(at, 1);
  }

  #onLink(link: MemoryLink, via: Addr): boolean {
    return this.#routes.some(
      (route) => route.dev === link.name && !route.via && route.dst && containsAddr(route.dst, via),
    );
  }

  #dropRoutes(gone: (route: Route) => boolean): undefined {
    this.#routes.splice(0, this.#routes.length, ...this.#routes.filter((route) => !gone(route)));
  }

  #link(name: string): MemoryLink | undefined {
    return this.#links.find((link) => link.name === name);
  }

  #failure(what: Failable): string | undefined {
    const at = this.#failures.findIndex((failure) => failure.what === what);
    return at < 0 ? undefined : this.#failures.splice(at, 1)[0]?.reason;
  }
}

const EVENT_OF: Readonly<Record<HostChange["kind"], HostEvent["kind"]>> = {
  link: "link",
  "delete-link": "link",
  vxlan: "link",
  "change-vxlan": "link",
  address: "address",
  "delete-address": "address",
  route: "route",
  "delete-route": "route",
  neighbour: "neighbour",
  "delete-neighbour": "neighbour",
  fdb: "neighbour",
  "delete-fdb": "neighbour",
};

function replace<T>(list: T[], entry: T, same: (other: T) => boolean): undefined {
  remove(list, same);
  list.push(entry);
}

function remove<T>(list: T[], same: (other: T) => boolean): undefined {
  const at = list.findIndex(same);
  if (at >= 0) list.splice(at, 1);
}

function linkAddr(address: InterfaceAddr, scope: "global" | "host"): LinkAddr {
  return { ...address, scope, deprecated: false, dynamic: false, temporary: false };
}

function sameInterfaceAddr(a: InterfaceAddr, b: InterfaceAddr): boolean {
  return a.length === b.length && sameAddr(a.addr, b.addr);
}

// Without what says the same as leaving it out; see Host.routes.
function asRead(route: Route): Route {
  const { metric, protocol, onlink, ...rest } = route;
  const { metric: _, ...unset } = route;
  return {
    ...rest,
    ...(onlink === true && { onlink }),
    ...(protocol !== undefined && protocol !== "boot" && { protocol }),
    ...(metric !== undefined && routeMetric(unset) !== metric && { metric }),
  };
}
