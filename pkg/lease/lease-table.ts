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
      if (!keys.has(key) && this.#delete(key)) changed = true;
    }
    for (const row of rows) if (this.#put(row)) changed = true;
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

  get own(): Lease | undefined {
    return this.#own;
  }

  /** What is wrong with the leases: a sentence each. */
  get problems(): readonly string[] {
    return [...[...this.#malformed.values()].map((bad) => bad.sentence), ...new Set(this.#refused.values())];
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
    this.#leases = undefined;
    this.#known.set(row.key, { row, lease: lease.value });
    if (before && sameAttrs(before.lease.attrs, lease.value.attrs)) {
      if (before.row.createRevision === row.createRevision) return false;
    } else {
      this.#tell(before ? "peer changed" : "peer joined", lease.value);
    }
    for (const prefix of prefixesOf(lease.value)) this.#index.add(prefix, row.key);
    this.#judgeAround(lease.value);
    return true;
  }

  #delete(key: string): boolean {
    this.#malformed.delete(key);
    return this.#forget(key);
  }

  #forget(key: LeaseKey): boolean {
    const known = this.#known.get(key);
    if (!known) return false;
    this.#known.delete(key);
    this.#leases = undefined;
    this.#refused.delete(key);
    for (const prefix of prefixesOf(known.lease)) this.#index.delete(prefix, key);
    this.#judgeAround(known.lease);
    this.#tell("peer left", known.lease);
    return true;
  }

  #warnMalformed(row: LeaseRow, sentence: string): void {
    if (this.#malformed.get(row.key)?.modRevision === row.modRevision) return;
    this.#malformed.set(row.key, { modRevision: row.modRevision, sentence });
    this.#log.warn("malformed lease, ignored", { key: excerpt(row.key), reason: sentence });
  }

  #judgeAll(): void {
    for (const { lease } of this.#known.values()) this.#judge(lease);
  }

  #judgeAround(lease: Lease): void {
    const keys = new Set(prefixesOf(lease).flatMap((prefix) => this.#index.overlapping(prefix)));
    for (const key of keys) {
      const known = this.#known.get(key);
      if (known) this.#judge(known.lease);
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
    const own = this.#own;
    if (lease.key === own?.key) return undefined;
    for (const prefix of prefixesOf(lease)) {
      const network = this.#network?.[prefix.family];
      if (this.#network && !(network && containsPrefix(network, prefix))) {
        const where = network
          ? `the network ${formatPrefix(network)}`
          : `the network, which has no IPv${prefix.family}`;
        return `lease ${lease.key}, ${describeLease(lease)}, lies outside ${where}: it is not routed`;
      }
    }
    if (!own) return this.#overlapObjection(lease);
    if (overlap(own, lease)) {
      return `our own lease ${own.key} and lease ${lease.key}, ${describeLease(lease)}, overlap: the latter is not routed`;
    }
    if (FAMILIES.some((f) => own.attrs.publicIp[f] && sameAddr(own.attrs.publicIp[f], lease.attrs.publicIp[f]))) {
      return `lease ${lease.key}, ${describeLease(lease)}, has our own public address: it is not routed`;
    }
    return this.#overlapObjection(lease);
  }

  // Of leases that overlap, the one that was there first is routed: the later one was made without looking.
  #overlapObjection(lease: Lease): string | undefined {
    const mine = this.#created(lease.key);
    for (const key of new Set(prefixesOf(lease).flatMap((prefix) => this.#index.overlapping(prefix)))) {
      const other = this.#known.get(key)?.lease;
      if (!other || key === lease.key || key === this.#own?.key) continue;
      const theirs = this.#created(key);
      if (theirs > mine || (theirs === mine && key > lease.key)) continue;
      return (
        `leases ${other.key}, ${describeLease(other)}, and ${lease.key}, ${describeLease(lease)}, overlap: ` +
        `the latter came later and is not routed`
      );
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

function prefixesOf(lease: Lease): Prefix[] {
  return FAMILIES.flatMap((family) => lease.subnet[family] ?? []);
}

function overlap(a: Lease, b: Lease): boolean {
  return prefixesOf(a).some((mine) => prefixesOf(b).some((theirs) => overlaps(mine, theirs)));
}

function sameAttrs(a: LeaseAttrs, b: LeaseAttrs): boolean {
  return encodeLeaseValue(a) === encodeLeaseValue(b);
}
