import { ADDR_BITS, type Family, type PerFamily } from "../addr/family.ts";
import { formatPrefix, lastAddr, overlaps, type Prefix } from "../addr/prefix.ts";
import type { Random } from "../base/backoff.ts";
import { familiesOf, isLeasable, type NetworkConfig } from "./network-config.ts";

// flannel's number: enough that nodes which start together seldom pick the same one.
export const CANDIDATES = 100;

/** Every subnet of the network is taken. */
export class OutOfSubnetsError extends Error {
  override readonly name = "OutOfSubnetsError";
}

/**
 * A free subnet of each family of the network: the previous one where it still may be had, else one at random of the
 * first `candidates`, counted from SubnetMin, that overlap nothing in `taken`. The families are independent of each
 * other. Throws an OutOfSubnetsError.
 */
export function chooseSubnet(
  network: NetworkConfig,
  taken: readonly PerFamily<Prefix>[],
  previous: PerFamily<Prefix>,
  random: Random,
  candidates = CANDIDATES,
): PerFamily<Prefix> {
  const chosen: { -readonly [F in Family]?: Prefix } = {};
  for (const family of familiesOf(network)) {
    const others = taken.flatMap((subnet) => subnet[family] ?? []);
    const before = previous[family];
    if (before && isLeasable(network, before) && !others.some((other) => overlaps(other, before))) {
      chosen[family] = before;
      continue;
    }
    const free = firstFree(network, family, others, candidates);
    const pick = free[Math.floor(random() * free.length)];
    if (!pick) throw outOfSubnets(network, family, others.length);
    chosen[family] = pick;
  }
  return chosen;
}

/** The first `most` subnets from SubnetMin upwards that overlap none of `taken`. */
export function firstFree(network: NetworkConfig, family: Family, taken: readonly Prefix[], most: number): Prefix[] {
  const min = network.subnetMin[family];
  const max = network.subnetMax[family];
  const length = network.subnetLen[family];
  if (!min || !max || length === undefined) return [];
  const host = BigInt(ADDR_BITS[family] - length);
  const size = 1n << host;
  const free: Prefix[] = [];
  let next = min.value;
  // From one taken prefix to the next, and over each in one step: the work grows with the number of leases and never
  // with the size of the network or of a taken prefix.
  const sorted = [...taken].sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : a.length - b.length));
  for (const prefix of sorted) {
    while (free.length < most && next <= max.value && next + size <= prefix.value) {
      free.push({ family, value: next, length });
      next += size;
    }
    const end = lastAddr(prefix).value;
    if (end >= next) next = ((end >> host) + 1n) << host;
  }
  while (free.length < most && next <= max.value) {
    free.push({ family, value: next, length });
    next += size;
  }
  return free;
}

/** How many subnets from SubnetMin to SubnetMax overlap none of `taken`. */
export function countFree(network: NetworkConfig, family: Family, taken: readonly Prefix[]): bigint {
  const min = network.subnetMin[family];
  const max = network.subnetMax[family];
  const length = network.subnetLen[family];
  if (!min || !max || length === undefined) return 0n;
  const host = BigInt(ADDR_BITS[family] - length);
  const last = max.value >> host;
  let free = 0n;
  let next = min.value >> host;
  const sorted = [...taken].sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : a.length - b.length));
  for (const prefix of sorted) {
    const from = prefix.value >> host;
    if (from > last) break;
    if (from > next) free += from - next;
    const behind = (lastAddr(prefix).value >> host) + 1n;
    if (behind > next) next = behind;
  }
  return next <= last ? free + last - next + 1n : free;
}

function outOfSubnets(network: NetworkConfig, family: Family, leases: number): OutOfSubnetsError {
  const prefix = network.network[family];
  return new OutOfSubnetsError(
    `no free /${network.subnetLen[family] ?? 0} is left in ${prefix ? formatPrefix(prefix) : "the network"}: ` +
      `${leases} leases and reservations take all from SubnetMin to SubnetMax; ` +
      `run "twillctl leave" on nodes that are gone for good, delete their leases, or widen the network config`,
  );
}
