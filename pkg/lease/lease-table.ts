import { sameAddr } from "../addr/addr.ts";
import { FAMILIES, type PerFamily } from "../addr/family.ts";
import { containsPrefix, formatPrefix, overlaps, type Prefix } from "../addr/prefix.ts";
import type { Logger } from "../base/logger.ts";
import { describeLease, formatPublicIp, type LeaseRow, readLeaseRow } from "./lease-row.ts";
import { formatSubnet } from "./lease-key.ts";
import { encodeLeaseValue } from "./lease-value.ts";
import type { Lease, LeaseAttrs, LeaseKey } from "./lease.ts";
import { excerpt } from "./parsed.ts";
import { PrefixIndex } from "./prefix-index.ts";

export type { LeaseRow } from "./lease-row.ts";

/** A row that was written, or a key that went away. */
export type LeaseChange =
  { readonly kind: "put"; readonly entry: LeaseRow } | { readonly kind: "delete"; readonly key: string };

// Whoever may write below the prefix may write any number of keys: what is kept of them is bounded. As many leases as the
// packet loop has rows, more than a /8 of /24 subnets needs; characters of their keys and values in all, some 1000 for
// each, where a usual lease has 300; and what is remembered of keys that make no sense.
export const MOST_LEASES = 65_536;
const MOST_CHARACTERS = 64 * 1024 * 1024;
const MOST_MALFORMED = 1000;
const MOST_PROBLEMS = 100;

// Of a lease that is kept although its key is missing: whatever is there is older, so that it takes nothing from anybody.
const YOUNGEST = String(2n ** 63n - 1n);

interface Known {
  /** The row that `lease` was read from: not the newest one where that was malformed. */
  readonly row: LeaseRow;
  readonly lease: Lease;
}

interface Bad {
  readonly modRevision: string;
  readonly sentence: string;
}

/**
 * Every lease of the cluster as far as this node knows, and which of them may be routed. It has one writer, which hands
 * it everything below the prefix; keys that are no business of leases are passed over, and an entry that makes no sense
 * costs a warning and never another entry.
 */
export class LeaseTable {
  readonly #log: Logger;
  readonly #known = new Map<LeaseKey, Known>();
  readonly #malformed = new Map<string, Bad>();
  /** Why a lease is not routed although it can be read. */
  readonly #refused = new Map<LeaseKey, string>();
  readonly #index = new PrefixIndex();
  readonly #listeners = new Set<() => void>();
  /** Leases whose keys are missing, kept until `dropMissing`; undefined while what is missing goes at once. */
  #missing: Set<LeaseKey> | undefined;
  #characters = 0;
  /** Whether a lease was left out for want of room since the last snapshot. */
  #full = false;
  #own: Lease | undefined;
  #network: PerFamily<Prefix> | undefined;
  #revision = "0";
  #leases: readonly Lease[] | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Takes everything below the prefix as it was at `revision`. */
  applySnapshot(rows: readonly LeaseRow[], revision: string): void {
    const keys = new Set(rows.map((row) => row.key));
    let changed = false;
    // Departures first, so that a subnet which changed its key does not overlap itself for a moment.
    for (const key of [...this.#known.keys(), ...this.#malformed.keys()]) {
      if (keys.has(key)) continue;
      if (this.#missing && this.#known.has(key)) this.#keep(key, this.#missing);
      else if (this.#delete(key)) changed = true;
    }
    this.#full = false;
    // The oldest first: they stay where there are too many, and what comes later changes no verdict on them.
    for (const row of byAge(rows)) if (this.#put(row)) changed = true;
    this.#revision = revision;
    if (changed) this.#notify();
  }

  /** Takes what changed, in the order of its revisions, up to `revision`. */
  applyChanges(changes: readonly LeaseChange[], revision: string): void {
    let changed = false;
    for (const change of changes) {
      if (change.kind === "put" ? this.#put(change.entry) : this.#delete(change.key)) changed = true;
    }
    this.#revision = revision;
    if (changed) this.#notify();
  }

  /** From now on a lease that is missing in a snapshot is kept, the last of all to be routed. */
  keepMissing(): void {
    this.#missing ??= new Set();
  }

  /** Ends that, and forgets the leases that are still missing. */
  dropMissing(): void {
    const missing = [...(this.#missing ?? [])];
    this.#missing = undefined;
    let changed = false;
    for (const key of missing) if (this.#delete(key)) changed = true;
    if (changed) this.#notify();
  }

  /** The revision up to which the table is true; "0" before the first snapshot. */
  get revision(): string {
    return this.#revision;
  }

  /** Every lease that can be read, our own among them, by key. */
  get leases(): readonly Lease[] {
    this.#leases ??= [...this.#known.values()]
      .map((known) => known.lease)
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    return this.#leases;
  }

  /** Every lease but our own that may be routed; `problems` says what keeps the others out. */
  get peers(): readonly Lease[] {
    return this.leases.filter((lease) => lease.key !== this.#own?.key && !this.#refused.has(lease.key));
  }

  /** The peers, the oldest first, so that a newcomer takes nothing from who was there before: a VTEP MAC, say. */
  get peersByAge(): readonly Lease[] {
    return this.peers
      .map((lease) => ({ lease, created: this.#created(lease.key) }))
      .sort((a, b) => (a.created < b.created ? -1 : a.created > b.created ? 1 : 0))
      .map(({ lease }) => lease);
  }

  get own(): Lease | undefined {
    return this.#own;
  }

  /** What is wrong with the leases: a sentence each. */
  get problems(): readonly string[] {
    const all = [...[...this.#malformed.values()].map((bad) => bad.sentence), ...new Set(this.#refused.values())];
    const more = all.length - MOST_PROBLEMS;
    return [
      ...(this.#full ? [FULL] : []),
      ...all.slice(0, MOST_PROBLEMS),
      ...(more > 0 ? [`there are ${more} more problems with leases`] : []),
    ];
  }

  /** The rows behind the leases, for a state file; `applySnapshot` takes them back. */
  get rows(): readonly LeaseRow[] {
    return [...this.#known.values()].map((known) => known.row);
  }

  /** Says which lease is this node's own, and so not a peer. */
  setOwn(own: Lease | undefined): void {
    const before = this.#own;
    this.#own = own;
    if (before && own && before.key === own.key && sameAttrs(before.attrs, own.attrs)) return;
    this.#judgeAll();
    this.#notify();
  }

  /** Says which addresses pods may have. A lease outside of them is not routed: it would draw other traffic to its node. */
  setNetwork(network: PerFamily<Prefix>): void {
    this.#network = network;
    this.#judgeAll();
    this.#notify();
  }

  /** Calls `listener` after each change that matters to routing. Returns a function that ends this. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  // Returns whether anything changed that matters to routing.
  #put(row: LeaseRow): boolean {
    const reading = readLeaseRow(row);
    if (!reading) return false;
    if (reading.malformed !== undefined) {
      this.#warnMalformed(row, `lease key ${excerpt(row.key)} ${reading.malformed}`);
      return false;
    }
    const before = this.#known.get(row.key);
    const { lease } = reading.value;
    if (lease.malformed !== undefined) {
      this.#warnMalformed(row, `the value of lease ${excerpt(row.key)} ${lease.malformed}`);
      // While the key lives its holder keeps the subnet, and what it said last is the best that is known of it. A key
      // that was made anew may have another holder.
      return before !== undefined && before.row.createRevision !== row.createRevision && this.#forget(row.key);
    }
    this.#malformed.delete(row.key);
    this.#missing?.delete(row.key);
    if (!this.#hasRoom(row, before)) return false;
    this.#leases = undefined;
    this.#characters += sizeOf(row) - (before ? sizeOf(before.row) : 0);
    this.#known.set(row.key, { row, lease: lease.value });
    if (before && sameAttrs(before.lease.attrs, lease.value.attrs)) {
      if (before.row.createRevision === row.createRevision) return false;
    } else {
      this.#tell(before ? "peer changed" : "peer joined", lease.value);
    }
    for (const prefix of prefixesOf(lease.value)) this.#index.add(prefix, row.key);
    this.#judgeAround(lease.value, before && isOlder(before.row, row) ? before.row : row);
    return true;
  }

  #keep(key: LeaseKey, missing: Set<LeaseKey>): void {
    const known = this.#known.get(key);
    if (!known || missing.has(key)) return;
    missing.add(key);
    this.#known.set(key, { ...known, row: { ...known.row, createRevision: YOUNGEST } });
    this.#judgeAround(known.lease, known.row);
  }

  #delete(key: string): boolean {
    this.#malformed.delete(key);
    return this.#forget(key);
  }

  #forget(key: LeaseKey): boolean {
    const known = this.#known.get(key);
    if (!known) return false;
    this.#known.delete(key);
    this.#missing?.delete(key);
    this.#leases = undefined;
    this.#characters -= sizeOf(known.row);
    this.#refused.delete(key);
    for (const prefix of prefixesOf(known.lease)) this.#index.delete(prefix, key);
    this.#judgeAround(known.lease, known.row);
    this.#tell("peer left", known.lease);
    return true;
  }

  #warnMalformed(row: LeaseRow, sentence: string): void {
    const told = this.#malformed.get(row.key);
    if (told?.modRevision === row.modRevision || (!told && this.#malformed.size >= MOST_MALFORMED)) return;
    this.#malformed.set(row.key, { modRevision: row.modRevision, sentence });
    this.#log.warn("malformed lease, ignored", { key: excerpt(row.key), reason: sentence });
  }

  #hasRoom(row: LeaseRow, before: Known | undefined): boolean {
    const more = sizeOf(row) - (before ? sizeOf(before.row) : 0);
    // Our own lease is one that we have to know.
    if (row.key === this.#own?.key || more <= 0) return true;
    if ((before || this.#known.size < MOST_LEASES) && this.#characters + more <= MOST_CHARACTERS) return true;
    if (!this.#full) this.#log.warn("too many leases, some are ignored", { key: excerpt(row.key), reason: FULL });
    this.#full = true;
    return false;
  }

  #judgeAll(): void {
    for (const { lease } of this.#known.values()) this.#judge(lease);
  }

  // A lease is in the way only of those that came after it.
  #judgeAround(lease: Lease, since: LeaseRow): void {
    const keys = new Set(prefixesOf(lease).flatMap((prefix) => [...this.#index.overlapping(prefix)]));
    for (const key of keys) {
      const known = this.#known.get(key);
      if (known && !isOlder(known.row, since)) this.#judge(known.lease);
    }
  }

  #judge(lease: Lease): void {
    const reason = this.#objection(lease);
    const before = this.#refused.get(lease.key);
    if (reason === undefined) {
      this.#refused.delete(lease.key);
      if (before !== undefined)
        this.#log.info("lease routed again", { key: lease.key, subnet: formatSubnet(lease.subnet) });
    } else if (reason !== before) {
      this.#refused.set(lease.key, reason);
      this.#log.warn("lease not routed", { key: lease.key, reason });
    }
  }

  // Why a lease is not to be routed; undefined when it may be.
  #objection(lease: Lease): string | undefined {
    if (lease.key === this.#own?.key) return undefined;
    return this.#ownObjection(lease) ?? this.#overlapObjection(lease);
  }

  // What the network and our own lease have against it.
  #ownObjection(lease: Lease): string | undefined {
    const own = this.#own;
    for (const prefix of prefixesOf(lease)) {
      const network = this.#network?.[prefix.family];
      if (this.#network && !(network && containsPrefix(network, prefix))) {
        const where = network
          ? `the network ${formatPrefix(network)}`
          : `the network, which has no IPv${prefix.family}`;
        return `lease ${lease.key}, ${describeLease(lease)}, lies outside ${where}: it is not routed`;
      }
    }
    if (!own) return undefined;
    if (overlap(own, lease)) {
      return `our own lease ${own.key} and lease ${lease.key}, ${describeLease(lease)}, overlap: the latter is not routed`;
    }
    if (FAMILIES.some((f) => own.attrs.publicIp[f] && sameAddr(own.attrs.publicIp[f], lease.attrs.publicIp[f]))) {
      return `lease ${lease.key}, ${describeLease(lease)}, has our own public address: it is not routed`;
    }
    return undefined;
  }

  // Of leases that overlap, the one that was there first is routed: the later one was made without looking. One that is not
  // routed anyway takes nothing from others, so that a lease on everything does not cut off all who come later.
  #overlapObjection(lease: Lease): string | undefined {
    const mine = this.#created(lease.key);
    for (const prefix of prefixesOf(lease)) {
      for (const key of this.#index.overlapping(prefix)) {
        const other = this.#known.get(key)?.lease;
        if (!other || key === lease.key || key === this.#own?.key) continue;
        const theirs = this.#created(key);
        if (theirs > mine || (theirs === mine && key > lease.key)) continue;
        if (this.#ownObjection(other) !== undefined) continue;
        return (
          `leases ${other.key}, ${describeLease(other)}, and ${lease.key}, ${describeLease(lease)}, overlap: ` +
          `the latter came later and is not routed`
        );
      }
    }
    return undefined;
  }

  #created(key: LeaseKey): bigint {
    return BigInt(this.#known.get(key)?.row.createRevision ?? "0");
  }

  #tell(sentence: string, lease: Lease): void {
    if (lease.key === this.#own?.key) return;
    this.#log.info(sentence, {
      subnet: formatSubnet(lease.subnet),
      publicIp: formatPublicIp(lease.attrs),
      backend: lease.attrs.backendType,
      ...(lease.attrs.nodeName !== undefined && { node: lease.attrs.nodeName }),
    });
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

const FULL =
  `there are more than ${MOST_LEASES} leases, or their values are too long: those that came last are ignored; ` +
  `see who writes them`;

function byAge(rows: readonly LeaseRow[]): readonly LeaseRow[] {
  return rows.toSorted((a, b) => (isOlder(a, b) ? -1 : isOlder(b, a) ? 1 : 0));
}

function isOlder(a: LeaseRow, b: LeaseRow): boolean {
  return BigInt(a.createRevision) < BigInt(b.createRevision);
}

function sizeOf(row: LeaseRow): number {
  return row.key.length + row.value.length;
}

function prefixesOf(lease: Lease): Prefix[] {
  return FAMILIES.flatMap((family) => lease.subnet[family] ?? []);
}

function overlap(a: Lease, b: Lease): boolean {
  return prefixesOf(a).some((mine) => prefixesOf(b).some((theirs) => overlaps(mine, theirs)));
}

function sameAttrs(a: LeaseAttrs, b: LeaseAttrs): boolean {
  return encodeLeaseValue(a) === encodeLeaseValue(b);
}
