/**
 * Where leases live: the part of etcd that we use, below one prefix. `EtcdRegistry` is the real one, `MemoryRegistry`
 * its twin for tests and simulations; both pass `test/contract/registry.ts`.
 *
 * Keys are relative to the prefix ("config", "subnets/10.5.52.0-24", "twill/nodes/192.0.2.1"). Revisions and lease ids
 * are decimal strings, since etcd's are 64 bits wide. Every call has a deadline; one that fails throws
 * RegistryUnavailableError when trying again later may help, also where user, password or role are refused, and any other
 * error when it will not.
 *
 * A write that throws RegistryUnavailableError may have happened, or may still happen while etcd works off what it has
 * received: read the key before drawing conclusions. It is the caller's own write when value and lease id are. (Tries
 * inside one call are sorted out there: a create whose first reply was lost still resolves to its entry.) The same
 * holds for `grant`, which may leave a lease behind that runs out by itself.
 */
export interface Registry {
  /** One key, or undefined when there is none. */
  get(key: string): Promise<Entry | undefined>;

  /** Every key below the prefix, at one revision. */
  list(): Promise<Snapshot>;

  /**
   * Follows every key below the prefix until `signal` aborts: first a snapshot, then changes in the order of their
   * revisions, and a fresh snapshot wherever continuity cannot be proved (compaction, a revision that went back, and
   * from time to time on principle). Outages are ridden out inside; `onState` hears of them.
   */
  follow(signal: AbortSignal, handler: FollowHandler): Promise<void>;

  /** A new lease of `ttl` seconds; its id. */
  grant(ttl: number): Promise<string>;

  /** Starts the lease's TTL anew. Resolves to the seconds granted, 0 when the lease is gone. */
  keepAlive(leaseId: string): Promise<number>;

  /** Seconds left, 0 when the lease is gone. */
  timeToLive(leaseId: string): Promise<number>;

  /** Ends a lease; the keys that hang on it go with it. No error when it is gone already. */
  revoke(leaseId: string): Promise<void>;

  /**
   * Writes the key if it does not exist. Resolves to the entry written, or to undefined when somebody has the key.
   * Throws an error that is not RegistryUnavailableError when the lease is gone; so does `update`.
   */
  create(key: string, value: string, leaseId: string): Promise<Entry | undefined>;

  /** Writes the key if it still is at `modRevision`. Resolves to undefined when it is not. */
  update(key: string, value: string, leaseId: string, modRevision: string): Promise<Entry | undefined>;

  /** Deletes the key if it still is at `modRevision`. Resolves to whether it was deleted by this call. */
  remove(key: string, modRevision: string): Promise<boolean>;

  close(): void;
}

/** A key as the registry holds it. */
export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly createRevision: string;
  readonly modRevision: string;
  /** "0" when the key hangs on no lease. */
  readonly leaseId: string;
}

export interface Snapshot {
  readonly revision: string;
  readonly entries: readonly Entry[];
}

/** One key that was written, or one that went away. */
export type Change =
  | { readonly kind: "put"; readonly entry: Entry }
  | { readonly kind: "delete"; readonly key: string; readonly modRevision: string };

export interface FollowHandler {
  /**
   * `historyLost` says that the store does not continue the one that was followed before, as with an empty or an older data
   * directory: that a key is missing then says nothing of whoever wrote it.
   */
  onSnapshot(snapshot: Snapshot, historyLost: boolean): void;
  /** Never empty. `revision` is that of the last change. */
  onChanges(changes: readonly Change[], revision: string): void;
  /**
   * Called with an error when contact is lost, with undefined when it is back; not again while nothing changes, and
   * not at the start when all is well. The error also tells a refused password or permission: it is tried again.
   */
  onState?(error: Error | undefined): void;
}

/** The registry does not answer, or cannot or may not now; the same call may succeed later. */
export class RegistryUnavailableError extends Error {
  override readonly name = "RegistryUnavailableError";
}
