import { formatAddr, sameAddr } from "../addr/addr.ts";
import { ADDR_BITS, FAMILIES, type PerFamily } from "../addr/family.ts";
import { containsAddr, containsPrefix, formatPrefix, overlaps, type Prefix } from "../addr/prefix.ts";
import type { Lease } from "../lease/lease.ts";
import { PrefixIndex } from "../lease/prefix-index.ts";
import type { Want } from "./dataplane.ts";

/**
 * Why a peer's lease must not be programmed at all, by whichever data plane: a lease is somebody else's word, and one that
 * would draw traffic which is not the pod network's, or ours, is reported and not believed. Undefined for one that may.
 */
export function refusalOf(peer: Lease, want: Want, network: PerFamily<Prefix>): string | undefined {
  for (const family of FAMILIES) {
    const subnet = peer.subnet[family];
    const whole = network[family];
    if (subnet && whole && !containsPrefix(whole, subnet)) {
      return `its subnet ${formatPrefix(subnet)} lies outside the network ${formatPrefix(whole)}`;
    }
    const own = want.own.subnet[family];
    if (subnet && own && overlaps(subnet, own)) {
      return `its subnet ${formatPrefix(subnet)} overlaps this node's own ${formatPrefix(own)}`;
    }
    for (const mine of [want.underlay.addr[family], want.underlay.publicIp[family]]) {
      if (subnet && mine && containsAddr(subnet, mine)) {
        return `its subnet ${formatPrefix(subnet)} holds this node's own address ${formatAddr(mine)}`;
      }
    }
    const publicIp = peer.attrs.publicIp[family];
    if (
      publicIp &&
      (sameAddr(publicIp, want.underlay.publicIp[family]) || sameAddr(publicIp, want.underlay.addr[family]))
    ) {
      return `it claims this node's own address ${formatAddr(publicIp)}`;
    }
    // What is sent there would come back as a pod's packet, and be sent there again, one header longer.
    if (
      publicIp &&
      !podSubnets(want, network)
        .overlapping({ ...publicIp, length: ADDR_BITS[family] })
        .next().done
    ) {
      return `its address ${formatAddr(publicIp)} is one of a pod, not of a host`;
    }
  }
  return undefined;
}

// Every subnet that may be routed: a lease outside of the network, as 0.0.0.0/0, makes no host a pod. Made once for each
// table, which is a new object each time.
const indexes = new WeakMap<Want, PrefixIndex>();

function podSubnets(want: Want, network: PerFamily<Prefix>): PrefixIndex {
  const known = indexes.get(want);
  if (known) return known;
  const index = new PrefixIndex();
  for (const { key, subnet } of [want.own, ...want.peers]) {
    for (const family of FAMILIES) {
      const [whole, part] = [network[family], subnet[family]];
      if (whole && part && containsPrefix(whole, part)) index.add(part, key);
    }
  }
  indexes.set(want, index);
  return index;
}
