import { expect, test, vi } from "vitest";
import { memoryStore } from "../../test/contract/memory-store.ts";
import { registryContract } from "../../test/contract/registry.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { LazyRegistry } from "./lazy-registry.ts";
import { MemoryEtcd } from "./memory-etcd.ts";
import { MemoryRegistry } from "./memory-registry.ts";

registryContract("LazyRegistry", async (relistMs) =>
  memoryStore(relistMs, (opened) => new LazyRegistry(async () => opened)),
);

/** A registry in memory that counts how often it was opened. */
function counted(): { lazy: LazyRegistry; opens: () => number; etcd: MemoryEtcd } {
  const etcd = new MemoryEtcd(new FakeClock());
  let opens = 0;
  const lazy = new LazyRegistry(async () => {
    opens++;
    return new MemoryRegistry(etcd);
  });
  return { lazy, opens: () => opens, etcd };
}

test("it is opened when it is first asked, once", async () => {
  const { lazy, opens, etcd } = counted();
  expect(opens()).toBe(0);
  await Promise.all([lazy.get("config"), lazy.list()]);
  await lazy.get("config");
  expect(opens()).toBe(1);
  lazy.close();
  etcd.close();
});

test("one that nobody has asked is not opened to be closed, nor after", async () => {
  const { lazy, opens, etcd } = counted();
  lazy.close();
  await expect(lazy.get("config")).rejects.toThrow("the registry is closed");
  expect(opens()).toBe(0);
  etcd.close();
});

test("why it cannot be opened is what every call throws", async () => {
  const lazy = new LazyRegistry(() => Promise.reject(new Error("the file ca.pem cannot be read")));
  await expect(lazy.get("config")).rejects.toThrow("ca.pem");
  await expect(lazy.grant(60)).rejects.toThrow("ca.pem");
  lazy.close();
});

test("one that could not be opened is opened again by the next call, and closed in the end", async () => {
  const etcd = new MemoryEtcd(new FakeClock());
  const opened = new MemoryRegistry(etcd);
  const close = vi.spyOn(opened, "close");
  let opens = 0;
  const lazy = new LazyRegistry(async () => {
    if (++opens === 1) throw new Error("the file ca.pem cannot be read");
    return opened;
  });
  const calls = await Promise.allSettled([lazy.get("config"), lazy.list()]);
  expect(calls.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await lazy.get("config")).toBeUndefined();
  expect(opens).toBe(2);
  lazy.close();
  await expect(lazy.get("config")).rejects.toThrow("the registry is closed");
  expect(close).toHaveBeenCalledOnce();
  etcd.close();
});
