import { formatAddr } from "../addr/addr.ts";
import { FAMILIES, type PerFamily } from "../addr/family.ts";
import { formatPrefix } from "../addr/prefix.ts";
import type { DataplaneStatus, LeaseStatus, NetworkStatus, PeerStatus, UnderlayStatus } from "../api/status.ts";
import type { Dataplane, DataplaneStats, PeerState } from "../dataplane/dataplane.ts";
import type { Lease, LeaseKey } from "../lease/lease.ts";
import type { NetworkConfig } from "../subnet/network-config.ts";
import type { Underlay } from "../underlay/underlay.ts";

// What the agent knows, in the plain values of the control API. Pure: neither etcd nor the kernel is asked.

export function networkStatus({ network, backend }: NetworkConfig, freeSubnets: readonly bigint[]): NetworkStatus {
  return {
    networks: texts(network, formatPrefix),
    backendType: backend.type,
    vni: backend.type === "vxlan" ? backend.vni : 0,
    port: backend.type === "vxlan" ? backend.port : 0,
    freeSubnets,
  };
}

export function underlayStatus(underlay: Underlay): UnderlayStatus {
  return { interface: underlay.name, mtu: underlay.mtu, publicIps: texts(underlay.publicIp, formatAddr) };
}

// A lease is never changed, but asked for at every look at a thousand of them.
const statuses = new WeakMap<Lease, LeaseStatus>();

/** `own` is our lease's key and when it runs out (milliseconds since 1970, 0: never or not known). */
export function leaseStatus(
  lease: Lease,
  own: { readonly key: LeaseKey; readonly expiresAt: number } | undefined,
): LeaseStatus {
  let status = statuses.get(lease);
  if (!status) statuses.set(lease, (status = describe(lease)));
  return lease.key === own?.key ? { ...status, own: true, expiresAt: own.expiresAt } : status;
}

function describe(lease: Lease): LeaseStatus {
  const { attrs } = lease;
  return {
    key: lease.key,
    subnets: texts(lease.subnet, formatPrefix),
    publicIps: texts(attrs.publicIp, formatAddr),
    backendType: attrs.backendType,
    dataplane: attrs.dataplane ?? "",
    nodeId: attrs.nodeId ?? "",
    nodeName: attrs.nodeName ?? "",
    leaseId: lease.leaseId,
    expiresAt: 0,
    own: false,
    vtepMacs: texts(attrs.vtep, ({ mac }) => String(mac)),
  };
}

export function dataplaneStatus(plane: Dataplane, stats: DataplaneStats): DataplaneStatus {
  return { name: plane.name, rung: plane.rung ?? "", mtus: texts(plane.mtu, (mtu) => mtu), counters: stats.counters };
}

/** `state` is undefined while no reconcile has seen the peer. */
export function peerStatus(lease: Lease, state: PeerState | undefined, stats: DataplaneStats | undefined): PeerStatus {
  const traffic = stats?.peers.get(lease.key);
  return {
    lease: leaseStatus(lease, undefined),
    state: state === undefined ? "pending" : state === "in-sync" ? state : "failed",
    reason: state === undefined ? "not programmed yet" : state === "in-sync" ? "" : state.failed,
    txPackets: traffic?.txPackets ?? 0n,
    txBytes: traffic?.txBytes ?? 0n,
    rxPackets: traffic?.rxPackets ?? 0n,
    rxBytes: traffic?.rxBytes ?? 0n,
  };
}

function texts<T, U>(values: PerFamily<T>, format: (value: T) => U): U[] {
  return FAMILIES.flatMap((family) => {
    const value = values[family];
    return value === undefined ? [] : [format(value)];
  });
}
