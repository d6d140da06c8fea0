import type { Addr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import type { Mac } from "../addr/mac.ts";
import type { InterfaceAddr, Prefix } from "../addr/prefix.ts";
import type { Clock } from "../base/clock.ts";

/**
 * This host's kernel network state, as far as we read and change it. `LinuxHost` drives iproute2, nft and iptables by
 * argument vector, never through a shell; `MemoryHost` is its twin for tests. Both pass `test/contract/host.ts`.
 */
export interface Host {
  /** Every interface with its addresses. */
  links(): Promise<readonly Link[]>;

  /**
   * The main table's unicast routes of one family, one row per next hop. What the kernel fills in where a route does
   * not say (`protocol` "boot", `metric` 0 or for IPv6 1024) reads as left out, so a route reads back as it was written;
   * compare with `sameRoute`.
   */
  routes(family: Family): Promise<readonly Route[]>;

  /** The neighbours (ARP, ND) of one interface; none when there is no such interface. */
  neighbours(dev: string): Promise<readonly Neighbour[]>;

  /** Where a VXLAN device sends frames, by destination MAC; none when there is no such device. */
  fdb(dev: string): Promise<readonly FdbEntry[]>;

  /** What an interface has counted since it exists, undefined when there is none. At once: it costs one small file. */
  linkCounters(dev: string): LinkCounters | undefined;

  /**
   * Calls `onEvent` for what changes on this host, whoever changed it, we included, until the signal aborts. It is a bell:
   * an event may come twice, or for something that reads as before. What cannot be watched is left to the caller's timer.
   */
  watch(options: WatchOptions): Promise<void>;

  /** Which way a packet to `addr` would go, or undefined when it is unreachable. */
  routeTo(addr: Addr): Promise<RouteLookup | undefined>;

  /**
   * Carries out the changes in order, in one batch where that is possible. Each names a state, so one that finds it
   * already reached succeeds: an address or route that is there, or something to delete that is not. One that fails
   * does not stop the rest: the answer holds, at the place of each change, undefined or why it failed. Rejects only when
   * nothing could be tried, with a HostError.
   */
  apply(changes: readonly HostChange[]): Promise<readonly (HostError | undefined)[]>;

  /** The value of a sysctl named by its path below /proc/sys ("net/ipv4/ip_forward"), undefined when it does not exist. */
  sysctl(path: string): Promise<string | undefined>;

  /** Sets a sysctl. Throws a HostError when the kernel refuses or /proc/sys is read-only. */
  setSysctl(path: string, value: string): Promise<void>;

  /**
   * Makes the nftables table hold exactly these chains, in one transaction; creates it where it is missing. `undefined`
   * deletes the table; no error when there is none.
   */
  setNftTable(family: NftFamily, name: string, chains: readonly NftChain[] | undefined): Promise<void>;

  /**
   * The table's chains as the kernel has them, undefined when there is no such table. Writing what was read changes
   * nothing, but nft may word a rule differently from how it was written: compare with an earlier reading. One that
   * somebody has given flags, of which "dormant" puts it to sleep, reads as empty.
   */
  nftTable(family: NftFamily, name: string): Promise<readonly NftChain[] | undefined>;

  /** The tables of nftables. What is asked after it of a table that it does not name costs nothing. */
  nftTables(): Promise<NftTables>;

  /** Adds a rule at the end of a chain that is there. Throws a HostError. */
  addNftRule(family: NftFamily, table: string, chain: string, rule: readonly object[]): Promise<void>;

  /**
   * The iptables variants of one family that hold rules or a DROP policy in the filter table. An accept must be in each
   * of them, since a drop in one is not overruled by an accept in the other.
   */
  iptablesInUse(family: Family, tables?: NftTables): Promise<readonly IptablesVariant[]>;

  /**
   * Makes `chain` of the filter table hold exactly `rules` and FORWARD jump to it first; `undefined` removes jump and
   * chain. Each rule is an argument list in the order and wording of `iptables -S`, as after `-A CHAIN`. Resolves to
   * whether anything had to be changed.
   */
  setForwardChain(
    family: Family,
    variant: IptablesVariant,
    chain: string,
    rules: readonly (readonly string[])[] | undefined,
  ): Promise<boolean>;

  /**
   * Removes a chain of any table of iptables and every jump to it from `hook`; no error where there is none. Resolves to
   * whether there was something to remove.
   */
  removeIptablesChain(
    family: Family,
    variant: IptablesVariant,
    where: { readonly table: "filter" | "nat"; readonly hook: "FORWARD" | "POSTROUTING"; readonly chain: string },
    tables?: NftTables,
  ): Promise<boolean>;

  /**
   * The chains that hook into forwarding and are neither iptables' own nor ours. No accept of ours overrules a drop in
   * them: they must let pods through by themselves.
   */
  foreignForwardChains(family: Family, tables?: NftTables): Promise<readonly ForwardChain[]>;
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  readonly onEvent: (event: HostEvent) => void;
  /** Told once why some kinds of events do not come, as long as they do not. */
  readonly onTrouble: (error: HostError) => void;
  readonly clock: Clock;
}

/** What changed. `of`: "eth0" for what belongs to an interface, "ip filter" for a table of nftables, else empty. */
export interface HostEvent {
  readonly kind:
    | "link"
    | "address"
    | "route"
    | "neighbour" // or an FDB entry
    | "sysctl"
    | "nft"
    | "iptables"
    | "gap"; // the watch had a gap: anything may have changed
  readonly of: string;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  /** "loopback", "veth", "bridge", "vxlan", "tun", "device" ... as `ip -d -j link` names the kind; "device" for none. */
  readonly kind: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly mac: Mac | undefined;
  readonly txQueueLen: number;
  readonly addresses: readonly LinkAddr[];
  /** Of a VXLAN device. */
  readonly vxlan?: Vxlan;
}

/** A VXLAN device as the kernel has it. */
export interface Vxlan {
  readonly vni: number;
  /** The source address of what it sends. */
  readonly local: Addr | undefined;
  /** The interface that it sends through. */
  readonly underlay: string | undefined;
  readonly port: number;
  readonly learning: boolean;
  readonly gbp: boolean;
  /** Every other setting that is not as the kernel has it by default: "l2miss", "ttl 5". */
  readonly others: readonly string[];
}

/** Which MAC an address on a link has. Permanent ones are somebody's word; the others come and go by themselves. */
export interface Neighbour {
  readonly addr: Addr;
  readonly mac: Mac | undefined;
  readonly permanent: boolean;
}

/** Frames to `mac` go to the VTEP `dst`. Those that are not permanent have been learned. */
export interface FdbEntry {
  readonly mac: Mac;
  readonly dst: Addr;
  readonly permanent: boolean;
  /** Of one with a port, a VNI or an interface of its own, which are not the device's. */
  readonly elsewhere?: true;
}

export interface LinkCounters {
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
  readonly rxErrors: bigint;
  readonly rxDropped: bigint;
  readonly txPackets: bigint;
  readonly txBytes: bigint;
  readonly txErrors: bigint;
  readonly txDropped: bigint;
}

export interface LinkAddr extends InterfaceAddr {
  readonly scope: "global" | "link" | "host" | "site";
  readonly deprecated: boolean;
  readonly dynamic: boolean;
  readonly temporary: boolean;
}

export interface Route {
  /** Undefined is the default route. */
  readonly dst: Prefix | undefined;
  readonly via?: Addr;
  readonly dev: string;
  readonly onlink?: boolean;
  readonly src?: Addr;
  /** "kernel", "redirect", "boot" (what we write when it is left out), "static", or a number as text. */
  readonly protocol?: string;
  readonly metric?: number;
  /** Of a row that is one of several next hops; cannot be asked for. */
  readonly multipath?: true;
}

export interface RouteLookup {
  readonly dev: string;
  readonly via: Addr | undefined;
  /** The source address that the kernel would use. */
  readonly src: Addr | undefined;
}

export type HostChange =
  | {
      readonly kind: "link";
      readonly dev: string;
      readonly mtu?: number;
      readonly up?: boolean;
      readonly txQueueLen?: number;
      readonly addrGenMode?: "none" | "eui64";
      readonly mac?: Mac;
    }
  // Makes a VXLAN device, down, with queue length 0. `others` of its settings cannot be asked for.
  | { readonly kind: "vxlan"; readonly dev: string; readonly mac: Mac; readonly mtu: number; readonly vxlan: Vxlan }
  // Changes what the kernel can change in a VXLAN device that exists: local, underlay and learning.
  | { readonly kind: "change-vxlan"; readonly dev: string; readonly vxlan: Vxlan }
  | { readonly kind: "delete-link"; readonly dev: string }
  | { readonly kind: "address"; readonly dev: string; readonly address: InterfaceAddr }
  | { readonly kind: "delete-address"; readonly dev: string; readonly address: InterfaceAddr }
  | { readonly kind: "route"; readonly route: Route }
  | { readonly kind: "delete-route"; readonly route: Route }
  // Both permanent.
  | { readonly kind: "neighbour"; readonly dev: string; readonly addr: Addr; readonly mac: Mac }
  | { readonly kind: "delete-neighbour"; readonly dev: string; readonly addr: Addr }
  | { readonly kind: "fdb"; readonly dev: string; readonly mac: Mac; readonly dst: Addr }
  // Wherever it leads.
  | { readonly kind: "delete-fdb"; readonly dev: string; readonly mac: Mac };

export type NftFamily = "ip" | "ip6" | "inet";

/** The tables of one family of addresses. */
export const NFT_FAMILY = { 4: "ip", 6: "ip6" } as const;

/** Tables by family and name: "ip filter", "inet firewall". */
export type NftTables = ReadonlySet<string>;

export type IptablesVariant = "nft" | "legacy";

export interface ForwardChain {
  /** "inet firewall forward": family, table, chain. */
  readonly name: string;
  readonly policy: "accept" | "drop";
  /** Of one that drops: everything in its table, as nft's JSON. */
  readonly text?: string;
}

/** A chain of an nftables table. Rules are nft's own JSON expressions (libnftables-json(5)), one list per rule. */
export interface NftChain {
  readonly name: string;
  /** Where the kernel enters it; left out for a chain that others jump to, which they may do when it stands before them. */
  readonly type?: "filter" | "nat";
  readonly hook?: "prerouting" | "input" | "forward" | "output" | "postrouting";
  readonly priority?: number;
  /** What becomes of a packet that no rule decides on; left out to accept it. */
  readonly policy?: "drop";
  readonly rules: readonly (readonly object[])[];
}

/** A change that the kernel or a tool refused. `message` is one sentence that names the thing. */
export class HostError extends Error {
  override readonly name = "HostError";
}
