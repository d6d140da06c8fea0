import { sameAddr } from "../addr/addr.ts";
import { FAMILIES, type PerFamily } from "../addr/family.ts";
import { formatPrefix, overlaps, type Prefix, samePrefix } from "../addr/prefix.ts";
import type { Random } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { formatLeaseKey, formatSubnet } from "../lease/lease-key.ts";
import { describeLease } from "../lease/lease-row.ts";
import { encodeLeaseValue } from "../lease/lease-value.ts";
import type { Lease, LeaseAttrs } from "../lease/lease.ts";
import { CANDIDATES, chooseSubnet } from "./allocator.ts";
import { givesOut, type NetworkConfig } from "./network-config.ts";
import { type Held, heldOf } from "./own-lease.ts";
import { type Entry, type Registry, RegistryUnavailableError } from "./registry.ts";
import type { Session } from "./session.ts";
import { type Claim, identityOf, Survey } from "./survey.ts";
import { writeUnder } from "./write-under.ts";

export interface Wanted {
  readonly network: NetworkConfig;
  readonly attrs: LeaseAttrs;
  /** The subnet of the last run, from subnet.env or the state file. */
  readonly previous: PerFamily<Prefix>;
}

export interface AcquisitionOptions {
  readonly registry: Registry;
  readonly session: Session;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Seconds. */
  readonly ttl: number;
}

/** A claim whose value can be read. */
type Candidate = Claim & { readonly lease: Lease };

/**
 * One node's way to a lease. Each attempt looks at the whole prefix and makes at most one decisive write, a transaction
 * on what it saw; when somebody else was faster it has changed nothing, and the next attempt looks again.
 */
export class Acquisition {
  readonly #options: AcquisitionOptions;
  readonly #wanted: Wanted;
  readonly #told = new Set<string>();
  readonly #givenBack = new WeakSet<Claim>();
  #previous: PerFamily<Prefix>;
  #candidates = CANDIDATES;
  /** An etcd lease that was granted for us and has no key yet. */
  #spare: string | undefined;

  constructor(options: AcquisitionOptions, wanted: Wanted) {
    this.#options = options;
    this.#wanted = wanted;
    this.#previous = wanted.previous;
  }

  /**
   * Resolves to undefined when somebody else was faster. Throws OutOfSubnetsError, PublicIpInUseError and what the
   * registry throws; after an unknown outcome the next attempt finds what became of it.
   */
  async attempt(): Promise<Held | undefined> {
    const { registry, session, random } = this.#options;
    // First of all: whoever holds the session of our address is the only one that may touch leases with it.
    await session.claim(identityOf(this.#wanted.attrs));
    const survey = new Survey(await registry.list());
    const candidate = await this.#candidate(survey);
    if (candidate === "raced") return undefined;
    if (candidate) return this.#adopt(candidate);
    const taken = survey.claims.filter((claim) => !this.#givenBack.has(claim)).map((claim) => claim.subnet);
    const chosen = chooseSubnet(this.#wanted.network, taken, this.#previous, random, this.#candidates);
    this.#tellOfPrevious(survey, chosen);
    // Should somebody else be faster, many are choosing: then among more, so that a thousand nodes which start together
    // do not fight over a hundred subnets again and again.
    this.#candidates *= 2;
    return this.#create(chosen, survey.revision);
  }

  /** Gives back what attempts have left over. To be called once, at the end. */
  async close(): Promise<void> {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined) await this.#revoke(spare);
  }

  // The lease that is ours already: a reservation before everything else. One that does not fit the network, or that
  // was made after another which it overlaps, is given back, except a reservation, which is not ours to delete.
  async #candidate(survey: Survey): Promise<Candidate | "raced" | undefined> {
    const { log, registry } = this.#options;
    let found: Candidate | undefined;
    for (const claim of this.#ownClaims(survey)) {
      const { entry, lease } = claim;
      const objection = this.#objection(survey, claim);
      const ours = lease.attrs.nodeId === this.#wanted.attrs.nodeId;
      if (objection === undefined && !found) {
        found = claim;
      } else if (entry.leaseId === "0") {
        if (objection !== undefined) this.#tellOnce("reservation not used", entry.key, objection);
      } else if (objection !== undefined || ours) {
        const reason = objection ?? "this node has another one";
        log.info("giving back a lease of this node", { key: entry.key, reason });
        if (!(await registry.remove(entry.key, entry.modRevision))) return "raced";
        if (ours) await this.#revoke(entry.leaseId);
        this.#givenBack.add(claim);
        this.#previous = { ...claim.subnet, ...this.#previous };
      }
    }
    return found;
  }

  #ownClaims(survey: Survey): Candidate[] {
    const { attrs } = this.#wanted;
    const me = identityOf(attrs);
    const rank = (claim: Candidate): number => {
      if (claim.entry.leaseId === "0") return 0;
      return claim.lease.attrs.nodeId === attrs.nodeId ? 1 : 2;
    };
    return survey.claims
      .filter((claim): claim is Candidate => {
        if (!claim.lease) return false;
        if (sameAddr(claim.lease.attrs.publicIp[me.family], me)) return true;
        // Our own lease under an address that we had before. A clone of this machine may have the same id: then the
        // original is alive at that address.
        const { nodeId } = claim.lease.attrs;
        return nodeId !== undefined && nodeId === attrs.nodeId && !survey.isAlive(identityOf(claim.lease.attrs));
      })
      .sort((a, b) => rank(a) - rank(b) || Number(this.#isPrevious(b)) - Number(this.#isPrevious(a)));
  }

  #isPrevious(claim: Claim): boolean {
    return FAMILIES.every((family) => samePrefix(claim.subnet[family], this.#wanted.previous[family]));
  }

  #objection(survey: Survey, claim: Candidate): string | undefined {
    const { network } = this.#wanted;
    if (!givesOut(network, claim.subnet))
      return `${formatSubnet(claim.subnet)} is no subnet that the network config gives out`;
    const other = survey.overlap(claim.entry.key, claim.subnet, claim.entry.createRevision);
    return other && `${formatSubnet(claim.subnet)} overlaps the older lease ${describeClaim(other)}`;
  }

  // Pods of the last run, whose addresses now belong to another node, are the operator's to know of.
  #tellOfPrevious(survey: Survey, chosen: PerFamily<Prefix>): void {
    const { previous } = this.#wanted;
    for (const family of FAMILIES) {
      const before = previous[family];
      if (!before || samePrefix(before, chosen[family])) continue;
      const other = survey.claims.find(
        (claim) => !this.#givenBack.has(claim) && claim.subnet[family] && overlaps(claim.subnet[family], before),
      );
      if (!other) continue;
      const reason = `${formatPrefix(before)}, which this node had, is taken by ${describeClaim(other)}: pods that still have an address of it are not reached`;
      this.#tellOnce("the subnet of the last run is taken, leasing another one", other.entry.key, reason);
    }
  }

  async #adopt({ entry, subnet, lease }: Candidate): Promise<Held | undefined> {
    const { registry, clock, log, ttl } = this.#options;
    const { attrs } = this.#wanted;
    const value = encodeLeaseValue(attrs);
    let leaseId = entry.leaseId;
    const asked = clock.now();
    if (leaseId !== "0") {
      const granted = await registry.keepAlive(leaseId);
      if (granted === 0) return undefined;
      // The TTL was changed, or another program granted it: ours begins with a lease of its own.
      if (granted !== ttl) leaseId = await this.#grant();
    }
    let written: Entry | undefined = entry;
    if (entry.value !== value || entry.leaseId !== leaseId) {
      written = await writeUnder(registry, leaseId, () =>
        registry.update(entry.key, value, leaseId, entry.modRevision),
      );
      if (!written) return undefined;
    }
    if (leaseId === this.#spare) this.#spare = undefined;
    // Only a lease that we granted ourselves hangs on nothing but our key for certain; another's runs out by itself.
    if (entry.leaseId !== leaseId && lease.attrs.nodeId === attrs.nodeId) await this.#revoke(entry.leaseId);
    const kind = leaseId === "0" ? "reservation taken" : "lease taken over";
    log.info(kind, { key: entry.key, subnet: formatSubnet(subnet), from: lease.attrs.nodeName ?? lease.attrs.nodeId });
    return heldOf(written, { subnet, attrs }, leaseId === "0" ? undefined : asked + ttl * 1000);
  }

  async #create(subnet: PerFamily<Prefix>, surveyed: string): Promise<Held | undefined> {
    const { registry, clock, log, ttl } = this.#options;
    const { attrs } = this.#wanted;
    const key = formatLeaseKey(subnet);
    const asked = clock.now();
    const leaseId = await this.#grant();
    const entry = await writeUnder(registry, leaseId, () => registry.create(key, encodeLeaseValue(attrs), leaseId));
    if (!entry) return undefined;
    // The transaction excludes a second lease of the same key only. A key of another form may have come to overlap ours
    // since we looked: of the two, the later one sees the earlier one here and yields.
    const earlier = new Survey(await registry.list(), surveyed).overlap(key, subnet, entry.createRevision);
    if (earlier) {
      log.info("lease overlaps one that came first, choosing again", { key, reason: describeClaim(earlier) });
      await registry.remove(key, entry.modRevision);
      return undefined;
    }
    this.#spare = undefined;
    log.info("lease acquired", { key, subnet: formatSubnet(subnet) });
    return heldOf(entry, { subnet, attrs }, asked + ttl * 1000);
  }

  async #grant(): Promise<string> {
    const { registry, ttl } = this.#options;
    if (this.#spare !== undefined && (await registry.keepAlive(this.#spare)) > 0) return this.#spare;
    this.#spare = await registry.grant(ttl);
    return this.#spare;
  }

  // A lease without keys harms nobody and runs out by itself, so that an outage is no reason to fail.
  async #revoke(leaseId: string): Promise<void> {
    try {
      await this.#options.registry.revoke(leaseId);
    } catch (error) {
      if (!(error instanceof RegistryUnavailableError)) throw error;
    }
  }

  #tellOnce(sentence: string, key: string, reason: string): void {
    if (this.#told.has(reason)) return;
    this.#told.add(reason);
    this.#options.log.warn(sentence, { key, reason });
  }
}

/** For people: "subnets/10.5.1.0-24, 10.5.1.0/24 of node web1 (192.0.2.1)". */
export function describeClaim(claim: Claim): string {
  return claim.lease
    ? `${claim.entry.key}, ${describeLease(claim.lease)}`
    : `${claim.entry.key}, whose value makes no sense`;
}
