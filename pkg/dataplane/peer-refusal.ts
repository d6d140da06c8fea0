import { formatAddr, sameAddr } from "../addr/addr.ts";
import { FAMILIES, type PerFamily } from "../addr/family.ts";
import { containsPrefix, formatPrefix, overlaps, type Prefix } from "../addr/prefix.ts";
import type { Lease } from "../lease/lease.ts";
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
    const publicIp = peer.attrs.publicIp[family];
    if (
      publicIp &&
      (sameAddr(publicIp, want.underlay.publicIp[family]) || sameAddr(publicIp, want.underlay.addr[family]))
    ) {
      return `it claims this node's own address ${formatAddr(publicIp)}`;
    }
  }
  return undefined;
}
