import { type Addr, parseAddr } from "../addr/addr.ts";
import { addrAt, containsAddr, parsePrefix } from "../addr/prefix.ts";
import type { LeaseStatus, Status } from "../api/status.ts";

/** A peer as far as it can be asked. */
export interface ProbeTarget {
  readonly key: string;
  /** What else people call it: name, id, addresses, subnets. */
  readonly names: readonly string[];
  /** Its tunnel end point's address; undefined where it has none. */
  readonly overlay: Addr | undefined;
  readonly underlay: Addr;
  /** What a packet to it may measure, in bytes. */
  readonly mtu: number;
  /** Packets that have come from it so far; undefined where the data plane does not count by peer. */
  readonly received: bigint | undefined;
}

/** Every peer in a status that has an address. */
export function targetsOf(status: Status): ProbeTarget[] {
  const mtu = status.dataplane?.mtus[0];
  if (mtu === undefined) return [];
  const counts = status.dataplane?.name === "tun";
  return status.peers.flatMap(({ lease, rxPackets }) => targetOf(lease, mtu, counts ? rxPackets : undefined) ?? []);
}

/** Whether an address is a pod's behind the peer. */
export function holdsPod({ names }: ProbeTarget, addr: Addr): boolean {
  return names.some((name) => {
    const prefix = name.includes("/") ? parsePrefix(name) : undefined;
    return prefix !== undefined && containsAddr(prefix, addr);
  });
}

// A VTEP has the first address of its subnet, with flannel too. host-gw has no device and so no address of its own.
function targetOf(lease: LeaseStatus, mtu: number, received: bigint | undefined): ProbeTarget | undefined {
  const [subnet] = lease.subnets.flatMap((text) => parsePrefix(text) ?? []);
  const addresses = lease.publicIps.flatMap((text) => parseAddr(text) ?? []);
  const underlay = addresses.find(({ family }) => family === subnet?.family) ?? addresses[0];
  if (!subnet || !underlay) return undefined;
  const names = [lease.nodeName, lease.nodeId, lease.key, ...lease.publicIps, ...lease.subnets];
  return {
    key: lease.key,
    names: names.filter((name) => name !== ""),
    overlay: lease.backendType === "vxlan" ? addrAt(subnet, 0n) : undefined,
    underlay,
    mtu,
    received,
  };
}
