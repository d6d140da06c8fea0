import type { Addr } from "../addr/addr.ts";
import type { PerFamily } from "../addr/family.ts";
import type { Mac } from "../addr/mac.ts";
import type { Prefix } from "../addr/prefix.ts";

/** How packets between two nodes look on the underlay. Each node chooses for itself how it implements that. */
export type WireFormat = "vxlan" | "host-gw";

/** What peers must know to send VXLAN to a node: its network identifier and the MAC of its tunnel end point. */
export interface Vtep {
  readonly vni: number;
  readonly mac: Mac;
}

/** What a node says of itself in its lease: flannel's attributes, then ours, which flannel ignores. */
export interface LeaseAttrs {
  /** Where peers send to, on the underlay. One of the two at least. */
  readonly publicIp: PerFamily<Addr>;
  /** "vxlan" or "host-gw" for those that we speak; a lease of flannel's udp backend has none. */
  readonly backendType: string;
  /** By the family of the inner packets. Empty for host-gw. */
  readonly vtep: PerFamily<Vtep>;
  /** Absent in a lease that flannel wrote. */
  readonly nodeId?: string;
  readonly nodeName?: string;
  readonly dataplane?: string;
}

/** The key of a lease below the prefix, with its folder: "subnets/10.5.52.0-24", "ipv6-subnets/fd05:0:0:1b::-64". */
export type LeaseKey = string;

/** A subnet, the node that holds it, and how etcd knows it. */
export interface Lease {
  readonly key: LeaseKey;
  /** IPv4, IPv6 or both. */
  readonly subnet: PerFamily<Prefix>;
  readonly attrs: LeaseAttrs;
  /** The etcd lease that the key hangs on, as etcd's decimal string; "0" for a reservation, which never expires. */
  readonly leaseId: string;
  /** The revision at which the key was last written, as etcd's decimal string. */
  readonly modRevision: string;
}
