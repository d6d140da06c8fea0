import { twill } from "../../proto/gen/agent.js";
import type {
  DataplaneStatus,
  EtcdStatus,
  LeaseStatus,
  NetworkStatus,
  PeerStatus,
  Status,
  UnderlayStatus,
} from "./status.ts";

type WireStatus = twill.v1.Status.$Properties;
type WireLease = twill.v1.Lease.$Properties;
type WirePeer = twill.v1.Peer.$Properties;
/** As protobufjs gives a 64-bit integer: a number where it was set as one, else an object of two halves. */
type Int64 = NonNullable<WirePeer["txPackets"]>;

/** A snapshot as it goes over the wire. */
export function encodeStatus(status: Status): WireStatus {
  return {
    ...status,
    problems: [...status.problems],
    network: status.network ? encodeNetwork(status.network) : null,
    underlay: status.underlay ? { ...status.underlay, publicIps: [...status.underlay.publicIps] } : null,
    lease: status.lease ? encodeLease(status.lease) : null,
    dataplane: status.dataplane ? encodeDataplane(status.dataplane) : null,
    etcd: { ...status.etcd, endpoints: [...status.etcd.endpoints] },
    peers: status.peers.map(encodePeer),
  };
}

export function encodeLease(lease: LeaseStatus): WireLease {
  const { subnets, publicIps, vtepMacs = [] } = lease;
  return { ...lease, subnets: [...subnets], publicIps: [...publicIps], vtepMacs: [...vtepMacs] };
}

/** The snapshot in a message. What the sender did not set, because it is older than we are, is empty. */
export function encodeTraffic({
  lease: { key },
  txPackets,
  txBytes,
  rxPackets,
  rxBytes,
}: PeerStatus): twill.v1.PeerTraffic.$Properties {
  return {
    key,
    txPackets: uint64(txPackets),
    txBytes: uint64(txBytes),
    rxPackets: uint64(rxPackets),
    rxBytes: uint64(rxBytes),
  };
}

export function decodeStatus(wire: WireStatus): Status {
  return {
    version: wire.version ?? "",
    node: { id: wire.node?.id ?? "", name: wire.node?.name ?? "" },
    startedAt: number(wire.startedAt),
    ready: wire.ready ?? false,
    problems: wire.problems ?? [],
    network: wire.network ? decodeNetwork(wire.network) : undefined,
    underlay: wire.underlay ? decodeUnderlay(wire.underlay) : undefined,
    lease: wire.lease ? decodeLease(wire.lease) : undefined,
    dataplane: wire.dataplane ? decodeDataplane(wire.dataplane) : undefined,
    etcd: decodeEtcd(wire.etcd ?? {}),
    peers: (wire.peers ?? []).map(decodePeer),
  };
}

export function decodeLease(wire: WireLease): LeaseStatus {
  return {
    key: wire.key ?? "",
    subnets: wire.subnets ?? [],
    publicIps: wire.publicIps ?? [],
    backendType: wire.backendType ?? "",
    dataplane: wire.dataplane ?? "",
    nodeId: wire.nodeId ?? "",
    nodeName: wire.nodeName ?? "",
    leaseId: wire.leaseId ?? "",
    expiresAt: number(wire.expiresAt),
    own: wire.own ?? false,
    ...(wire.vtepMacs && wire.vtepMacs.length > 0 && { vtepMacs: wire.vtepMacs }),
  };
}

function encodeNetwork({ freeSubnets = [], networks, ...rest }: NetworkStatus): twill.v1.Network.$Properties {
  return { ...rest, networks: [...networks], freeSubnets: freeSubnets.map(uint64) };
}

function decodeNetwork(wire: twill.v1.Network.$Properties): NetworkStatus {
  const free = wire.freeSubnets ?? [];
  return {
    ...(free.length > 0 && { freeSubnets: free.map(bigint) }),
    networks: wire.networks ?? [],
    backendType: wire.backendType ?? "",
    vni: wire.vni ?? 0,
    port: wire.port ?? 0,
  };
}

function decodeUnderlay(wire: twill.v1.Underlay.$Properties): UnderlayStatus {
  return { interface: wire.interface ?? "", mtu: wire.mtu ?? 0, publicIps: wire.publicIps ?? [] };
}

function encodeDataplane(dataplane: DataplaneStatus): twill.v1.Dataplane.$Properties {
  const counters = Object.entries(dataplane.counters).map(([name, count]) => [name, uint64(count)] as const);
  return {
    name: dataplane.name,
    rung: dataplane.rung,
    mtus: [...dataplane.mtus],
    counters: Object.fromEntries(counters),
  };
}

function decodeDataplane(wire: twill.v1.Dataplane.$Properties): DataplaneStatus {
  const counters = Object.entries(wire.counters ?? {}).map(([name, count]) => [name, bigint(count)] as const);
  return {
    name: wire.name ?? "",
    rung: wire.rung ?? "",
    mtus: wire.mtus ?? [],
    counters: Object.fromEntries(counters),
  };
}

function decodeEtcd(wire: twill.v1.Etcd.$Properties): EtcdStatus {
  return {
    endpoints: wire.endpoints ?? [],
    connected: wire.connected ?? false,
    error: wire.error ?? "",
    since: number(wire.since),
  };
}

const PEER_STATES = {
  "in-sync": twill.v1.PeerState.PEER_STATE_IN_SYNC,
  pending: twill.v1.PeerState.PEER_STATE_PENDING,
  failed: twill.v1.PeerState.PEER_STATE_FAILED,
} as const;

function encodePeer(peer: PeerStatus): WirePeer {
  return {
    lease: encodeLease(peer.lease),
    state: PEER_STATES[peer.state],
    reason: peer.reason,
    txPackets: uint64(peer.txPackets),
    txBytes: uint64(peer.txBytes),
    rxPackets: uint64(peer.rxPackets),
    rxBytes: uint64(peer.rxBytes),
  };
}

function decodePeer(wire: WirePeer): PeerStatus {
  return {
    lease: decodeLease(wire.lease ?? {}),
    ...decodeState(wire),
    txPackets: bigint(wire.txPackets),
    txBytes: bigint(wire.txBytes),
    rxPackets: bigint(wire.rxPackets),
    rxBytes: bigint(wire.rxBytes),
  };
}

function decodeState(wire: WirePeer): Pick<PeerStatus, "state" | "reason"> {
  const reason = wire.reason ?? "";
  for (const state of ["in-sync", "pending", "failed"] as const) {
    if (wire.state === PEER_STATES[state]) return { state, reason };
  }
  // A newer twilld may have more states: whatever it is, it is not in sync.
  return { state: "pending", reason: reason || `the agent tells a state (${wire.state ?? 0}) that is not known here` };
}

// protobufjs writes whatever has two halves, though its types ask for the whole class Long.
function uint64(value: bigint): Int64 {
  return { low: Number(value & 0xffff_ffffn), high: Number(value >> 32n) } as Int64;
}

function bigint(value: Int64 | null | undefined): bigint {
  if (typeof value !== "object" || value === null) return BigInt(value ?? 0);
  return (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
}

/** Times in milliseconds and other int64 that stay below 2^53. */
export function number(value: Int64 | null | undefined): number {
  return Number(BigInt.asIntN(64, bigint(value)));
}
