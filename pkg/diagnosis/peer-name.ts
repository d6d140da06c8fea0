import type { PeerProbe } from "../api/probe.ts";
import type { LeaseStatus } from "../api/status.ts";

/** What to call a peer in a sentence. */
export function nameOf({ key, underlay }: PeerProbe, leases: readonly LeaseStatus[]): string {
  return leases.find((lease) => lease.key === key)?.nodeName || underlay;
}
