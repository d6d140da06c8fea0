import { expect, test, vi } from "vitest";
import { parseAddr } from "../addr/addr.ts";
import { seededRandom } from "../base/backoff.ts";
import { ConfigError } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { MemoryLogger } from "../base/logger.ts";
import type { LeaseAttrs } from "../lease/lease.ts";
import { MemoryEtcd } from "./memory-etcd.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { SubnetManager } from "./subnet-manager.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = `{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}`;
const attrs: LeaseAttrs = {
  publicIp: { 4: parseAddr("192.0.2.1") ?? expect.fail() },
  backendType: "host-gw",
  vtep: {},
};

function setUp() {
  const clock = new FakeClock();
  const etcd = new MemoryEtcd(clock);
  const registry = new MemoryRegistry(etcd, PREFIX);
  const log = new MemoryLogger();
  const manager = new SubnetManager({
    registry,
    clock,
    random: seededRandom(1),
    log,
    node: { id: "id-a", name: "a" },
    ttl: 86_400,
    renewMargin: 3600,
    prefix: PREFIX,
  });
  const stop = new AbortController();
  return { clock, etcd, registry, log, manager, stop, signal: stop.signal };
}

const reasons = (log: MemoryLogger): unknown[] =>
  log.lines.filter((line) => line.level === "warn").map((line) => line.fields["reason"]);

test("networkConfig waits, tells each problem once, and goes on when the config is right", async () => {
  const { clock, etcd, log, manager, signal } = setUp();
  const waiting = manager.networkConfig(signal);
  await clock.advance(5000);
  expect(manager.problem).toBe(`there is no network config: put one with etcdctl put ${PREFIX}/config '${CONFIG}'`);
  etcd.put(`${PREFIX}/config`, `{"Network":"10.5.0.0/33"}`);
  await clock.advance(5000);
  expect(manager.problem).toBe(
    `the network config at ${PREFIX}/config is wrong: ` +
      `Network "10.5.0.0/33" is no IPv4 network: write it as "10.5.0.0/16"`,
  );
  etcd.delete(`${PREFIX}/config`);
  await clock.advance(5000);
  expect(reasons(log).length).toBe(2);
  etcd.put(`${PREFIX}/config`, CONFIG);
  await clock.advance(1000);
  expect((await waiting).backend.type).toBe("vxlan");
  expect(manager.problem).toBeUndefined();
  expect(log.sentences("info")).toEqual(["network config found"]);
  expect(clock.pending).toBe(0);
});

test("networkConfig tells of settings for etcd that are no use as such, and goes on when they are", async () => {
  const { clock, etcd, registry, manager, signal } = setUp();
  etcd.put(`${PREFIX}/config`, CONFIG);
  const get = vi.spyOn(registry, "get").mockRejectedValue(new ConfigError(["cannot read the etcd CA certificate"]));
  const waiting = manager.networkConfig(signal);
  await clock.advance(2000);
  expect(manager.problem).toBe("cannot read the etcd CA certificate");
  get.mockRestore();
  await clock.advance(1000);
  expect((await waiting).backend.type).toBe("vxlan");
});

test("networkConfig rides out an etcd that does not answer", async () => {
  const { clock, etcd, log, manager, signal } = setUp();
  etcd.put(`${PREFIX}/config`, CONFIG);
  etcd.down = true;
  const waiting = manager.networkConfig(signal);
  await clock.advance(5000);
  expect(manager.problem).toBe("waiting for etcd to read the network config: no etcd answers at memory://etcd");
  expect(manager.registryState?.message).toBe("no etcd answers at memory://etcd");
  etcd.down = false;
  await clock.advance(1000);
  await waiting;
  expect(manager.registryState).toBeUndefined();
  expect(log.sentences("warn")).toEqual([
    "lost contact with etcd, going on with what is known",
    "waiting for the network config",
  ]);
});

test("an abort ends every wait with the signal's reason", async () => {
  const { clock, etcd, manager, stop, signal } = setUp();
  const config = manager.networkConfig(signal);
  etcd.down = true;
  const network = {
    network: {},
    subnetLen: {},
    subnetMin: {},
    subnetMax: {},
    enableNFTables: false,
    backend: { type: "host-gw" },
  } as const;
  const lease = manager.acquire({ network, attrs, previous: {} }, signal);
  await clock.advance(3000);
  stop.abort(new Error("enough"));
  await expect(config).rejects.toThrow("enough");
  await expect(lease).rejects.toThrow("enough");
  expect(clock.pending).toBe(0);
});

test("without Backend the leases decide: refused while one of flannel's udp nodes lives, then vxlan with one warning", async () => {
  const { clock, etcd, log, manager, signal } = setUp();
  etcd.put(`${PREFIX}/config`, `{"Network":"10.5.0.0/16"}`);
  const udp = `${PREFIX}/subnets/10.5.1.0-24`;
  etcd.put(udp, `{"PublicIP":"192.0.2.9","PublicIPv6":null}`, etcd.grant(3600));
  const waiting = manager.networkConfig(signal);
  await clock.advance(3000);
  expect(manager.problem).toContain("subnets/10.5.1.0-24, 10.5.1.0/24 of node 192.0.2.9");
  etcd.delete(udp);
  await clock.advance(3000);
  expect((await waiting).backend.type).toBe("vxlan");
  await manager.networkConfig(signal);
  expect(log.sentences("warn")).toEqual(["waiting for the network config", "network config is doubtful"]);
});

test("what the registry refuses for good is thrown", async () => {
  const { manager, registry, signal } = setUp();
  registry.get = () => Promise.reject(new Error("permission denied"));
  await expect(manager.networkConfig(signal)).rejects.toThrow("permission denied");
});

test("follow fills the table; our own lease and what lies outside the network are no peers", async () => {
  const { clock, etcd, manager, stop, signal } = setUp();
  etcd.put(`${PREFIX}/config`, CONFIG);
  etcd.put(`${PREFIX}/subnets/10.5.9.0-24`, `{"PublicIP":"192.0.2.9","BackendType":"vxlan"}`);
  etcd.put(`${PREFIX}/subnets/8.8.8.0-24`, `{"PublicIP":"192.0.2.8","BackendType":"vxlan"}`);
  const network = await manager.networkConfig(signal);
  await manager.acquire({ network, attrs, previous: {} }, signal);
  const following = manager.follow(signal);
  await clock.advance(1000);
  expect(manager.table.peers.map((lease) => lease.key)).toEqual(["subnets/10.5.9.0-24"]);
  expect(manager.table.leases.length).toBe(3);
  expect(manager.table.own).toEqual(manager.own);
  stop.abort();
  await following;
});

test("listeners hear of the lease, its loss and its return", async () => {
  const { clock, etcd, manager, stop, signal } = setUp();
  etcd.put(`${PREFIX}/config`, CONFIG);
  const network = await manager.networkConfig(signal);
  const states: string[] = [];
  const leave = manager.onChange(() => {
    if (states.at(-1) !== manager.ownState) states.push(manager.ownState);
  });
  await manager.acquire({ network, attrs, previous: {} }, signal);
  const running = Promise.all([manager.follow(signal), manager.hold(signal)]);
  await clock.advance(1000);
  etcd.revoke(manager.own?.leaseId ?? "");
  await clock.advance(1000);
  expect(states).toEqual(["held", "lost", "held"]);
  leave();
  stop.abort();
  await running;
  await manager.release();
  expect(states.length).toBe(3);
  expect(manager.ownState).toBe("none");
});

test("publish without a lease is an error", async () => {
  const { manager } = setUp();
  await expect(manager.publish(attrs)).rejects.toThrow("this node holds no lease");
});
