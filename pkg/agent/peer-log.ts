import type { Logger } from "../base/logger.ts";
import type { PeerState } from "../dataplane/dataplane.ts";
import type { LeaseKey } from "../lease/lease.ts";

/** Tells of peers that cannot be programmed: once per peer and reason, and once when it is over. */
export class PeerLog {
  readonly #log: Logger;
  readonly #told = new Map<LeaseKey, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Takes the outcome of a reconcile and returns what failed, a sentence each. */
  note(peers: ReadonlyMap<LeaseKey, PeerState>): readonly string[] {
    for (const key of this.#told.keys()) if (!peers.has(key)) this.#told.delete(key);
    const failed: string[] = [];
    for (const [key, state] of peers) {
      if (state === "in-sync") {
        if (this.#told.delete(key)) this.#log.info("peer in sync again", { lease: key });
        continue;
      }
      failed.push(state.failed);
      if (this.#told.get(key) === state.failed) continue;
      this.#told.set(key, state.failed);
      this.#log.warn("peer cannot be reached through the overlay, will retry", { lease: key, reason: state.failed });
    }
    return failed;
  }
}
