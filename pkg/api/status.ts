/**
 * What the agent tells of itself over the control API: a snapshot in plain values, made without asking etcd or the
 * kernel. `proto/twill/v1/agent.proto` is the same on the wire. Addresses and prefixes are text, times are milliseconds
 * since 1970.
 */
export interface Status {
  readonly version: string;
  readonly node: { readonly id: string; readonly name: string };
  readonly startedAt: number;
  /** Whether pods may be attached: lease held, data plane in sync, subnet.env written. */
  readonly ready: boolean;
  /** Why not, or what is wrong all the same: a sentence each, the gravest first. */
  readonly problems: readonly string[];
  readonly network: NetworkStatus | undefined;
  readonly underlay: UnderlayStatus | undefined;
  readonly lease: LeaseStatus | undefined;
  readonly dataplane: DataplaneStatus | undefined;
  readonly etcd: EtcdStatus;
  readonly peers: readonly PeerStatus[];
}

export interface NetworkStatus {
  readonly networks: readonly string[];
  readonly backendType: string;
  readonly vni: number;
  readonly port: number;
  /** Subnets that nobody has, of each family; absent from an agent that does not tell. */
  readonly freeSubnets?: readonly bigint[];
}

export interface UnderlayStatus {
  readonly interface: string;
  readonly mtu: number;
  readonly publicIps: readonly string[];
}

export interface LeaseStatus {
  readonly key: string;
  readonly subnets: readonly string[];
  readonly publicIps: readonly string[];
  readonly backendType: string;
  readonly dataplane: string;
  readonly nodeId: string;
  readonly nodeName: string;
  /** "0" for a reservation. */
  readonly leaseId: string;
  /** When the lease runs out unless it is renewed; 0 for a reservation or where it is not known. */
  readonly expiresAt: number;
  readonly own: boolean;
  /** Of its tunnel end points; absent from an agent that does not tell. */
  readonly vtepMacs?: readonly string[];
}

export interface DataplaneStatus {
  readonly name: string;
  /** The rung of its offloads; empty where it has none. */
  readonly rung: string;
  readonly mtus: readonly number[];
  readonly counters: Readonly<Record<string, bigint>>;
}

export interface EtcdStatus {
  readonly endpoints: readonly string[];
  readonly connected: boolean;
  /** What the last failure said; empty while connected. */
  readonly error: string;
  /** Since when it has been as it is now. */
  readonly since: number;
}

export interface PeerStatus {
  readonly lease: LeaseStatus;
  /** "in-sync", "pending" (not programmed yet) or "failed". */
  readonly state: "in-sync" | "pending" | "failed";
  /** Why, where the state is not "in-sync". */
  readonly reason: string;
  readonly txPackets: bigint;
  readonly txBytes: bigint;
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
}

/** What serves the snapshots: the agent. */
export interface StatusSource {
  status(): Status;
  /** Every lease in the table, our own among them. */
  leases(): readonly LeaseStatus[];
}
