import type { Addr } from "../addr/addr.ts";
import type { PerFamily } from "../addr/family.ts";
import type { Prefix } from "../addr/prefix.ts";

/** The cluster's network as `<prefix>/config` describes it, every default filled in. */
export interface NetworkConfig {
  /** The whole overlay. */
  readonly network: PerFamily<Prefix>;
  /** Prefix length of one node's subnet. */
  readonly subnetLen: PerFamily<number>;
  /** First and last subnet that may be leased, as network addresses, both inclusive. */
  readonly subnetMin: PerFamily<Addr>;
  readonly subnetMax: PerFamily<Addr>;
  /** flannel's EnableNFTables. We always use nftables for masquerade; kept so that the effective config is complete. */
  readonly enableNFTables: boolean;
  readonly backend: Backend;
}

export type Backend = VxlanBackend | HostGwBackend;

export interface VxlanBackend {
  readonly type: "vxlan";
  readonly vni: number;
  /** UDP port; 8472 where the config says 0 or nothing. */
  readonly port: number;
  /** Underlay MTU to reckon with; undefined: the underlay interface's. */
  readonly mtu: number | undefined;
  readonly gbp: boolean;
  readonly learning: boolean;
  readonly directRouting: boolean;
}

export interface HostGwBackend {
  readonly type: "host-gw";
}
