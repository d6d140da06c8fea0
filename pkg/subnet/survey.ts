import type { Addr } from "../addr/addr.ts";
import { FAMILIES, type PerFamily } from "../addr/family.ts";
import { overlaps, type Prefix } from "../addr/prefix.ts";
import { type LeaseReading, readLeaseRow } from "../lease/lease-row.ts";
import type { Lease, LeaseAttrs, LeaseKey } from "../lease/lease.ts";
import type { Entry, Snapshot } from "./registry.ts";
import { sessionKey } from "./session.ts";

/** A subnet that is taken; `lease` is undefined where its value makes no sense. */
export interface Claim {
  readonly entry: Entry;
  readonly subnet: PerFamily<Prefix>;
  readonly lease: Lease | undefined;
}

/** Who has which subnet at one revision: what a decision about our own lease is based on. */
export class Survey {
  readonly claims: readonly Claim[];
  readonly revision: string;
  readonly #keys: ReadonlySet<string>;

  /** With `since`, only of the keys that were made after that revision: what an earlier survey cannot have seen. */
  constructor(snapshot: Snapshot, since?: string) {
    const after = since === undefined ? -1n : BigInt(since);
    const entries = snapshot.entries.filter((entry) => BigInt(entry.createRevision) > after);
    this.revision = snapshot.revision;
    this.#keys = new Set(entries.map((entry) => entry.key));
    this.claims = entries.flatMap((entry) => {
      const reading: LeaseReading | undefined = readLeaseRow(entry)?.value;
      return reading ? [{ entry, subnet: reading.subnet, lease: reading.lease.value }] : [];
    });
  }

  /** Whether a node of ours (not of flannel's) is alive at this address. */
  isAlive(publicIp: Addr): boolean {
    return this.#keys.has(sessionKey(publicIp));
  }

  /** The first claim of another key that overlaps this subnet and was made before `revision`, or at any time. */
  overlap(key: LeaseKey, subnet: PerFamily<Prefix>, revision?: string): Claim | undefined {
    const before = revision === undefined ? undefined : BigInt(revision);
    return this.claims.find(
      (claim) =>
        claim.entry.key !== key &&
        (before === undefined || BigInt(claim.entry.createRevision) < before) &&
        subnetsOverlap(claim.subnet, subnet),
    );
  }
}

/** The address that stands for the node, as flannel has it: the IPv4 one where there is one. */
export function identityOf(attrs: LeaseAttrs): Addr {
  const addr = attrs.publicIp[4] ?? attrs.publicIp[6];
  if (!addr) throw new Error("a node needs a public address of at least one family");
  return addr;
}

function subnetsOverlap(a: PerFamily<Prefix>, b: PerFamily<Prefix>): boolean {
  return FAMILIES.some((family) => {
    const [mine, theirs] = [a[family], b[family]];
    return mine !== undefined && theirs !== undefined && overlaps(mine, theirs);
  });
}
