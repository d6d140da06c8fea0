import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Change, Entry, FollowHandler, Registry, Snapshot } from "../../pkg/subnet/registry.ts";
import { RegistryUnavailableError } from "../../pkg/subnet/registry.ts";

/** An etcd, in memory or real, that serves. */
export interface StoreUnderTest {
  /** A client with a connection of its own; the default prefix is "/coreos.com/network". */
  connect(prefix?: string): Promise<ClientUnderTest>;
  /** Ends the store so that the next attempt to reach it is refused. What it holds stays. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Starts the store that was stopped with nothing in it. */
  startEmpty(): Promise<void>;
  /** Forgets the history up to now. */
  compact(): Promise<void>;
  /** Lets time go by, on the store's clock and the clients'. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface ClientUnderTest {
  readonly registry: Registry;
  /** This client alone is refused; what it had open breaks. */
  cutOff(): void;
  /** This client alone hears nothing any more, and nothing tells it so. */
  blackHole(): void;
  heal(): void;
}

/** What every registry promises. `relistMs` is the least time from one snapshot on principle to the next. */
export function registryContract(name: string, make: (relistMs: number) => Promise<StoreUnderTest>): void {
  describe(`registry contract: ${name}`, () => {
    let store: StoreUnderTest;
    let client: ClientUnderTest;
    let registry: Registry;
    const followers: Recorder[] = [];

    beforeEach(async () => {
      store = await make(300_000);
      client = await store.connect();
      registry = client.registry;
    });

    afterEach(async () => {
      for (const follower of followers.splice(0)) await follower.stop();
      await store.close();
    });

    function follow(registry: Registry): Recorder {
      const follower = new Recorder(registry);
      followers.push(follower);
      return follower;
    }

    /** Waits on the store's clock until it is so; the test's own time-out ends a wait for what never comes. */
    async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
      while (!(await condition())) await store.pass(20);
    }

    /** As an agent does it: again while etcd is not available. */
    async function persist<T>(call: () => Promise<T>): Promise<T> {
      for (;;) {
        try {
          return await call();
        } catch (error) {
          if (!(error instanceof RegistryUnavailableError)) throw error;
          await store.pass(50);
        }
      }
    }

    async function started(registry: Registry): Promise<Recorder> {
      const follower = follow(registry);
      await until(() => follower.snapshots.length === 1);
      return follower;
    }

    describe("keys", () => {
      test("a key that is not there is undefined", async () => {
        expect(await registry.get("config")).toBeUndefined();
      });

      test("create writes a key, and get and list give it back", async () => {
        const lease = await registry.grant(60);
        const value = '{"PublicIP":"192.0.2.1","name":"Kraków"}';
        const entry = await registry.create("subnets/10.5.1.0-24&fd05:0:0:1::-64", value, lease);
        expect(entry).toMatchObject({ key: "subnets/10.5.1.0-24&fd05:0:0:1::-64", value, leaseId: lease });
        expect(entry?.createRevision).toBe(entry?.modRevision);
        expect(await registry.get("subnets/10.5.1.0-24&fd05:0:0:1::-64")).toEqual(entry);
        expect(await registry.list()).toEqual({ revision: entry?.modRevision, entries: [entry] });
      });

      test("create leaves a key alone that somebody has", async () => {
        const first = await registry.create("subnets/a", "first", "0");
        expect(await registry.create("subnets/a", "second", "0")).toBeUndefined();
        expect(await registry.create("subnets/a", "first", "0")).toBeUndefined();
        expect(await registry.get("subnets/a")).toEqual(first);
      });

      test("of ten who create one key at once, one gets it", async () => {
        const clients = await Promise.all(Array.from({ length: 10 }, () => store.connect()));
        const results = await Promise.all(
          clients.map(({ registry }, node) => registry.create("subnets/a", `node${node}`, "0")),
        );
        const winners = results.filter((entry) => entry !== undefined);
        expect(winners).toHaveLength(1);
        expect(await registry.get("subnets/a")).toEqual(winners[0]);
      });

      test("update writes a key that is still at its revision, and no other", async () => {
        const created = defined(await registry.create("subnets/a", "1", "0"));
        const updated = defined(await registry.update("subnets/a", "2", "0", created.modRevision));
        expect(updated).toEqual({ ...created, value: "2", modRevision: updated.modRevision });
        expect(BigInt(updated.modRevision)).toBeGreaterThan(BigInt(created.modRevision));
        expect(await registry.update("subnets/a", "3", "0", created.modRevision)).toBeUndefined();
        expect(await registry.update("subnets/b", "3", "0", created.modRevision)).toBeUndefined();
        expect((await registry.list()).entries).toEqual([updated]);
      });

      test("remove deletes a key that is still at its revision, and no other", async () => {
        const created = defined(await registry.create("subnets/a", "1", "0"));
        const updated = defined(await registry.update("subnets/a", "2", "0", created.modRevision));
        expect(await registry.remove("subnets/a", created.modRevision)).toBe(false);
        expect(await registry.get("subnets/a")).toEqual(updated);
        expect(await registry.remove("subnets/a", updated.modRevision)).toBe(true);
        expect(await registry.get("subnets/a")).toBeUndefined();
        expect(await registry.remove("subnets/a", updated.modRevision)).toBe(false);
      });

      test("a list is sorted by key and whole however long it is", async () => {
        const keys = Array.from({ length: 1200 }, (_, i) => `subnets/10.5.${i % 256}.${i >> 8}-24`);
        for (let i = 0; i < keys.length; i += 100) {
          await Promise.all(keys.slice(i, i + 100).map((key) => registry.create(key, "x", "0")));
        }
        const { entries } = await registry.list();
        expect(entries.map((entry) => entry.key)).toEqual(keys.sort());
      });

      test("a prefix does not see another one, nor one that begins with its name", async () => {
        const other = (await store.connect("/coreos.com/network-other")).registry;
        const inner = (await store.connect("/coreos.com")).registry;
        const follower = await started(registry);
        await other.create("config", "other", "0");
        await inner.create("config", "inner", "0");
        await inner.create("network", "no slash", "0");
        const own = defined(await registry.create("config", "own", "0"));
        expect((await registry.list()).entries).toEqual([own]);
        expect((await other.list()).entries.map((entry) => entry.value)).toEqual(["other"]);
        await until(() => follower.changes.length > 0);
        expect(follower.changes).toEqual([{ kind: "put", entry: own }]);
      });
    });

    describe("leases", () => {
      test("revisions and lease ids are decimal strings that lose no digit on the way", async () => {
        const lease = await registry.grant(60);
        const entry = defined(await registry.create("a", "v", lease));
        for (const id of [lease, entry.leaseId, entry.modRevision, entry.createRevision]) {
          expect(id).toMatch(/^[1-9][0-9]*$/);
        }
        expect(BigInt(lease)).toBeGreaterThan(BigInt(Number.MAX_SAFE_INTEGER));
        expect(entry.leaseId).toBe(lease);
        expect(await registry.keepAlive(lease)).toBe(60);
      });

      test("a lease that runs out takes its keys with it, and who follows hears of it", async () => {
        const follower = await started(registry);
        const lease = await registry.grant(1);
        await registry.create("subnets/a", "1", lease);
        await registry.create("subnets/b", "2", lease);
        await registry.create("subnets/c", "3", "0");
        await until(async () => (await registry.list()).entries.length === 1);
        await until(() => follower.changes.length === 5);
        expect(follower.changes.slice(3).map((change) => [change.kind, keyOf(change)])).toEqual([
          ["delete", "subnets/a"],
          ["delete", "subnets/b"],
        ]);
        expect(follower.keys()).toEqual(["subnets/c"]);
        expect(await registry.keepAlive(lease)).toBe(0);
        expect(await registry.timeToLive(lease)).toBe(0);
      });

      test("keepAlive starts the time anew", async () => {
        const lease = await registry.grant(2);
        await registry.create("subnets/a", "1", lease);
        for (let tries = 0; tries < 3; tries++) {
          await store.pass(1000);
          expect(await registry.keepAlive(lease)).toBe(2);
        }
        expect(await registry.timeToLive(lease)).toBeGreaterThanOrEqual(1);
        expect(await registry.get("subnets/a")).toBeDefined();
      });

      test("revoke takes the keys away at once, and a lease that is gone is no error", async () => {
        const lease = await registry.grant(60);
        await registry.create("subnets/a", "1", lease);
        await registry.revoke(lease);
        expect(await registry.get("subnets/a")).toBeUndefined();
        await registry.revoke(lease);
        expect(await registry.keepAlive(lease)).toBe(0);
      });

      test("a key that was moved to another lease outlives the first", async () => {
        const [first, second] = [await registry.grant(60), await registry.grant(60)];
        const created = defined(await registry.create("subnets/a", "1", first));
        const moved = await registry.update("subnets/a", "1", second, created.modRevision);
        await registry.revoke(first);
        expect(await registry.get("subnets/a")).toEqual(moved);
      });

      test("writing with a lease that is gone fails for good, in a sentence that names the key", async () => {
        const lease = await registry.grant(60);
        const created = defined(await registry.create("subnets/a", "1", "0"));
        await registry.revoke(lease);
        for (const write of [
          () => registry.create("subnets/b", "1", lease),
          () => registry.update("subnets/a", "1", lease, created.modRevision),
        ]) {
          const error = await write().then(undefined, (error: unknown) => error);
          expect(error).toBeInstanceOf(Error);
          expect(error).not.toBeInstanceOf(RegistryUnavailableError);
          expect(String(error)).toMatch(/subnets\/[ab]: the etcd lease is gone/);
        }
        expect((await registry.list()).entries).toEqual([created]);
      });
    });

    describe("follow", () => {
      test("a snapshot comes first, then every change in order", async () => {
        const config = defined(await registry.create("config", "{}", "0"));
        const follower = await started(registry);
        expect(follower.snapshots).toEqual([{ revision: config.modRevision, entries: [config] }]);
        const a = defined(await registry.create("subnets/a", "1", "0"));
        const a2 = defined(await registry.update("subnets/a", "2", "0", a.modRevision));
        await registry.remove("config", config.modRevision);
        await until(() => follower.changes.length === 3);
        const deleted = BigInt(a2.modRevision) + 1n;
        expect(follower.changes).toEqual([
          { kind: "put", entry: a },
          { kind: "put", entry: a2 },
          { kind: "delete", key: "config", modRevision: String(deleted) },
        ]);
        expect(follower.revision).toBe(deleted);
        expect(follower.states).toEqual([]);
      });

      test("it ends when its signal aborts, and tells nothing afterwards", async () => {
        const follower = await started(registry);
        await follower.stop();
        await registry.create("subnets/a", "1", "0");
        await store.pass(100);
        expect(follower.changes).toEqual([]);
      });

      test("it ends at once also while etcd does not answer", async () => {
        client.blackHole();
        const follower = follow(registry);
        await store.pass(200);
        const before = performance.now();
        await follower.stop();
        expect(performance.now() - before).toBeLessThan(1000);
      });

      test("what a handler throws ends it", async () => {
        const failure = new Error("a defect in the handler");
        const handler = {
          onSnapshot: () => {
            throw failure;
          },
          onChanges: () => {},
        };
        await expect(registry.follow(new AbortController().signal, handler)).rejects.toBe(failure);
      });

      test("close ends it", async () => {
        const follower = await started(registry);
        registry.close();
        await follower.done;
        await expect(registry.get("config")).rejects.toThrow();
      });

      test("a new snapshot comes from time to time, without a word about contact", async () => {
        await store.close();
        store = await make(1000);
        const { registry } = await store.connect();
        const follower = await started(registry);
        const entry = defined(await registry.create("subnets/a", "1", "0"));
        await until(() => follower.snapshots.length >= 2);
        expect(follower.snapshots.at(-1)?.entries).toEqual([entry]);
        expect(follower.states).toEqual([]);
      });
    });

    describe("trouble", () => {
      test("etcd down at the start: calls say so, follow waits and tells once", async () => {
        await store.stop();
        const follower = follow(registry);
        await expect(registry.get("config")).rejects.toThrow(RegistryUnavailableError);
        await expect(registry.create("config", "{}", "0")).rejects.toThrow(/^no etcd answers at /);
        await expect(registry.grant(60)).rejects.toThrow(RegistryUnavailableError);
        await expect(registry.keepAlive("1")).rejects.toThrow(RegistryUnavailableError);
        await until(() => follower.states.length === 1);
        await store.pass(1000);
        expect(follower.snapshots).toEqual([]);
        await store.start();
        await until(() => follower.snapshots.length === 1);
        expect(follower.states).toEqual([expect.any(RegistryUnavailableError), undefined]);
        expect(await registry.create("config", "{}", "0")).toBeDefined();
      });

      test("a restart in the middle loses none of 5000 events, and each comes once", { timeout: 60_000 }, async () => {
        const follower = await started(registry);
        const writer = (await store.connect()).registry;
        const keys = Array.from({ length: 5000 }, (_, i) => `subnets/${i}`);
        const restart = async (): Promise<void> => {
          await store.stop();
          await store.pass(500);
          await store.start();
        };
        let restarted: Promise<void> | undefined;
        for (let i = 0; i < keys.length; i += 100) {
          if (i === 2500) restarted = restart();
          await Promise.all(keys.slice(i, i + 100).map((key) => persist(() => writer.create(key, "x", "0"))));
        }
        await restarted;
        await until(() => follower.changes.length >= 5000);
        expect(follower.changes.map(keyOf).sort()).toEqual(keys.sort());
        expect(follower.snapshots).toHaveLength(1);
        expect(follower.states.map((state) => state === undefined)).toEqual([false, true]);
      });

      test("what was compacted while this client was cut off comes as a snapshot", async () => {
        const gone = defined(await registry.create("subnets/gone", "1", "0"));
        const follower = await started(registry);
        const other = (await store.connect()).registry;
        client.cutOff();
        await until(() => follower.states.length === 1);
        await other.remove("subnets/gone", gone.modRevision);
        const added = await other.create("subnets/new", "1", "0");
        await store.compact();
        client.heal();
        await until(() => follower.snapshots.length === 2);
        expect(follower.snapshots[1]?.entries).toEqual([added]);
        expect(follower.historyLost).toEqual([false, false]);
        expect(follower.states).toEqual([expect.any(RegistryUnavailableError), undefined]);
        await other.create("subnets/newer", "1", "0");
        await until(() => follower.changes.length === 1);
        expect(follower.keys()).toEqual(["subnets/new", "subnets/newer"]);
      });

      test("what happened while this client was cut off comes as changes when it is still known", async () => {
        const follower = await started(registry);
        const other = (await store.connect()).registry;
        client.cutOff();
        await until(() => follower.states.length === 1);
        await other.create("subnets/a", "1", "0");
        client.heal();
        await until(() => follower.changes.length === 1);
        expect(follower.snapshots).toHaveLength(1);
      });

      test("etcd that comes back empty gives an empty snapshot, and goes on", async () => {
        await registry.create("subnets/a", "1", "0");
        await registry.create("subnets/b", "1", "0");
        const follower = await started(registry);
        await store.stop();
        await until(() => follower.states.length === 1);
        await store.startEmpty();
        await until(() => follower.snapshots.length === 2);
        expect(follower.snapshots[1]).toEqual({ revision: "1", entries: [] });
        expect(follower.historyLost).toEqual([false, true]);
        await persist(() => registry.create("subnets/c", "1", "0"));
        await until(() => follower.changes.length === 1);
        expect(follower.keys()).toEqual(["subnets/c"]);
      });

      test("an etcd that falls silent without closing anything is noticed, and heals", async () => {
        const follower = await started(registry);
        const other = (await store.connect()).registry;
        // An event shows that the watch stands.
        await other.create("subnets/first", "1", "0");
        await until(() => follower.changes.length === 1);
        client.blackHole();
        await until(() => follower.states.length === 1);
        expect(follower.states[0]).toBeInstanceOf(RegistryUnavailableError);
        await other.create("subnets/a", "1", "0");
        client.heal();
        await until(() => follower.changes.length === 2);
        expect(follower.snapshots).toHaveLength(1);
        expect(follower.states).toHaveLength(2);
      });
    });
  });
}

/** Follows a registry and keeps what it was told; refuses what may never happen. */
class Recorder implements FollowHandler {
  readonly snapshots: Snapshot[] = [];
  /** Of each snapshot: whether the store had lost its history. */
  readonly historyLost: boolean[] = [];
  readonly changes: Change[] = [];
  readonly states: (Error | undefined)[] = [];
  readonly done: Promise<void>;
  /** Of the last thing told. */
  revision = 0n;
  readonly #stop = new AbortController();
  readonly #table = new Map<string, Entry>();
  #stopped = false;

  constructor(registry: Registry) {
    this.done = registry.follow(this.#stop.signal, this);
  }

  onSnapshot(snapshot: Snapshot, historyLost: boolean): void {
    expect(this.#stopped).toBe(false);
    this.snapshots.push(snapshot);
    this.historyLost.push(historyLost);
    this.revision = BigInt(snapshot.revision);
    this.#table.clear();
    for (const entry of snapshot.entries) this.#table.set(entry.key, entry);
  }

  onChanges(changes: readonly Change[], revision: string): void {
    expect(this.#stopped).toBe(false);
    expect(this.snapshots.length, "a snapshot comes first").toBeGreaterThan(0);
    expect(changes.length, "no empty batch").toBeGreaterThan(0);
    let last = this.revision + 1n;
    for (const change of changes) {
      const at = BigInt(change.kind === "put" ? change.entry.modRevision : change.modRevision);
      expect(at, "in the order of revisions, none twice").toBeGreaterThanOrEqual(last);
      last = at;
      if (change.kind === "put") this.#table.set(change.entry.key, change.entry);
      else this.#table.delete(change.key);
    }
    expect(revision).toBe(String(last));
    this.revision = last;
    this.changes.push(...changes);
  }

  onState(error: Error | undefined): void {
    expect(this.#stopped).toBe(false);
    expect(error === undefined, "once per change").toBe(this.states.length % 2 === 1);
    this.states.push(error);
  }

  /** What the table of a follower would hold now. */
  keys(): string[] {
    return [...this.#table.keys()].sort();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.done;
    this.#stopped = true;
  }
}

function keyOf(change: Change): string {
  return change.kind === "put" ? change.entry.key : change.key;
}

function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("there should be a value");
  return value;
}
