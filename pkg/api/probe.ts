/** What the agent has measured of one peer. Addresses are text, times are milliseconds since 1970. */
export interface PeerProbe {
  /** Of its lease. */
  readonly key: string;
  /** The address asked in the overlay; empty where the peer has none (host-gw). */
  readonly overlay: string;
  /** The address asked in the underlay when the overlay is silent. */
  readonly underlay: string;
  readonly state: ProbeState;
  /** Since when; 0 while it is not known. */
  readonly since: number;
  /** The last round trip over the overlay in milliseconds; 0 before the first. */
  readonly rttMs: number;
  /** Echoes asked for, at most the last 20, and those of them that were lost. */
  readonly sent: number;
  readonly lost: number;
  /** When the overlay last answered; 0 for never. */
  readonly lastSeen: number;
  /** When it last answered, over the overlay or on the underlay; 0 for never. */
  readonly lastAnswer: number;
  /** The largest packet that came through; 0 while it was not measured. */
  readonly mtu: number;
  /** What should come through. */
  readonly wantedMtu: number;
  /** Whether TCP comes through: "unknown" while it was not tried. */
  readonly tcp: "unknown" | "answers" | "silent";
  /**
   * Of a peer that does not answer over the overlay: whether its packets come in, so that it is ours that do not reach it.
   * "unknown" for one that answers, at first, and where the data plane does not count by peer.
   */
  readonly inbound: "unknown" | "arrives" | "silent";
}

/** "overlay-down": the node answers on the underlay, but not over the overlay. "down": it answers on neither. */
export type ProbeState = "unknown" | "up" | "overlay-down" | "down";

/** One address that was asked for by name, and what came of it. */
export interface AddressProbe {
  readonly address: string;
  readonly sent: number;
  readonly lost: number;
  /** The quickest round trip in milliseconds; 0 where none came back. */
  readonly rttMs: number;
  /** The largest packet that came through; 0 where none did. */
  readonly mtu: number;
}

export interface Probed {
  readonly peers: readonly PeerProbe[];
  /** Of the address that was asked for, where one was. */
  readonly address: AddressProbe | undefined;
}

/** What serves the measurements: the prober. */
export interface ProbeSource {
  /** From memory. */
  probes(): readonly PeerProbe[];
  /**
   * Measures now: every peer for "", else the node with this name, id, subnet or address, or the peer behind a pod's
   * address and the address itself. Throws a RefusedError where there is no such peer.
   */
  probe(target: string): Promise<Probed>;
}
