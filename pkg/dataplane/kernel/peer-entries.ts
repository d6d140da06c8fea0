// What the kernel needs beside the route to send to a peer through a VXLAN device: a neighbour, so that it need not ask
// for the MAC of the route's next hop, and a forwarding entry that says which node has that MAC.

import { type Addr, formatAddr, sameAddr } from "../../addr/addr.ts";
import type { Family, PerFamily } from "../../addr/family.ts";
import type { Mac } from "../../addr/mac.ts";
import { formatPrefix, type Prefix } from "../../addr/prefix.ts";
import type { FdbEntry, HostChange, Neighbour, Route } from "../../host/host.ts";
import type { LeaseKey } from "../../lease/lease.ts";
import type { PeerState, Want } from "../dataplane.ts";
import { refusalOf } from "../peer-refusal.ts";

/** One subnet of a peer and where packets for it go. */
export interface Destination {
  readonly peer: LeaseKey;
  readonly subnet: Prefix;
  readonly publicIp: Addr;
  readonly mac: Mac;
}

/** Where packets go, and for every peer whether its lease says what is needed. */
export interface Destinations {
  readonly list: readonly Destination[];
  readonly states: ReadonlyMap<LeaseKey, PeerState>;
}

export function destinationsOf(
  want: Want,
  families: readonly Family[],
  network: PerFamily<Prefix>,
  ownMac: PerFamily<Mac>,
): Destinations {
  const list: Destination[] = [];
  const states = new Map<LeaseKey, PeerState>();
  const holders = new Map<string, LeaseKey>();
  for (const peer of want.peers) {
    let problem = refusalOf(peer, want, network);
    const own: Destination[] = [];
    for (const family of families) {
      const subnet = peer.subnet[family];
      if (!subnet || problem !== undefined) continue;
      const publicIp = peer.attrs.publicIp[family];
      const mac = peer.attrs.vtep[family]?.mac;
      if (!publicIp) {
        problem = `the lease names no IPv${family} address to reach ${formatPrefix(subnet)} at`;
      } else if (mac === undefined) {
        problem = `the lease names no VTEP MAC for ${formatPrefix(subnet)}`;
      } else {
        problem = badMac(mac, ownMac[family], holders.get(`${family} ${mac}`));
        own.push({ peer: peer.key, subnet, publicIp, mac });
      }
    }
    states.set(peer.key, problem === undefined ? "in-sync" : { failed: problem });
    if (problem !== undefined) continue;
    list.push(...own);
    for (const { subnet, mac } of own) holders.set(`${subnet.family} ${mac}`, peer.key);
  }
  return { list, states };
}

// The forwarding table is keyed by MAC: two peers with one would take each other's packets.
function badMac(mac: Mac, own: Mac | undefined, holder: LeaseKey | undefined): string | undefined {
  if (mac === own) return `its VTEP MAC ${mac} is this node's own`;
  if (holder !== undefined) return `its VTEP MAC ${mac} is also that of ${holder}`;
  const group = (Number.parseInt(mac.slice(0, 2), 16) & 1) !== 0;
  return group || mac === "00:00:00:00:00:00" ? `its VTEP MAC ${mac} is not that of a single device` : undefined;
}

/** The route through the device: the next hop is the subnet's own address, which only the neighbour entry knows. */
export function tunnelRoute({ subnet }: Destination, dev: string): Route {
  return { dst: subnet, via: nextHop(subnet), dev, onlink: true };
}

/** What must be added before a route leads there, by the index of the destination; and what has no destination. */
export interface EntryChanges {
  readonly additions: readonly { readonly change: HostChange; readonly to: number }[];
  readonly removals: readonly HostChange[];
}

/** Compares one device's entries with its destinations. Of the entries only permanent ones can be stale. */
export function entryChanges(
  dev: string,
  destinations: readonly Destination[],
  neighbours: readonly Neighbour[],
  fdb: readonly FdbEntry[],
): EntryChanges {
  const neighbourOf = new Map(neighbours.map((row) => [formatAddr(row.addr), row]));
  const entryOf = new Map<Mac, FdbEntry[]>();
  for (const row of fdb) entryOf.set(row.mac, [...(entryOf.get(row.mac) ?? []), row]);
  const missingNeighbours: EntryChanges["additions"][number][] = [];
  const missingEntries: EntryChanges["additions"][number][] = [];
  const removals: HostChange[] = [];
  for (const [to, { subnet, mac, publicIp }] of destinations.entries()) {
    const addr = nextHop(subnet);
    const neighbour = neighbourOf.get(formatAddr(addr));
    neighbourOf.delete(formatAddr(addr));
    if (neighbour?.permanent !== true || neighbour.mac !== mac) {
      missingNeighbours.push({ change: { kind: "neighbour", dev, addr, mac }, to });
    }
    const [entry] = entryOf.get(mac) ?? [];
    entryOf.delete(mac);
    if (entry?.permanent !== true || entry.elsewhere === true || !sameAddr(entry.dst, publicIp)) {
      missingEntries.push({ change: { kind: "fdb", dev, mac, dst: publicIp }, to });
    }
  }
  for (const { permanent, addr } of neighbourOf.values()) {
    if (permanent) removals.push({ kind: "delete-neighbour", dev, addr });
  }
  for (const [mac, entries] of entryOf) {
    if (entries.some(({ permanent }) => permanent)) removals.push({ kind: "delete-fdb", dev, mac });
  }
  return { additions: [...missingNeighbours, ...missingEntries], removals };
}

function nextHop({ family, value }: Prefix): Addr {
  return { family, value };
}
