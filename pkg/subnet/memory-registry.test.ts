import { expect, test } from "vitest";
import { memoryStore } from "../../test/contract/memory-store.ts";
import { registryContract } from "../../test/contract/registry.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { MemoryEtcd } from "./memory-etcd.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { RegistryUnavailableError } from "./registry.ts";

registryContract("MemoryRegistry", async (relistMs) => memoryStore(relistMs, (registry) => registry));

test("no timer is left when everything is closed", async () => {
  const clock = new FakeClock();
  const etcd = new MemoryEtcd(clock);
  const registry = new MemoryRegistry(etcd);
  const done = registry.follow(new AbortController().signal, { onSnapshot: () => {}, onChanges: () => {} });
  await registry.grant(60);
  await clock.advance(10);
  expect(clock.pending).toBeGreaterThan(0);
  registry.close();
  await done;
  etcd.close();
  expect(clock.pending).toBe(0);
});

test("a write whose reply is lost has happened", async () => {
  const registry = new MemoryRegistry(new MemoryEtcd(new FakeClock()));
  registry.losesReplies = true;
  await expect(registry.create("config", "{}", "0")).rejects.toThrow(RegistryUnavailableError);
  registry.losesReplies = false;
  expect(await registry.get("config")).toMatchObject({ value: "{}" });
});

test("requests with a delay are carried out in the order in which they arrive", async () => {
  const clock = new FakeClock();
  const delays = [30, 10]; // the request of the first, then that of the second
  const etcd = new MemoryEtcd(clock, { delay: () => delays.shift() ?? 5 });
  const [slow, quick] = [new MemoryRegistry(etcd), new MemoryRegistry(etcd)];
  const results = Promise.all([slow.create("a", "slow", "0"), quick.create("a", "quick", "0")]);
  await clock.advance(100);
  expect((await results).map((entry) => entry?.value)).toEqual([undefined, "quick"]);
});

test("leases do not run out while etcd is down, and have their whole time when it is back", async () => {
  const clock = new FakeClock();
  const etcd = new MemoryEtcd(clock);
  const lease = etcd.grant(10);
  await clock.advance(9000);
  etcd.down = true;
  await clock.advance(60_000);
  etcd.down = false;
  await clock.advance(9000);
  expect(etcd.leases()).toEqual([lease]);
  await clock.advance(1000);
  expect(etcd.leases()).toEqual([]);
});
