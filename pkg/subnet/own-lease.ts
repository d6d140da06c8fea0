import type { Clock } from "../base/clock.ts";
import type { Lease } from "../lease/lease.ts";
import type { Entry } from "./registry.ts";

/**
 * What has become of this node's lease:
 *
 *            acquire          key gone, or the TTL over without contact
 *     none ──────────▶ held ─────────────────────────────────────────▶ lost
 *       ▲               │ ▲ ◀───────────────────────────────────────── │
 *       │ release       │ │            taken back                      │ somebody else
 *       └───────────────┘ │ free again, or the other one stopped       ▼ has the subnet
 *                         └───────────────────────────────────────  conflict
 *
 * Held turns into conflict directly when another node overwrites our key, or turns up alive with our public address.
 */
export type OwnState = "none" | "held" | "lost" | "conflict";

/** A lease with what only its holder needs to know. */
export interface Held {
  readonly lease: Lease;
  readonly createRevision: string;
  /** When it runs out, on the clock that never jumps; undefined for a reservation. */
  readonly expires: number | undefined;
}

/** The lease of this node and how well it stands with it. */
export class OwnLease {
  readonly #clock: Clock;
  readonly #changed: () => void;
  #held: Held | undefined;
  #trouble: { readonly state: "lost" | "conflict"; readonly sentence: string } | undefined;
  #addressProblem: string | undefined;

  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  /** The lease held, or held last while the state is "lost" or "conflict": its pods are still there. */
  get held(): Held | undefined {
    return this.#held;
  }

  get state(): OwnState {
    return this.keyState === "held" && this.#addressProblem !== undefined ? "conflict" : this.keyState;
  }

  /** The state of the lease's key alone, whoever else may have our public address. */
  get keyState(): OwnState {
    return this.#held ? (this.#trouble?.state ?? "held") : "none";
  }

  get problem(): string | undefined {
    return this.#held && (this.#trouble?.sentence ?? this.#addressProblem);
  }

  /** Milliseconds since 1970; 0 when it never runs out or there is none. */
  get expiresAt(): number {
    const expires = this.#held?.expires;
    return expires === undefined ? 0 : Math.round(this.#clock.wall() + expires - this.#clock.now());
  }

  hold(held: Held): void {
    this.#held = held;
    this.#trouble = undefined;
    this.#changed();
  }

  /** Returns whether that is news. */
  trouble(state: "lost" | "conflict", sentence: string): boolean {
    const news = this.#trouble?.state !== state || this.#trouble.sentence !== sentence;
    this.#trouble = { state, sentence };
    if (news) this.#changed();
    return news;
  }

  /** Says that another live node has our public address, or with undefined that it no longer does. Returns whether that is news. */
  addressTrouble(sentence: string | undefined): boolean {
    const news = this.#addressProblem !== sentence;
    this.#addressProblem = sentence;
    if (news) this.#changed();
    return news;
  }

  drop(): void {
    this.#held = undefined;
    this.#trouble = undefined;
    this.#addressProblem = undefined;
    this.#changed();
  }
}

/** A lease as an entry that we have just written or read says it, with the subnet and attributes that we know it has. */
export function heldOf(entry: Entry, lease: Pick<Lease, "subnet" | "attrs">, expires: number | undefined): Held {
  const { key, leaseId, modRevision, createRevision } = entry;
  const { subnet, attrs } = lease;
  return { lease: { key, subnet, attrs, leaseId, modRevision }, createRevision, expires };
}
