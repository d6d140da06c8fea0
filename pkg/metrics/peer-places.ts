import type { PeerStatus } from "../api/status.ts";

/** As many peers have series of their own; the others share one. */
export const MOST_PEER_SERIES = 1000;

export interface PeerShare {
  /** Of the lease; "other" for what the rest shares. */
  readonly key: string;
  readonly subnet: string;
  readonly node: string;
  readonly packets: Both;
  readonly bytes: Both;
}

interface Both {
  readonly tx: bigint;
  readonly rx: bigint;
}

/**
 * Which peers have series of their own: whoever came first, until it leaves, since a series that came and went with the
 * traffic would look like a counter that starts again.
 */
export class PeerPlaces {
  readonly #most: number;
  #kept = new Set<string>();

  constructor(most = MOST_PEER_SERIES) {
    this.#most = most;
  }

  assign(peers: readonly PeerStatus[]): readonly PeerShare[] {
    const present = new Set(peers.map(({ lease }) => lease.key));
    this.#kept = new Set([...this.#kept].filter((key) => present.has(key)));
    const rest: PeerStatus[] = [];
    const shares: PeerShare[] = [];
    for (const peer of peers) {
      const { key, subnets, nodeName } = peer.lease;
      if (this.#kept.size < this.#most) this.#kept.add(key);
      if (!this.#kept.has(key)) rest.push(peer);
      else shares.push({ key, subnet: subnets.join(","), node: nodeName, ...sum([peer]) });
    }
    if (rest.length > 0) shares.push({ key: "other", subnet: "other", node: "other", ...sum(rest) });
    return shares;
  }
}

function sum(peers: readonly PeerStatus[]): { readonly packets: Both; readonly bytes: Both } {
  const packets = { tx: 0n, rx: 0n };
  const bytes = { tx: 0n, rx: 0n };
  for (const peer of peers) {
    packets.tx += peer.txPackets;
    packets.rx += peer.rxPackets;
    bytes.tx += peer.txBytes;
    bytes.rx += peer.rxBytes;
  }
  return { packets, bytes };
}
