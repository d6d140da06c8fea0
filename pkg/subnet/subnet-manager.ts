import type { Addr } from "../addr/addr.ts";
import type { PerFamily } from "../addr/family.ts";
import type { Prefix } from "../addr/prefix.ts";
import { Backoff, type Random } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { runAll } from "../base/run-all.ts";
import { Wakeup } from "../base/wakeup.ts";
import { LeaseTable } from "../lease/lease-table.ts";
import type { Lease, LeaseAttrs, LeaseKey } from "../lease/lease.ts";
import { Acquisition, type Wanted } from "./acquisition.ts";
import { OutOfSubnetsError } from "./allocator.ts";
import { ConfigSource } from "./config-source.ts";
import { Contact } from "./contact.ts";
import { LeaseHold } from "./lease-hold.ts";
import { Lock } from "../base/lock.ts";
import type { NetworkConfig } from "./network-config.ts";
import { type Held, OwnLease, type OwnState } from "./own-lease.ts";
import { type Change, type Registry, RegistryUnavailableError, type Snapshot } from "./registry.ts";
import { reserve, unreserve } from "./reservations.ts";
import { type Node, PublicIpInUseError, Session } from "./session.ts";
import { identityOf } from "./survey.ts";

export type { Wanted } from "./acquisition.ts";
export { OutOfSubnetsError } from "./allocator.ts";
export type { OwnState } from "./own-lease.ts";
export { ReservationError } from "./reservations.ts";
export { PublicIpInUseError } from "./session.ts";

export interface SubnetManagerOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly node: Node;
  /** Seconds. */
  readonly ttl: number;
  /** Seconds before the end of the TTL at which the lease is renewed; at most two thirds of the TTL. */
  readonly renewMargin: number;
  /** The registry's prefix, for sentences to people only. */
  readonly prefix?: string;
}

// Of a session that lasts 30 seconds: two may fail before others take the address for free.
const SESSION_RENEWAL_MS = 10_000;
const SESSION_RETRY_MS = { first: 2000, most: 6000 };
// While the watch has no etcd either, and will tell when it has one: a try costs more than the watch's own.
const SESSION_PATIENCE_MS = 60_000;

// An etcd that has lost its history knows nobody at first. Whoever lives takes its lease back within seconds; who has not
// by then is gone. flannel's nodes look at theirs more rarely.
const KEEP_MS = 300_000;

// A race is lost to somebody who got a subnet, so that even very many nodes come to an end; this many means a fault.
const MOST_RACES = 200;
// Nodes that yield to each other may hold the last subnets for a moment: out of subnets is what stays so.
const DRY_LOOKS = 5;

/** Leases this node's subnet, keeps it, and knows the leases of the others. */
export class SubnetManager {
  readonly table: LeaseTable;
  readonly #options: SubnetManagerOptions;
  readonly #contact: Contact;
  readonly #own: OwnLease;
  readonly #configs: ConfigSource;
  readonly #hold: LeaseHold;
  readonly #session: Session;
  readonly #sessionWakeup: Wakeup;
  /** Everything that writes to our lease. */
  readonly #lock = new Lock();
  readonly #listeners = new Set<() => void>();
  #problem: string | undefined;
  #cancelKeeping: () => void = () => undefined;

  constructor(options: SubnetManagerOptions) {
    const { registry, clock, random, log, node, ttl } = options;
    this.#options = options;
    this.table = new LeaseTable(log);
    this.#contact = new Contact({ clock, log, changed: this.#notify });
    this.#own = new OwnLease(clock, () => {
      this.table.setOwn(this.own);
      this.#notify();
    });
    this.#session = new Session(registry, node);
    this.#sessionWakeup = new Wakeup(clock);
    const { prefix = "<prefix>", renewMargin } = options;
    const shared = { registry, clock, log, contact: this.#contact };
    this.#configs = new ConfigSource({ ...shared, prefix, waiting: (problem) => this.#waitFor(problem) });
    this.#hold = new LeaseHold({
      ...shared,
      own: this.#own,
      session: this.#session,
      random,
      nodeId: node.id,
      ttl,
      renewMargin,
    });
  }

  /**
   * Waits until there is a valid network config, telling each thing that is wrong with it once; with `inUse` only until
   * the registry answers, and gives that where it has no valid one. Throws the signal's reason when it aborts, and what
   * the registry throws other than RegistryUnavailableError.
   */
  async networkConfig(signal: AbortSignal, inUse?: NetworkConfig): Promise<NetworkConfig> {
    const config = await this.#configs.wait(signal, inUse);
    this.table.setNetwork(config.network);
    return config;
  }

  /** The text in the registry of the config that networkConfig gave; undefined before. */
  get configText(): string | undefined {
    return this.#configs.text;
  }

  /** What networkConfig or acquire waits for: one sentence. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Leases a subnet: a reservation or lease that is ours already, else the previous subnet, else a free one. Goes on
   * trying while the registry is unavailable. Throws OutOfSubnetsError, PublicIpInUseError, or the signal's reason when
   * it aborts.
   */
  async acquire(wanted: Wanted, signal: AbortSignal): Promise<Lease> {
    const { random, clock, log } = this.#options;
    const acquisition = new Acquisition(
      { ...this.#options, session: this.#session },
      { ...wanted, attrs: this.#named(wanted.attrs) },
    );
    const races = new Backoff({ first: 100, most: 2000, random });
    const outages = new Backoff({ first: 1000, most: 10_000, random });
    let lost = 0;
    let dry = 0;
    try {
      for (;;) {
        signal.throwIfAborted();
        let wait: number;
        try {
          const held = await this.#lock.run(() => this.#attempt(acquisition));
          this.#contact.back("acquire");
          if (held) return held.lease;
          outages.reset();
          dry = 0;
          if (++lost >= MOST_RACES) throw new Error(`cannot lease a subnet: lost ${lost} races for one in a row`);
          wait = races.next();
        } catch (error) {
          if (error instanceof RegistryUnavailableError) {
            this.#contact.lost("acquire", error);
            this.#waitFor(`waiting for etcd to lease a subnet: ${error.message}`);
            wait = outages.next();
          } else {
            this.#contact.back("acquire");
            if (!(error instanceof OutOfSubnetsError) || ++dry >= DRY_LOOKS) throw error;
            log.debug("no subnet free, looking again", { err: error });
            wait = races.next();
          }
        }
        await sleep(clock, wait, signal);
      }
    } finally {
      this.#contact.ended("acquire");
      this.#waitFor(undefined);
      await acquisition.close();
    }
  }

  /** The lease that this node holds, or held last while the state is "lost" or "conflict". */
  get own(): Lease | undefined {
    return this.#own.held?.lease;
  }

  get ownState(): OwnState {
    return this.#own.state;
  }

  /** Why the state is "lost" or "conflict": one sentence. */
  get ownProblem(): string | undefined {
    return this.#own.problem;
  }

  /** Calls `listener` after each change of what the getters say. Returns a function that ends this. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Keeps the table equal to the registry until `signal` aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    try {
      await this.#options.registry.follow(signal, {
        onSnapshot: (snapshot, historyLost) => this.#onSnapshot(snapshot, historyLost),
        onChanges: (changes, revision) => this.#onChanges(changes, revision),
        onState: (error) => this.#onWatchState(error),
      });
    } finally {
      this.#cancelKeeping();
      this.#contact.ended("watch");
    }
  }

  /**
   * Renews the lease and the session until `signal` aborts; then gives up the session and keeps the lease. Faults of
   * the registry are told and ridden out.
   */
  async hold(signal: AbortSignal): Promise<void> {
    try {
      await runAll(signal, [
        (signal) => this.#hold.run(signal, () => this.#lock.run(() => this.#hold.check())),
        (signal) => this.#keepSession(signal),
      ]);
    } finally {
      await this.#session.end();
    }
  }

  /**
   * Writes our attributes into the lease where they differ. Throws RegistryUnavailableError (the renewal writes them
   * later then), PublicIpInUseError when they hold the address of another live node, and an Error with `ownProblem` when
   * the lease is not held.
   */
  publish(attrs: LeaseAttrs): Promise<Lease> {
    return this.#lock.run(() => this.#hold.publish(this.#named(attrs)));
  }

  /** Gives the subnet back, at once. A reservation stays one, without our attributes. Throws RegistryUnavailableError. */
  release(): Promise<void> {
    return this.#lock.run(async () => {
      await this.#hold.release();
      await this.#session.end();
    });
  }

  /** Keeps a subnet for the node at an address, this or another: see reserve in reservations.ts. */
  reserve(network: NetworkConfig, subnet: PerFamily<Prefix>, publicIp: PerFamily<Addr>): Promise<LeaseKey> {
    return reserve(this.#options.registry, network, subnet, publicIp);
  }

  /** Ends a reservation: see unreserve in reservations.ts. */
  unreserve(subnet: PerFamily<Prefix>): Promise<LeaseKey> {
    return unreserve(this.#options.registry, subnet, this.#options.ttl);
  }

  /** When the lease runs out unless renewed, in milliseconds since 1970; 0 for a reservation or where there is none. */
  get expiresAt(): number {
    return this.#own.expiresAt;
  }

  /** Why the registry cannot be reached; undefined while it can. */
  get registryState(): Error | undefined {
    return this.#contact.error;
  }

  /** How often the registry could not be reached, since the start. */
  get registryFailures(): number {
    return this.#contact.failures;
  }

  async #attempt(acquisition: Acquisition): Promise<Held | undefined> {
    const held = await acquisition.attempt();
    if (held) this.#hold.begin(held);
    return held;
  }

  async #keepSession(signal: AbortSignal): Promise<void> {
    const { random, log } = this.#options;
    const backoff = new Backoff({ ...SESSION_RETRY_MS, random });
    const wakeup = this.#sessionWakeup;
    signal.addEventListener("abort", wakeup.notify, { once: true });
    while (!signal.aborted) {
      let wait = SESSION_RENEWAL_MS;
      const { own } = this;
      try {
        if (own) {
          await this.#session.claim(identityOf(own.attrs));
          if (this.#own.addressTrouble(undefined)) log.info("public address is ours again", { key: own.key });
        }
        this.#contact.back("session");
        backoff.reset();
      } catch (error) {
        if (error instanceof PublicIpInUseError) {
          if (this.#own.addressTrouble(error.message)) log.error("another node has our public address", { err: error });
          this.#contact.back("session");
        } else {
          this.#contact.lost("session", error);
          wait = this.#contact.isLost("watch") ? SESSION_PATIENCE_MS : backoff.next();
        }
      }
      await wakeup.wait(wait * (1 - random() / 5));
    }
    signal.removeEventListener("abort", wakeup.notify);
    this.#contact.ended("session");
  }

  #onWatchState(error: Error | undefined): void {
    if (error) return this.#contact.lost("watch", error);
    this.#contact.back("watch");
    if (this.#contact.isLost("session")) this.#sessionWakeup.notify();
  }

  #onSnapshot(snapshot: Snapshot, historyLost: boolean): void {
    // What a former run has left may be from a later time than the store that there is now.
    if (historyLost || BigInt(snapshot.revision) < BigInt(this.table.revision)) this.#keep();
    this.table.applySnapshot(snapshot.entries, snapshot.revision);
    const { own } = this;
    const entry = own && snapshot.entries.find((entry) => entry.key === own.key);
    if (own && entry?.modRevision !== own.modRevision) this.#hold.wake();
  }

  // The routes of nodes that live must not be missing until they have told that they do.
  #keep(): void {
    const { clock, log } = this.#options;
    log.warn("etcd has lost its history, keeping what was known for a while", { keptMs: KEEP_MS });
    this.table.keepMissing();
    this.#cancelKeeping();
    this.#cancelKeeping = clock.after(KEEP_MS, () => this.table.dropMissing());
  }

  #onChanges(changes: readonly Change[], revision: string): void {
    this.table.applyChanges(changes, revision);
    const { own } = this;
    const touched = changes.some((change) =>
      change.kind === "delete"
        ? change.key === own?.key
        : change.entry.key === own?.key && change.entry.modRevision !== own.modRevision,
    );
    if (touched) this.#hold.wake();
  }

  #named(attrs: LeaseAttrs): LeaseAttrs {
    const { id, name } = this.#options.node;
    return { ...attrs, nodeId: id, nodeName: name };
  }

  #waitFor(problem: string | undefined): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#notify();
  }

  readonly #notify = (): void => {
    for (const listener of this.#listeners) listener();
  };
}
