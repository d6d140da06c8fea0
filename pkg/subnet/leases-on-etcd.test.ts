// The same as the simulations, in small, on a real etcd: that what etcdctl shows is what flannel would have written.
import { describe, expect, test } from "vitest";
import { EtcdServer, noEtcd } from "../../test/etcd-server.ts";
import { addr } from "../../test/literals.ts";
import { seededRandom } from "../base/backoff.ts";
import { systemClock } from "../base/clock.ts";
import { MemoryLogger } from "../base/logger.ts";
import { runAll } from "../base/run-all.ts";
import { EtcdRegistry } from "./etcd-registry.ts";
import { SubnetManager } from "./subnet-manager.ts";

const prefix = "/coreos.com/network";

describe.skipIf(noEtcd)(`leases on a real etcd${noEtcd ? `: ${noEtcd}` : ""}`, () => {
  test(
    "three nodes on three subnets, seen through etcdctl; a revoked lease is taken back",
    { timeout: 30_000 },
    async () => {
      await using server = await EtcdServer.started();
      await using open = new AsyncDisposableStack();
      const config = `{"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.3.0","Backend":{"Type":"host-gw"}}`;
      await server.ctl("put", `${prefix}/config`, config);
      const stop = new AbortController();
      const nodes = await Promise.all(
        [1, 2, 3].map(async (i) => {
          const deps = { clock: systemClock, random: seededRandom(i) };
          const registry = await EtcdRegistry.open({ endpoints: [server.endpoint], prefix }, deps);
          open.defer(() => registry.close());
          const node = { id: `id-${i}`, name: `node${i}` };
          const manager = new SubnetManager({
            ...deps,
            registry,
            log: new MemoryLogger(),
            node,
            ttl: 86_400,
            renewMargin: 3600,
          });
          const network = await manager.networkConfig(stop.signal);
          return { manager, network, ip: `192.0.2.${i}` };
        }),
      );
      const leases = await Promise.all(
        nodes.map(({ manager, network, ip }) => {
          const attrs = { publicIp: { 4: addr(ip) }, backendType: "host-gw", vtep: {} };
          return manager.acquire({ network, attrs, previous: {} }, stop.signal);
        }),
      );
      const keys = leases.map((lease) => `${prefix}/${lease.key}`);
      expect(keys.toSorted()).toEqual([1, 2, 3].map((i) => `${prefix}/subnets/10.5.${i}.0-24`));
      const [key = "", own] = [keys[0], leases[0]];
      expect(await server.ctl("get", "--print-value-only", key)).toBe(
        `{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"host-gw","NodeID":"id-1","NodeName":"node1"}`,
      );
      const hex = BigInt(own?.leaseId ?? 0)
        .toString(16)
        .padStart(16, "0");
      expect(await server.ctl("lease", "timetolive", "--keys", hex)).toMatch(
        new RegExp(
          `^lease ${hex} granted with TTL\\(86400s\\), remaining\\(86[34]\\d\\ds\\), attached keys\\(\\[${key}\\]\\)$`,
        ),
      );

      const running = runAll(
        stop.signal,
        nodes.flatMap(({ manager }) => [
          (signal: AbortSignal) => manager.follow(signal),
          (signal: AbortSignal) => manager.hold(signal),
        ]),
      );
      await expect.poll(() => nodes.map(({ manager }) => manager.table.peers.length)).toEqual([2, 2, 2]);
      await server.ctl("lease", "revoke", hex);
      await expect.poll(() => server.ctl("get", "--print-value-only", key), { timeout: 5000 }).toContain("id-1");
      await expect.poll(() => nodes[0]?.manager.ownState).toBe("held");
      expect(nodes[0]?.manager.own?.leaseId).not.toBe(own?.leaseId);

      stop.abort();
      await running;
      // SIGTERM keeps the leases and gives up the sessions.
      const left = (await server.ctl("get", "--prefix", "--keys-only", `${prefix}/`))
        .split("\n")
        .filter((line) => line !== "");
      expect(left).toEqual([`${prefix}/config`, ...keys.toSorted()]);
      await nodes[0]?.manager.release();
      expect(await server.ctl("get", key)).toBe("");
    },
  );
});
