import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { EtcdServer, noEtcd } from "../../test/etcd-server.ts";
import { TcpProxy } from "../../test/tcp-proxy.ts";
import { until } from "../../test/until.ts";
import { seededRandom } from "../base/backoff.ts";
import { systemClock } from "../base/clock.ts";
import { EtcdRegistry } from "./etcd-registry.ts";
import { RegistryUnavailableError } from "./registry.ts";

// What only a real etcd can suffer, with the timing of an agent; the rest is in the contract.

const PREFIX = "/coreos.com/network";
const DEPS = { clock: systemClock, random: seededRandom(1) };

describe.skipIf(noEtcd)(`a real etcd in trouble${noEtcd ? `: ${noEtcd}` : ""}`, () => {
  test.concurrent(
    "an etcd that hangs for 15 s is noticed with the timing of an agent, and heals",
    { timeout: 40_000 },
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
      await until(() => told.length === 1);
      // An event shows that the watch stands: one that does not is noticed in another way.
      await registry.create("subnets/first", "1", "0");
      await until(() => told.length === 2);
      await server.freeze();
      const frozen = performance.now();
      await until(() => told.length === 3);
      expect(performance.now() - frozen).toBeLessThan(18_000); // 13 s on a quiet machine
      await delay(Math.max(0, frozen + 15_000 - performance.now()));
      expect(told).toEqual(["snapshot of 0", "1 changes", "RegistryUnavailableError"]);
      server.thaw();
      await until(() => told.length === 4);
      await registry.create("subnets/a", "1", "0");
      await until(() => told.length === 5);
      expect(told.slice(3)).toEqual(["back", "1 changes"]);
      stop.abort();
      await following;
      registry.close();
    },
  );

  test.concurrent("a replay that breaks in the middle is taken up where it broke", { timeout: 40_000 }, async () => {
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
    await until(() => snapshots === 1);
    proxy.refuse();
    await until(() => states.length === 1);
    const written = Array.from({ length: 5000 }, (_, i) => `subnets/${i}`);
    for (let i = 0; i < written.length; i += 100) {
      await Promise.all(written.slice(i, i + 100).map((key) => direct.create(key, "x".repeat(400), "0")));
    }
    proxy.heal();
    proxy.resetAfter(1_000_000);
    await until(() => keys.length >= 5000);
    expect(keys.toSorted()).toEqual(written.toSorted());
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
        await until(happened);
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
    // 6.5 s on a quiet machine; without a deadline, HTTP/2 keepalive would end them after 10 s.
    expect(performance.now() - started).toBeLessThan(9_500);
    for (const result of results) {
      expect(result).toMatchObject({ status: "rejected", reason: expect.any(RegistryUnavailableError) });
    }
    server.thaw();
    expect(await registry.get("config")).toBeUndefined();
    registry.close();
  });

  /** Follows with the timing of an agent; the watch stands, and nothing is told yet. */
  async function followed(server: EtcdServer, endpoint = server.endpoint) {
    const registry = await EtcdRegistry.open({ endpoints: [endpoint], prefix: PREFIX }, DEPS);
    const stop = new AbortController();
    const told: string[] = [];
    const following = registry.follow(stop.signal, {
      onSnapshot: () => told.push("snapshot"),
      onChanges: (changes) => told.push(`${changes.length} changes`),
      onState: (error) => told.push(error ? "lost" : "back"),
    });
    await until(() => told.length === 1);
    await server.ctl("put", `${PREFIX}/subnets/first`, "1");
    await until(() => told.splice(0).includes("1 changes"));
    const end = async (): Promise<void> => {
      stop.abort();
      await following;
      registry.close();
    };
    return { told, end };
  }

  test.concurrent("a connection that a firewall has forgotten is given up", { timeout: 40_000 }, async () => {
    await using server = await EtcdServer.started();
    await using proxy = await TcpProxy.to(server.port);
    const { told, end } = await followed(server, `http://127.0.0.1:${proxy.port}`);
    proxy.strand();
    await server.ctl("put", `${PREFIX}/subnets/a`, "1");
    await until(() => told.length === 3);
    expect(told).toEqual(["lost", "back", "1 changes"]);
    await end();
  });

  test.concurrent(
    "a member without a leader ends the watch before the next probe is due",
    { timeout: 40_000 },
    async () => {
      await using made = new AsyncDisposableStack();
      const members = await EtcdServer.cluster(3);
      for (const member of members) made.use(member);
      const [ours, ...others] = members;
      if (!ours) throw new Error("no members");
      const { told, end } = await followed(ours);
      await Promise.all(others.map((member) => member.freeze()));
      const frozen = performance.now();
      await until(() => told.length === 1);
      expect(performance.now() - frozen).toBeLessThan(9_000); // 3 s on a quiet machine; by the probe alone it is 13 s
      for (const member of others) member.thaw();
      await until(() => told.length === 2);
      await ours.ctl("put", `${PREFIX}/subnets/a`, "1");
      await until(() => told.length === 3);
      expect(told).toEqual(["lost", "back", "1 changes"]);
      await end();
    },
  );
});
