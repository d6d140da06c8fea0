import type { Logger } from "../base/logger.ts";
import type { Lease, LeaseKey } from "./lease.ts";

/** A key below the prefix as the registry holds it. */
export interface LeaseRow {
  readonly key: string;
  readonly value: string;
  readonly createRevision: string;
  readonly modRevision: string;
  readonly leaseId: string;
}

/** A row that was written, or a key that went away. */
export type LeaseChange =
  { readonly kind: "put"; readonly entry: LeaseRow } | { readonly kind: "delete"; readonly key: string };

/** Every lease of the cluster as far as this node knows. */
export class LeaseTable {
  readonly #log: Logger;
  #ownKey: LeaseKey | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Which lease is this node's own. */
  setOwn(key: LeaseKey | undefined): void {
    this.#ownKey = key;
    this.#log.debug("own lease chosen", { key: this.#ownKey });
  }

  applySnapshot(_rows: readonly LeaseRow[], _revision: string): void {
    throw new Error("not written yet");
  }

  applyChanges(_changes: readonly LeaseChange[], _revision: string): void {
    throw new Error("not written yet");
  }

  /** The revision up to which the table is true; "0" before the first snapshot. */
  get revision(): string {
    return "0";
  }

  /** Every lease, our own among them, by subnet. */
  get leases(): readonly Lease[] {
    return [];
  }

  get own(): Lease | undefined {
    return undefined;
  }

  /** Every lease but our own that may be routed: see `problems` for those that may not. */
  get peers(): readonly Lease[] {
    return [];
  }

  /** What is wrong with the leases: a sentence each. */
  get problems(): readonly string[] {
    return [];
  }

  /** The rows behind the leases, for a state file; `applySnapshot` takes them back. */
  get rows(): readonly LeaseRow[] {
    return [];
  }

  /** Calls `listener` after each change that matters to routing. Returns a function that ends this. */
  onChange(_listener: () => void): () => void {
    return () => {};
  }
}
