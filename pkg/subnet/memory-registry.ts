import { sleep } from "../base/clock.ts";
import { Wakeup } from "../base/wakeup.ts";
import type { Event, MemoryEtcd, Stored } from "./memory-etcd.ts";
import type { Change, Entry, FollowHandler, Registry, Snapshot } from "./registry.ts";
import { RegistryUnavailableError } from "./registry.ts";

/** One agent's way to a MemoryEtcd, with faults of its own. */
export class MemoryRegistry implements Registry {
  /** While true every write happens, but the caller hears only that etcd is not available. */
  losesReplies = false;
  readonly #etcd: MemoryEtcd;
  readonly #prefix: string;
  readonly #closed = new AbortController();
  readonly #wakeups = new Set<() => void>();
  #cutOff = false;

  /** `prefix` as in EtcdConfig: "/coreos.com/network". */
  constructor(etcd: MemoryEtcd, prefix = "/coreos.com/network") {
    this.#etcd = etcd;
    this.#prefix = `${prefix}/`;
  }

  /** While true this agent alone does not reach etcd. */
  get cutOff(): boolean {
    return this.#cutOff;
  }

  set cutOff(cutOff: boolean) {
    this.#cutOff = cutOff;
    for (const wake of this.#wakeups) wake();
  }

  get(key: string): Promise<Entry | undefined> {
    return this.#call(() => {
      const stored = this.#etcd.get(this.#prefix + key);
      return stored && this.#entry(stored);
    });
  }

  list(): Promise<Snapshot> {
    return this.#call(() => this.#snapshot());
  }

  grant(ttl: number): Promise<string> {
    return this.#call(() => this.#etcd.grant(ttl));
  }

  keepAlive(leaseId: string): Promise<number> {
    return this.#call(() => this.#etcd.keepAlive(leaseId));
  }

  timeToLive(leaseId: string): Promise<number> {
    return this.#call(() => this.#etcd.timeToLive(leaseId));
  }

  revoke(leaseId: string): Promise<void> {
    return this.#call(() => this.#etcd.revoke(leaseId));
  }

  create(key: string, value: string, leaseId: string): Promise<Entry | undefined> {
    return this.#call(() => {
      if (this.#etcd.get(this.#prefix + key)) return undefined;
      return this.#entry(this.#etcd.put(this.#prefix + key, value, leaseId));
    });
  }

  update(key: string, value: string, leaseId: string, modRevision: string): Promise<Entry | undefined> {
    return this.#call(() => {
      if (!this.#isAt(key, modRevision)) return undefined;
      return this.#entry(this.#etcd.put(this.#prefix + key, value, leaseId));
    });
  }

  remove(key: string, modRevision: string): Promise<boolean> {
    return this.#call(() => this.#isAt(key, modRevision) && this.#etcd.delete(this.#prefix + key) === 1);
  }

  async follow(signal: AbortSignal, handler: FollowHandler): Promise<void> {
    const etcd = this.#etcd;
    const wakeup = new Wakeup(etcd.clock);
    const release = etcd.onChange(wakeup.notify);
    this.#wakeups.add(wakeup.notify);
    const stop = AbortSignal.any([signal, this.#closed.signal]);
    stop.addEventListener("abort", wakeup.notify, { once: true });
    let lost = false;
    let next = -1; // the revision to go on from; -1: a snapshot is due
    let relistAt = 0;
    let generation = etcd.generation;
    try {
      while (!stop.aborted) {
        await this.#travel(stop);
        if (stop.aborted) break;
        if (!this.#reachable) {
          if (!lost) handler.onState?.(unavailable());
          lost = true;
          await wakeup.wait(etcd.relistMs);
          continue;
        }
        if (lost) handler.onState?.(undefined);
        lost = false;
        const due = next === -1 || generation !== etcd.generation || etcd.clock.now() >= relistAt;
        const events = due ? undefined : etcd.since(this.#prefix, next);
        if (!events) {
          const historyLost = generation !== etcd.generation;
          relistAt = etcd.clock.now() + etcd.relistMs;
          generation = etcd.generation;
          next = etcd.revision + 1;
          handler.onSnapshot(this.#snapshot(), historyLost);
        } else if (events.length > 0) {
          const last = events.at(-1)?.revision ?? next;
          next = last + 1;
          const changes = events.map((event) => this.#change(event));
          handler.onChanges(changes, String(last));
        }
        await wakeup.wait(Math.max(0, relistAt - etcd.clock.now()));
      }
    } finally {
      release();
      this.#wakeups.delete(wakeup.notify);
    }
  }

  close(): void {
    this.#closed.abort();
  }

  get #reachable(): boolean {
    return !this.#etcd.down && !this.#cutOff && !this.#closed.signal.aborted;
  }

  // The request travels, is carried out at one instant, and the reply travels back: either way may fail.
  async #call<T>(operation: () => T): Promise<T> {
    await this.#travel(this.#closed.signal);
    if (!this.#reachable) throw unavailable();
    const result = operation();
    await this.#travel(this.#closed.signal);
    if (!this.#reachable || this.losesReplies) throw unavailable();
    return result;
  }

  async #travel(signal: AbortSignal): Promise<void> {
    const ms = this.#etcd.delay();
    if (ms > 0) await sleep(this.#etcd.clock, ms, signal);
  }

  #isAt(key: string, modRevision: string): boolean {
    const stored = this.#etcd.get(this.#prefix + key);
    return stored !== undefined && String(stored.modRevision) === modRevision;
  }

  #snapshot(): Snapshot {
    const entries = this.#etcd.range(this.#prefix).map((stored) => this.#entry(stored));
    return { revision: String(this.#etcd.revision), entries };
  }

  #entry(stored: Stored): Entry {
    return {
      key: stored.key.slice(this.#prefix.length),
      value: stored.value,
      createRevision: String(stored.createRevision),
      modRevision: String(stored.modRevision),
      leaseId: stored.leaseId,
    };
  }

  #change(event: Event): Change {
    if (event.stored) return { kind: "put", entry: this.#entry(event.stored) };
    return { kind: "delete", key: event.key.slice(this.#prefix.length), modRevision: String(event.revision) };
  }
}

function unavailable(): RegistryUnavailableError {
  return new RegistryUnavailableError("no etcd answers at memory://etcd");
}
