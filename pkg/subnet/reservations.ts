// Reservations: keys in a lease's place that hang on no etcd lease, so that a subnet is a node's also while it is away. As
// flannel documents them, `{"PublicIP":"192.0.2.1","PublicIPv6":null}` on `subnets/10.5.52.0-24`.

import { type Addr, formatAddr, sameAddr } from "../addr/addr.ts";
import { FAMILIES, type PerFamily } from "../addr/family.ts";
import type { Prefix } from "../addr/prefix.ts";
import { formatLeaseKey, formatSubnet } from "../lease/lease-key.ts";
import { decodeLeaseValue, encodeLeaseValue } from "../lease/lease-value.ts";
import type { LeaseAttrs, LeaseKey } from "../lease/lease.ts";
import { describeClaim } from "./acquisition.ts";
import { familiesOf, isLeasable, type NetworkConfig } from "./network-config.ts";
import type { Registry } from "./registry.ts";
import { type Claim, identityOf, Survey } from "./survey.ts";
import { writeUnder } from "./write-under.ts";

/** What was asked for cannot be done; the message names what stands in the way. */
export class ReservationError extends Error {
  override readonly name = "ReservationError";
}

const TRIES = 5;

/**
 * Reserves a subnet for the node at `publicIp`; no change where it is so already. A lease that this node holds on it
 * becomes a reservation. Resolves to the key. Throws a ReservationError, and what the registry throws.
 */
export async function reserve(
  registry: Registry,
  network: NetworkConfig,
  subnet: PerFamily<Prefix>,
  publicIp: PerFamily<Addr>,
): Promise<LeaseKey> {
  checkSubnet(network, subnet);
  if (!publicIp[subnet[4] ? 4 : 6]) {
    throw new ReservationError(`a node is told by its IPv${subnet[4] ? 4 : 6} address: give that one`);
  }
  const attrs = { publicIp, backendType: "", vtep: {} };
  checkReadable(attrs);
  const me = identityOf(attrs);
  const key = formatLeaseKey(subnet);
  for (let i = 0; i < TRIES; i++) {
    const survey = new Survey(await registry.list());
    const present = checkFree(survey, key, subnet, me);
    if (present?.entry.leaseId === "0") return key;
    if (present) {
      if (await registry.update(key, present.entry.value, "0", present.entry.modRevision)) return key;
      continue;
    }
    const entry = await registry.create(key, encodeLeaseValue(attrs), "0");
    if (!entry) continue;
    // A key of another form may have come to overlap ours since we looked: the later one yields.
    const earlier = new Survey(await registry.list(), survey.revision).overlap(key, subnet, entry.createRevision);
    if (!earlier) return key;
    await registry.remove(key, entry.modRevision);
  }
  throw new ReservationError(`cannot reserve ${formatSubnet(subnet)}: others keep writing to it, try again`);
}

/**
 * Ends the reservation of a subnet. Where a node has taken it, it goes on with an etcd lease of `ttl` seconds, which is
 * its to renew; else the subnet is free. Resolves to the key. Throws a ReservationError, and what the registry throws.
 */
export async function unreserve(registry: Registry, subnet: PerFamily<Prefix>, ttl: number): Promise<LeaseKey> {
  const key = formatLeaseKey(subnet);
  for (let i = 0; i < TRIES; i++) {
    const claim = new Survey(await registry.list()).claims.find(({ entry }) => entry.key === key);
    if (!claim) throw new ReservationError(`${formatSubnet(subnet)} is not reserved: nobody has it`);
    const { value, leaseId, modRevision } = claim.entry;
    if (leaseId !== "0") throw new ReservationError(`${formatSubnet(subnet)} is a lease: ${describeClaim(claim)}`);
    // Only a node that took the reservation has written a backend into it.
    if (claim.lease && claim.lease.attrs.backendType !== "") {
      const granted = await registry.grant(ttl);
      const entry = await writeUnder(registry, granted, () => registry.update(key, value, granted, modRevision));
      if (entry) return key;
      await registry.revoke(granted);
    } else if (await registry.remove(key, modRevision)) {
      return key;
    }
  }
  throw new ReservationError(`cannot free ${formatSubnet(subnet)}: others keep writing to it, try again`);
}

function checkSubnet(network: NetworkConfig, subnet: PerFamily<Prefix>): void {
  const families = FAMILIES.filter((family) => subnet[family]);
  const wanted = familiesOf(network);
  if (families.join() !== wanted.join()) {
    const names = wanted.map((family) => `IPv${family}`).join(" and ");
    throw new ReservationError(`the network gives every node an ${names} subnet: give exactly that`);
  }
  if (!families.every((family) => isLeasable(network, subnet[family] as Prefix))) {
    throw new ReservationError(`${formatSubnet(subnet)} is no subnet that the network config gives out`);
  }
}

// What no agent reads would keep the subnet from everybody, and be listed nowhere.
function checkReadable(attrs: LeaseAttrs): void {
  const reading = decodeLeaseValue(encodeLeaseValue(attrs));
  if (reading.malformed !== undefined) {
    throw new ReservationError(`no agent would read the reservation: it ${reading.malformed}`);
  }
  for (const family of FAMILIES) {
    const given = attrs.publicIp[family];
    if (given && !reading.value.publicIp[family]) {
      throw new ReservationError(
        `no agent would read ${formatAddr(given)} in the reservation: it is no node's address`,
      );
    }
  }
}

// The claim that the node has on the subnet already, if any.
function checkFree(survey: Survey, key: LeaseKey, subnet: PerFamily<Prefix>, me: Addr): Claim | undefined {
  const overlap = survey.overlap(key, subnet);
  if (overlap) throw new ReservationError(`${formatSubnet(subnet)} overlaps ${describeClaim(overlap)}`);
  const isMine = (claim: Claim): boolean => sameAddr(claim.lease?.attrs.publicIp[me.family], me);
  const other = survey.claims.find((claim) => claim.entry.key !== key && claim.entry.leaseId === "0" && isMine(claim));
  if (other) {
    const had = formatSubnet(other.subnet);
    throw new ReservationError(`${formatAddr(me)} has the reservation ${had} already: unreserve that first`);
  }
  const present = survey.claims.find(({ entry }) => entry.key === key);
  if (present && !isMine(present)) throw new ReservationError(`it is taken: ${describeClaim(present)}`);
  return present;
}
