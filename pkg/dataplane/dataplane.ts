import type { PerFamily } from "../addr/family.ts";
import type { Lease, LeaseAttrs, LeaseKey } from "../lease/lease.ts";
import type { Underlay } from "../underlay/underlay.ts";

/**
 * What carries pod packets between nodes. One exists for the life of an agent. Everything is level-triggered: a lost
 * event, a failed command, a flushed route table and a restarted agent are all repaired by the next reconcile.
 */
export interface Dataplane {
  readonly name: "tun" | "kernel" | "host-gw";

  /** Interfaces whose packets the host must forward for the plane, wherever they go. Known after open. */
  readonly forwards: readonly string[];

  /** The rung of its offloads in use; absent where it has none. */
  readonly rung?: string | undefined;

  /** What an inner packet may measure once our headers are paid for, by inner family. Known after open. */
  readonly mtu: PerFamily<number>;

  /**
   * Creates the device or takes over the one of the last run. Resolves to what goes into our lease. Throws a
   * DataplaneError whose message names the thing and the next step when the node cannot carry packets this way.
   */
  open(underlay: Underlay): Promise<PlaneAttrs>;

  /**
   * Makes everything this plane owns equal to `want`: device, address, routes, peers. Idempotent; one bad peer never
   * holds up the others. Attributes that changed (MAC, underlay address) come back, and the agent publishes them.
   */
  reconcile(want: Want): Promise<Outcome>;

  /**
   * Carries peers that have just joined, also while a reconcile is under way, which takes longer the more peers there are.
   * `want` must be at least as new as that of every reconcile before. Resolves to whether nothing else has changed; what
   * cannot be done is left to the next reconcile, which also tells of it. Absent where that would gain nothing.
   */
  welcome?(want: Want): Promise<boolean>;

  stats(): DataplaneStats;

  /** How often each of its packet loops has turned: each rises at least once a second. Absent where the kernel carries. */
  turns?(): readonly number[];

  /** Fulfilled after close, rejected if the plane died. */
  readonly done: Promise<void>;

  /** Idempotent, and for one that was never opened as well. Keeps kernel state: pods keep their network over a restart. */
  close(): Promise<void>;
}

/** The part of a lease's attributes that the plane decides. */
export type PlaneAttrs = Pick<LeaseAttrs, "backendType" | "vtep" | "publicIp">;

export interface Want {
  readonly own: Lease;
  /** Every other lease of our wire format. Of two that exclude each other the first is carried. */
  readonly peers: readonly Lease[];
  readonly underlay: Underlay;
}

export interface Outcome {
  readonly attrs: PlaneAttrs;
  readonly peers: ReadonlyMap<LeaseKey, PeerState>;
}

export type PeerState = "in-sync" | Failed;

/** Why a peer is not programmed: one sentence. */
export interface Failed {
  readonly failed: string;
}

/** Counters since the plane was opened. */
export interface DataplaneStats {
  /** By counter name ("tx_packets", "rx_bad_vni"); the names are listed in ARCHITECTURE.md. */
  readonly counters: Readonly<Record<string, bigint>>;
  readonly peers: ReadonlyMap<LeaseKey, PeerStats>;
}

export interface PeerStats {
  readonly txPackets: bigint;
  readonly txBytes: bigint;
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
}

/** This node cannot carry packets this way. The message is for the operator: what is wrong and what to do. */
export class DataplaneError extends Error {
  override readonly name = "DataplaneError";
}
