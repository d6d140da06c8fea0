import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { registryContract } from "../../test/contract/registry.ts";
import { EtcdServer, noEtcd } from "../../test/etcd-server.ts";
import { TcpProxy } from "../../test/tcp-proxy.ts";
import { seededRandom } from "../base/backoff.ts";
import { systemClock } from "../base/clock.ts";
import { EtcdRegistry } from "./etcd-registry.ts";
import { RegistryUnavailableError } from "./registry.ts";

const PREFIX = "/coreos.com/network";
const DEPS = { clock: systemClock, random: seededRandom(1) };

describe.skipIf(noEtcd)(`with a real etcd${noEtcd ? `: ${noEtcd}` : ""}`, () => {
  registryContract("EtcdRegistry", async (relist) => {
    await using made = new AsyncDisposableStack();
    const server = made.use(await EtcdServer.started());
    const resources = made.move();
    return {
      connect: async (prefix = PREFIX) => {
        const proxy = resources.use(await TcpProxy.to(server.port));
        const endpoints = [`http://127.0.0.1:${proxy.port}`];
        const timing = { probe: 500, relist, confirm: 5000 };
        const registry = await EtcdRegistry.open({ endpoints, prefix }, DEPS, timing);
        resources.defer(() => registry.close());
        return {
          registry,
          cutOff: () => proxy.refuse(),
          blackHole: () => proxy.blackHole(),
          heal: () => proxy.heal(),
        };
      },
      stop: () => server.kill(),
      start: () => server.start(),
      startEmpty: async () => {
        server.wipe();
        await server.start();
      },
      compact: () => server.compact(),
      pass: (ms) => delay(ms),
      close: () => resources.disposeAsync(),
    };
  });

  test(
    "an etcd that hangs for 15 s is noticed with the timing of an agent, and heals",
    { timeout: 60_000 },
    async () => {
      await using server = await EtcdServer.started();
      const registry = await EtcdRegistry.open({ endpoints: [server.endpoint], prefix: PREFIX }, DEPS);
      const stop = new AbortController();
      const told: string[] = [];
      const following = registry.follow(stop.signal, {
        onSnapshot: (snapshot) => told.push(`snapshot of ${snapshot.entries.length}`),
        onChanges: (changes) => told.push(`${changes.length} changes`),
        onState: (error) => told.push(error ? error.name : "back"),
      });
      await expect.poll(() => told.length).toBe(1);
      await server.freeze();
      await delay(15_000);
      expect(told).toEqual(["snapshot of 0", "RegistryUnavailableError"]);
      server.thaw();
      await registry.create("subnets/a", "1", "0");
      await expect
        .poll(() => told, { timeout: 5000 })
        .toEqual(["snapshot of 0", "RegistryUnavailableError", "back", "1 changes"]);
      stop.abort();
      await following;
      registry.close();
    },
  );

  test.concurrent("a replay that breaks in the middle is taken up where it broke", { timeout: 60_000 }, async () => {
    await using server = await EtcdServer.started();
    await using proxy = await TcpProxy.to(server.port);
    const registry = await EtcdRegistry.open({ endpoints: [`http://127.0.0.1:${proxy.port}`], prefix: PREFIX }, DEPS);
    const direct = await EtcdRegistry.open({ endpoints: [server.endpoint], prefix: PREFIX }, DEPS);
    const stop = new AbortController();
    const keys: string[] = [];
    let snapshots = 0;
    const states: (Error | undefined)[] = [];
    const following = registry.follow(stop.signal, {
      onSnapshot: () => (snapshots += 1),
      onChanges: (changes) => {
        for (const change of changes) if (change.kind === "put") keys.push(change.entry.key);
      },
      onState: (error) => states.push(error),
    });
    await expect.poll(() => snapshots).toBe(1);
    proxy.refuse();
    await expect.poll(() => states.length, { timeout: 5000 }).toBe(1);
    const written = Array.from({ length: 5000 }, (_, i) => `subnets/${i}`);
    for (let i = 0; i < written.length; i += 100) {
      await Promise.all(written.slice(i, i + 100).map((key) => direct.create(key, "x".repeat(400), "0")));
    }
    proxy.heal();
    proxy.resetAfter(1_000_000);
    await expect.poll(() => keys.length, { timeout: 20_000 }).toBe(5000);
    expect(new Set(keys).size).toBe(5000);
    expect(proxy.resets).toBe(1);
    expect(snapshots).toBe(1);
    stop.abort();
    await following;
    registry.close();
    direct.close();
  });

  test.concurrent(
    "a write whose reply is lost and that is tried again is known as our own",
    { timeout: 30_000 },
    async () => {
      await using server = await EtcdServer.started();
      await using proxy = await TcpProxy.to(server.port);
      const registry = await EtcdRegistry.open({ endpoints: [`http://127.0.0.1:${proxy.port}`], prefix: PREFIX }, DEPS);
      const direct = await EtcdRegistry.open({ endpoints: [server.endpoint], prefix: PREFIX }, DEPS);
      const lease = await registry.grant(60);
      // The network loses the reply, then the connection; the second try finds the key written.
      const afterLoss = async <T>(call: () => Promise<T>, happened: () => Promise<boolean>): Promise<T> => {
        proxy.loseReplies();
        const result = call();
        await expect.poll(happened).toBe(true);
        proxy.heal();
        return result;
      };
      const value = async (): Promise<string | undefined> => (await direct.get("subnets/a"))?.value;
      const created = await afterLoss(
        () => registry.create("subnets/a", "1", lease),
        async () => (await value()) === "1",
      );
      expect(created).toEqual(await direct.get("subnets/a"));
      const updated = await afterLoss(
        () => registry.update("subnets/a", "2", lease, created?.modRevision ?? ""),
        async () => (await value()) === "2",
      );
      expect(updated).toEqual(await direct.get("subnets/a"));
      const removed = await afterLoss(
        () => registry.remove("subnets/a", updated?.modRevision ?? ""),
        async () => (await value()) === undefined,
      );
      expect(removed).toBe(true);
      registry.close();
      direct.close();
    },
  );

  test.concurrent("a call to an etcd that hangs ends within two deadlines", { timeout: 30_000 }, async () => {
    await using server = await EtcdServer.started();
    const registry = await EtcdRegistry.open({ endpoints: [server.endpoint], prefix: PREFIX }, DEPS);
    await registry.get("config");
    await server.freeze();
    const started = performance.now();
    const results = await Promise.allSettled([registry.get("config"), registry.keepAlive("1"), registry.list()]);
    expect(performance.now() - started).toBeLessThan(9000);
    for (const result of results) {
      expect(result).toMatchObject({ status: "rejected", reason: expect.any(RegistryUnavailableError) });
    }
    server.thaw();
    expect(await registry.get("config")).toBeUndefined();
    registry.close();
  });
});
