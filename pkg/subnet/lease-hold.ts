import { sameAddr } from "../addr/addr.ts";
import { Backoff, type Random } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { Wakeup } from "../base/wakeup.ts";
import { formatSubnet } from "../lease/lease-key.ts";
import { describeOwner } from "../lease/lease-row.ts";
import { decodeLeaseValue, encodeLeaseValue } from "../lease/lease-value.ts";
import type { Lease, LeaseAttrs } from "../lease/lease.ts";
import { describeClaim } from "./acquisition.ts";
import type { Contact } from "./contact.ts";
import { type Held, heldOf, type OwnLease } from "./own-lease.ts";
import type { Entry, Registry } from "./registry.ts";
import { PublicIpInUseError, type Session, sessionKey } from "./session.ts";
import { identityOf, Survey } from "./survey.ts";

export interface LeaseHoldOptions {
  readonly registry: Registry;
  readonly own: OwnLease;
  readonly session: Session;
  readonly contact: Contact;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly nodeId: string;
  /** Seconds. */
  readonly ttl: number;
  /** Seconds before the end of the TTL at which the lease is renewed. */
  readonly renewMargin: number;
}

// Milliseconds between looks at a subnet that somebody else has. The watch tells of its end at once; this is for a
// watch that does not.
const CONFLICT_MS = 60_000;
// The last part of the time between renewals is drawn at random, so that nodes which started together drift apart.
const JITTER = 0.1;

/**
 * Keeps one lease ours. A renewal keeps the etcd lease alive and then reads the key, since the former succeeds on a
 * lease that has lost its key; every write is a transaction on what was read. A subnet that was lost is taken back,
 * the same one, unless somebody else has it: its pods live there.
 */
export class LeaseHold {
  readonly #options: LeaseHoldOptions;
  readonly #wakeup: Wakeup;
  /** What the value of our key should say; it differs from the lease while a write is still to be done. */
  #attrs: LeaseAttrs | undefined;

  constructor(options: LeaseHoldOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
  }

  /** Has the lease looked at now. */
  readonly wake = (): void => this.#wakeup.notify();

  /** Calls `check` whenever the lease is due, until `signal` aborts. `check` calls the method of that name, under a lock. */
  async run(signal: AbortSignal, check: () => Promise<void>): Promise<void> {
    const { own, contact, clock, random } = this.#options;
    const backoff = new Backoff({ first: 1000, most: 60_000, random });
    signal.addEventListener("abort", this.wake, { once: true });
    let wait = this.#untilRenewal();
    try {
      while (!signal.aborted) {
        await this.#wakeup.wait(wait);
        if (signal.aborted) break;
        try {
          await check();
          contact.back("renewal");
          if (own.keyState === "held") backoff.reset();
          wait = own.keyState === "conflict" ? CONFLICT_MS * (1 - random() / 2) : this.#untilRenewal();
          if (own.keyState === "lost") wait = backoff.next();
        } catch (error) {
          contact.lost("renewal", error);
          this.#expire(clock.now());
          wait = backoff.next();
        }
      }
    } finally {
      signal.removeEventListener("abort", this.wake);
      contact.ended("renewal");
    }
  }

  /**
   * Writes what the lease should say, where it does not say so yet. Throws what the registry throws (the next renewal
   * writes it then), a PublicIpInUseError, and an Error when the lease is not ours any more.
   */
  async publish(attrs: LeaseAttrs): Promise<Lease> {
    const { own, registry, session } = this.#options;
    const held = own.held;
    if (!held) throw new Error("cannot publish attributes: this node holds no lease");
    this.#attrs = attrs;
    const { lease } = held;
    const value = encodeLeaseValue(attrs);
    if (own.keyState === "held" && encodeLeaseValue(lease.attrs) === value) return lease;
    try {
      await session.claim(identityOf(attrs));
    } catch (error) {
      // An address that another node has is not one to try again.
      if (error instanceof PublicIpInUseError) this.#attrs = lease.attrs;
      throw error;
    }
    const entry = await registry.update(lease.key, value, lease.leaseId, lease.modRevision);
    if (entry) own.hold(heldOf(entry, { subnet: lease.subnet, attrs }, held.expires));
    // Somebody has written to our key: what it is now decides.
    else await this.check();
    if (own.keyState === "held" && own.held) return own.held.lease;
    throw new Error(own.problem ?? `cannot publish attributes: lease ${lease.key} is not held`);
  }

  /** Begins with a lease that was just acquired. */
  begin(held: Held): void {
    this.#attrs = held.lease.attrs;
    this.#options.own.hold(held);
    this.wake();
  }

  /** Renews the lease, takes it back, or finds out who has it. Throws what the registry throws. */
  async check(): Promise<void> {
    const { own, registry, clock } = this.#options;
    const held = own.held;
    if (!held) return;
    const { lease } = held;
    try {
      const asked = clock.now();
      const granted = lease.leaseId === "0" ? 0 : await registry.keepAlive(lease.leaseId);
      const entry = await registry.get(lease.key);
      if (!entry) await this.#takeBack(lease);
      else if (!(await this.#isOurs(entry, lease))) this.#conflict(lease, describeEntry(entry));
      else if (entry.leaseId === lease.leaseId) await this.#confirm(entry, lease, expiry(entry, asked, granted));
      else await this.#move(entry, lease);
    } catch (error) {
      if (!(error instanceof PublicIpInUseError)) throw error;
      this.#conflict(lease, error.message);
    }
  }

  /** Gives the lease back. A reservation stays one, without our attributes. Throws what the registry throws. */
  async release(): Promise<void> {
    const { own, registry, log } = this.#options;
    const held = own.held;
    if (!held) return;
    const { key, leaseId, attrs } = held.lease;
    // Read again: a publish whose answer was lost may have gone through. Somebody else's key stays.
    const entry = await registry.get(key);
    const bearsOurId = entry && decodeLeaseValue(entry.value).value?.nodeId === this.#options.nodeId;
    const ours = bearsOurId && (await this.#isOurs(entry, held.lease));
    if (ours) {
      const bare = encodeLeaseValue({ publicIp: attrs.publicIp, backendType: "", vtep: {} });
      const done =
        entry.leaseId === "0"
          ? await registry.update(key, bare, "0", entry.modRevision)
          : await registry.remove(key, entry.modRevision);
      if (!done) throw new Error(`cannot give back lease ${key}: somebody wrote to it at the same moment; try again`);
    }
    // Whoever took our key over may have kept the etcd lease that it hangs on.
    if (leaseId !== "0" && (ours || entry?.leaseId !== leaseId)) await registry.revoke(leaseId);
    own.drop();
    log.info("lease given back", { key, subnet: formatSubnet(held.lease.subnet) });
  }

  // Our key hangs on another etcd lease than we thought: somebody made a reservation of it, or a write of ours whose
  // answer was lost had gone through.
  async #move(entry: Entry, lease: Lease): Promise<void> {
    const { registry, clock } = this.#options;
    const asked = clock.now();
    const granted = entry.leaseId === "0" ? 0 : await registry.keepAlive(entry.leaseId);
    if (entry.leaseId !== "0" && granted === 0) return this.wake();
    await this.#confirm(entry, lease, expiry(entry, asked, granted));
  }

  async #confirm(entry: Entry, lease: Lease, expires: number | undefined): Promise<void> {
    const { own, registry, session, log } = this.#options;
    const attrs = this.#attrs ?? lease.attrs;
    const value = encodeLeaseValue(attrs);
    let written: Entry | undefined = entry;
    if (entry.value !== value) {
      await session.claim(identityOf(attrs));
      written = await registry.update(entry.key, value, entry.leaseId, entry.modRevision);
      // Written to again since we read it: the next look decides.
      if (!written) return this.wake();
    }
    const before = own.keyState;
    own.hold(heldOf(written, { subnet: lease.subnet, attrs }, expires));
    if (before !== "held") log.info("lease held again", { key: lease.key, subnet: formatSubnet(lease.subnet) });
  }

  async #takeBack(lease: Lease): Promise<void> {
    const { own, registry, session, clock, ttl, log } = this.#options;
    this.#lose(`lease ${lease.key} is gone from etcd: taking the same subnet again`);
    await session.claim(identityOf(this.#attrs ?? lease.attrs));
    const survey = new Survey(await registry.list());
    const other = survey.overlap(lease.key, lease.subnet);
    if (other) return this.#conflict(lease, `it overlaps lease ${describeClaim(other)}`);
    const asked = clock.now();
    const attrs = this.#attrs ?? lease.attrs;
    const leaseId = await registry.grant(ttl);
    const entry = await registry.create(lease.key, encodeLeaseValue(attrs), leaseId);
    // Somebody was faster: the next look says who.
    if (!entry) {
      await registry.revoke(leaseId);
      return this.wake();
    }
    const later = new Survey(await registry.list(), survey.revision);
    const earlier = later.overlap(lease.key, lease.subnet, entry.createRevision);
    if (earlier) {
      await registry.remove(lease.key, entry.modRevision);
      await registry.revoke(leaseId);
      return this.#conflict(lease, `it overlaps lease ${describeClaim(earlier)}`);
    }
    own.hold(heldOf(entry, { subnet: lease.subnet, attrs }, asked + ttl * 1000));
    log.info("lease taken back", { key: lease.key, subnet: formatSubnet(lease.subnet) });
  }

  // Ours is what bears our id. What bears none or another, but our address, was written by flannel or a person for this
  // node, or by another node that was given the same address: the session decides before we write. A value that nobody
  // can read is ours while it hangs on our lease.
  async #isOurs(entry: Entry, lease: Lease): Promise<boolean> {
    const attrs = decodeLeaseValue(entry.value).value;
    if (!attrs) return entry.leaseId === lease.leaseId && entry.leaseId !== "0";
    const me = identityOf(this.#attrs ?? lease.attrs);
    if (sameAddr(attrs.publicIp[me.family], me)) return true;
    if (attrs.nodeId !== this.#options.nodeId) return false;
    // Our id at another address: one that we had before, or a clone of this machine that lives there and would write
    // its own address again after each write of ours.
    const there = identityOf(attrs);
    return sameAddr(there, identityOf(lease.attrs)) || !(await this.#options.registry.get(sessionKey(there)));
  }

  #conflict(lease: Lease, reason: string): void {
    const { own, log } = this.#options;
    const sentence =
      `cannot hold ${formatSubnet(lease.subnet)}, the subnet of this node, ${describeOwner(lease.attrs)}: ${reason}; ` +
      `pods that run here keep it, but other nodes do not reach them until one of the two is stopped or its lease deleted`;
    if (own.trouble("conflict", sentence)) log.error("cannot hold our subnet", { key: lease.key, reason: sentence });
  }

  #lose(sentence: string): void {
    const { own, log } = this.#options;
    // A conflict that ended is told when the lease is back.
    if (own.keyState === "conflict") return;
    if (own.trouble("lost", sentence)) log.warn("lease lost", { reason: sentence });
  }

  #expire(now: number): void {
    const held = this.#options.own.held;
    if (!held || held.expires === undefined || now < held.expires) return;
    this.#lose(`lease ${held.lease.key} has run out while etcd did not answer: it is taken again when etcd is back`);
  }

  // Milliseconds until the renewal is due: the margin before the end, and at least a third of what is left. So the margin
  // counts for two thirds of the TTL at most, also where the lease turns out to be shorter than ours: more would renew
  // without end.
  #untilRenewal(): number {
    const { own, clock, random, ttl, renewMargin } = this.#options;
    const expires = own.held?.expires;
    const left = expires === undefined ? ttl * 1000 : expires - clock.now();
    const due = Math.max(left - renewMargin * 1000, left / 3, 1000);
    return due * (1 - random() * JITTER);
  }
}

function expiry(entry: Entry, asked: number, granted: number): number | undefined {
  return entry.leaseId === "0" ? undefined : asked + granted * 1000;
}

function describeEntry(entry: Entry): string {
  const attrs = decodeLeaseValue(entry.value).value;
  return attrs
    ? `the subnet is now held by node ${describeOwner(attrs)}`
    : "its key was overwritten with a value that makes no sense";
}
