import type { Family, PerFamily } from "../../addr/family.ts";
import { formatPrefix, type Prefix } from "../../addr/prefix.ts";
import type { LeaseKey } from "../../lease/lease.ts";
import type { PeerState, Want } from "../dataplane.ts";
import { refusalOf } from "../peer-refusal.ts";
import type { TableRow } from "./forwarding-table.ts";
import type { Slots } from "./slots.ts";

/** The rows for the packet loop, and for every peer whether it got what it needs. */
export interface PeerRows {
  readonly rows: readonly TableRow[];
  readonly states: ReadonlyMap<LeaseKey, PeerState>;
}

/**
 * What of the peers' leases the packet loop is to know. A lease is somebody else's word: one that would draw traffic
 * which is not the pod network's, or ours, is not taken over but reported.
 */
export function peerRows(want: Want, families: readonly Family[], network: PerFamily<Prefix>, slots: Slots): PeerRows {
  const rows: TableRow[] = [];
  const states = new Map<LeaseKey, PeerState>();
  for (const peer of want.peers) {
    const problem = refusalOf(peer, want, network);
    if (problem !== undefined) {
      states.set(peer.key, { failed: problem });
      continue;
    }
    let state: PeerState = "in-sync";
    for (const family of families) {
      const subnet = peer.subnet[family];
      if (!subnet) continue;
      const publicIp = peer.attrs.publicIp[family];
      const vtep = peer.attrs.vtep[family];
      const slot = publicIp && vtep ? slots.take(peer.key, family) : undefined;
      if (!publicIp) state = { failed: `the lease names no IPv${family} address to reach ${formatPrefix(subnet)} at` };
      else if (!vtep) state = { failed: `the lease names no VTEP MAC for ${formatPrefix(subnet)}` };
      else if (slot === undefined) state = { failed: "there are more peers than the forwarding table has rows" };
      else rows.push({ slot, family, subnet, publicIp, mac: vtep.mac });
    }
    states.set(peer.key, state);
  }
  return { rows, states };
}
