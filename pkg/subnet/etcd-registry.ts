import type { EtcdDeps, EtcdSettings } from "../etcd/client.ts";
import { EtcdClient } from "../etcd/client.ts";
import { EtcdError } from "../etcd/errors.ts";
import type { FollowTiming } from "../etcd/follow.ts";
import { FOLLOW_TIMING, follow } from "../etcd/follow.ts";
import type { KeyValue } from "../etcd/kv.ts";
import * as kv from "../etcd/kv.ts";
import * as leases from "../etcd/leases.ts";
import type { Entry, FollowHandler, Registry, Snapshot } from "./registry.ts";
import { RegistryUnavailableError } from "./registry.ts";

export interface EtcdRegistrySettings extends EtcdSettings {
  /** With its leading slash and without a trailing one: "/coreos.com/network". */
  readonly prefix: string;
}

/** The registry in a real etcd (v3 API, 3.4 or newer). */
export class EtcdRegistry implements Registry {
  readonly #client: EtcdClient;
  readonly #base: string;
  readonly #timing: FollowTiming;
  readonly #closed = new AbortController();

  private constructor(client: EtcdClient, prefix: string, timing: FollowTiming) {
    this.#client = client;
    // The slash is part of it: "/coreos.com/network-other/config" is somebody else's.
    this.#base = `${prefix}/`;
    this.#timing = timing;
  }

  /** Contacts nobody yet. Throws ConfigError for settings that make no sense and files that cannot be read. */
  static async open(
    settings: EtcdRegistrySettings,
    deps: EtcdDeps,
    timing: FollowTiming = FOLLOW_TIMING,
  ): Promise<EtcdRegistry> {
    return new EtcdRegistry(await EtcdClient.open(settings, deps), settings.prefix, timing);
  }

  async get(key: string): Promise<Entry | undefined> {
    const found = await translated(kv.get(this.#client, this.#base + key));
    return found && this.#entry(found);
  }

  async list(): Promise<Snapshot> {
    const { header, keys } = await translated(kv.list(this.#client, this.#base));
    return { revision: header.revision, entries: keys.map((found) => this.#entry(found)) };
  }

  async follow(signal: AbortSignal, handler: FollowHandler): Promise<void> {
    await follow(
      this.#client,
      this.#base,
      {
        onSnapshot: (keys, revision, historyLost) =>
          handler.onSnapshot({ revision, entries: keys.map((found) => this.#entry(found)) }, historyLost),
        onChanges: (changes, revision) =>
          handler.onChanges(
            changes.map((change) =>
              change.kind === "put"
                ? { kind: "put", entry: this.#entry(change.entry) }
                : { ...change, key: this.#relative(change.key) },
            ),
            revision,
          ),
        onState: (error) => handler.onState?.(error && translate(error)),
      },
      AbortSignal.any([signal, this.#closed.signal]),
      this.#timing,
    );
  }

  grant(ttl: number): Promise<string> {
    return translated(leases.grant(this.#client, ttl));
  }

  keepAlive(leaseId: string): Promise<number> {
    return translated(leases.keepAlive(this.#client, leaseId));
  }

  timeToLive(leaseId: string): Promise<number> {
    return translated(leases.timeToLive(this.#client, leaseId));
  }

  revoke(leaseId: string): Promise<void> {
    return translated(leases.revoke(this.#client, leaseId));
  }

  async create(key: string, value: string, leaseId: string): Promise<Entry | undefined> {
    const written = await translated(kv.create(this.#client, this.#base + key, value, leaseId));
    return written && this.#entry(written);
  }

  async update(key: string, value: string, leaseId: string, modRevision: string): Promise<Entry | undefined> {
    const written = await translated(kv.update(this.#client, this.#base + key, value, leaseId, modRevision));
    return written && this.#entry(written);
  }

  remove(key: string, modRevision: string): Promise<boolean> {
    return translated(kv.remove(this.#client, this.#base + key, modRevision));
  }

  /** Ends every follow and every call. */
  close(): void {
    this.#closed.abort();
    this.#client.close();
  }

  #entry(found: KeyValue): Entry {
    return { ...found, key: this.#relative(found.key) };
  }

  #relative(key: string): string {
    return key.slice(this.#base.length);
  }
}

async function translated<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw error instanceof EtcdError ? translate(error) : error;
  }
}

// Who may do what is put right in etcd, and nothing here needs to be started anew for it.
function translate(error: EtcdError): Error {
  const passes = error.reason === "unavailable" || error.reason === "refused";
  return passes ? new RegistryUnavailableError(error.message, { cause: error }) : error;
}
