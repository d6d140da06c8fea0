import { setTimeout as delay } from "node:timers/promises";
import { describe } from "vitest";
import { registryContract } from "../../test/contract/registry.ts";
import { EtcdServer, noEtcd } from "../../test/etcd-server.ts";
import { TcpProxy } from "../../test/tcp-proxy.ts";
import { seededRandom } from "../base/backoff.ts";
import { systemClock } from "../base/clock.ts";
import { EtcdRegistry } from "./etcd-registry.ts";

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
});
