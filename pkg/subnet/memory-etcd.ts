import type { Clock } from "../base/clock.ts";

/** A key as the store holds it: the whole key, with the prefix. */
export interface Stored {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly leaseId: string;
}

/** One write of the history; `stored` is undefined for a deletion. */
export interface Event {
  readonly key: string;
  readonly revision: number;
  readonly stored: Stored | undefined;
}

interface StoredLease {
  readonly ttl: number;
  expires: number;
  cancel: () => void;
}

export interface MemoryEtcdOptions {
  /** Milliseconds that a request, and again its reply, is under way; drawn anew each time. Default: none. */
  readonly delay?: () => number;
  /** Milliseconds between two snapshots that a follower gets on principle. Default: ten minutes. */
  readonly relistMs?: number;
}

/**
 * As much of etcd as `Registry` needs, in memory, on a clock that tests move: revisions, history and compaction, leases
 * that take their keys with them. Several agents share one; each has a MemoryRegistry of its own.
 *
 * The methods here are etcd's own view, without a network in between: tests use them as they would use etcdctl.
 */
export class MemoryEtcd {
  readonly clock: Clock;
  readonly delay: () => number;
  readonly relistMs: number;
  #revision = 1;
  #compacted = 0;
  #generation = 0;
  #down = false;
  // Beyond 2^53, as real lease ids are: whoever makes a number of one loses digits and notices.
  #nextLease = 7_587_870_000_000_000_001n;
  readonly #keys = new Map<string, Stored>();
  readonly #leases = new Map<string, StoredLease>();
  readonly #listeners = new Set<() => void>();
  #history: Event[] = [];

  constructor(clock: Clock, options: MemoryEtcdOptions = {}) {
    this.clock = clock;
    this.delay = options.delay ?? (() => 0);
    this.relistMs = options.relistMs ?? 600_000;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Changes when the data directory was lost. */
  get generation(): number {
    return this.#generation;
  }

  /** While true nobody gets an answer, and no lease expires. */
  get down(): boolean {
    return this.#down;
  }

  set down(down: boolean) {
    if (down === this.#down) return;
    this.#down = down;
    for (const lease of this.#leases.values()) lease.cancel();
    // A leader that takes office gives every lease its full TTL again (etcd server/lease/lessor.go, Promote).
    if (!down) for (const [id, lease] of this.#leases) this.#arm(id, lease);
    this.#tell();
  }

  get(key: string): Stored | undefined {
    return this.#keys.get(key);
  }

  /** Every key that starts with `prefix`, sorted. */
  range(prefix: string): Stored[] {
    return [...this.#keys.values()]
      .filter((stored) => stored.key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Writes a key. Throws when the lease is gone. */
  put(key: string, value: string, leaseId = "0"): Stored {
    if (leaseId !== "0" && !this.#leases.has(leaseId))
      throw new Error(`could not write ${key}: the etcd lease is gone`);
    this.#revision += 1;
    const createRevision = this.#keys.get(key)?.createRevision ?? this.#revision;
    const stored = { key, value, createRevision, modRevision: this.#revision, leaseId };
    this.#keys.set(key, stored);
    this.#history.push({ key, revision: this.#revision, stored });
    this.#tell();
    return stored;
  }

  /** Deletes keys in one revision. Resolves to how many there were. */
  delete(...keys: readonly string[]): number {
    const present = keys.filter((key) => this.#keys.has(key));
    if (present.length === 0) return 0;
    this.#revision += 1;
    for (const key of present) {
      this.#keys.delete(key);
      this.#history.push({ key, revision: this.#revision, stored: undefined });
    }
    this.#tell();
    return present.length;
  }

  /** The id of a new lease of `ttl` seconds. */
  grant(ttl: number): string {
    const id = String(this.#nextLease++);
    const lease = { ttl, expires: 0, cancel: () => {} };
    this.#leases.set(id, lease);
    this.#arm(id, lease);
    return id;
  }

  /** Seconds granted, 0 when the lease is gone. */
  keepAlive(id: string): number {
    const lease = this.#leases.get(id);
    if (!lease) return 0;
    this.#arm(id, lease);
    return lease.ttl;
  }

  /** Seconds left, 0 when the lease is gone. */
  timeToLive(id: string): number {
    const lease = this.#leases.get(id);
    return lease ? Math.max(0, Math.floor((lease.expires - this.clock.now()) / 1000)) : 0;
  }

  /** Ends a lease and deletes its keys. */
  revoke(id: string): void {
    this.#leases.get(id)?.cancel();
    this.#leases.delete(id);
    this.delete(...[...this.#keys.values()].filter((stored) => stored.leaseId === id).map((stored) => stored.key));
  }

  /** The ids of the leases that live. */
  leases(): string[] {
    return [...this.#leases.keys()];
  }

  /** What was written from revision `from` on, or undefined when that is no longer known. */
  since(prefix: string, from: number): Event[] | undefined {
    if (from <= this.#compacted || from > this.#revision + 1) return undefined;
    return this.#history.filter((event) => event.revision >= from && event.key.startsWith(prefix));
  }

  /** Forgets the history up to now. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#history = [];
  }

  /** Starts again with an empty data directory. */
  wipe(): void {
    this.close();
    this.#keys.clear();
    this.#leases.clear();
    this.#history = [];
    this.#revision = 1;
    this.#compacted = 0;
    this.#generation += 1;
    this.#tell();
  }

  /** Calls `fn` after every write and every change of `down`. Returns a function that ends it. */
  onChange(fn: () => void): () => void {
    this.#listeners.add(fn);
    return () => void this.#listeners.delete(fn);
  }

  /** Stops the timers of all leases. */
  close(): void {
    for (const lease of this.#leases.values()) lease.cancel();
  }

  #arm(id: string, lease: StoredLease): void {
    lease.cancel();
    lease.expires = this.clock.now() + lease.ttl * 1000;
    lease.cancel = this.clock.after(lease.ttl * 1000, () => this.revoke(id));
  }

  #tell(): void {
    for (const fn of this.#listeners) fn();
  }
}
