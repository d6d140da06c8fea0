import { FakeClock } from "../../pkg/base/fake-clock.ts";
import { MemoryEtcd } from "../../pkg/subnet/memory-etcd.ts";
import { MemoryRegistry } from "../../pkg/subnet/memory-registry.ts";
import type { Registry } from "../../pkg/subnet/registry.ts";
import type { StoreUnderTest } from "./registry.ts";

/** An etcd in memory for registryContract; what `wrap` makes of a client's registry is what is tried. */
export function memoryStore(relistMs: number, wrap: (registry: Registry) => Registry): StoreUnderTest {
  const clock = new FakeClock();
  const etcd = new MemoryEtcd(clock, { relistMs });
  return {
    connect: async (prefix) => {
      const registry = new MemoryRegistry(etcd, prefix);
      const set = (cutOff: boolean) => () => {
        registry.cutOff = cutOff;
      };
      return { registry: wrap(registry), cutOff: set(true), blackHole: set(true), heal: set(false) };
    },
    stop: async () => {
      etcd.down = true;
    },
    start: async () => {
      etcd.down = false;
    },
    startEmpty: async () => {
      etcd.wipe();
      etcd.down = false;
    },
    compact: async () => etcd.compact(),
    pass: (ms) => clock.advance(ms),
    close: async () => etcd.close(),
  };
}
