import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatAddr } from "../../pkg/addr/addr.ts";
import { DataplaneError } from "../../pkg/dataplane/dataplane.ts";
import { PREFIX, SimCluster, type SimNode } from "./sim-cluster.ts";

// An agent that runs, and what may befall it.
const MINUTE = 60_000;
const ONE_SUBNET = '{"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.1.0","Backend":{"Type":"vxlan"}}';

let cluster: SimCluster;
beforeEach(() => {
  cluster = new SimCluster();
});
afterEach(async () => {
  expect(await cluster.end(), "timers that were leaked").toBe(0);
});

/** Lets real time pass until `condition` holds: only where inotify has to bring the news. */
async function eventually(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !condition(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    await cluster.clock.advance(100);
  }
  expect(condition()).toBe(true);
}

test("those that join, change and leave are programmed", async () => {
  cluster.config();
  const [a, b] = [cluster.node(1), cluster.node(2)];
  await a.start();
  await b.start();
  expect(a.programmed?.peers).toEqual([b.key]);

  b.setAddress("192.0.2.77/24");
  b.route("0.0.0.0/0", "192.0.2.254");
  const key = b.key;
  await cluster.clock.advance(2 * MINUTE);
  expect(b.key).toBe(key);
  expect(cluster.leases()[key]).toMatchObject({ PublicIP: "192.0.2.77" });
  const [peer] = a.plane.programmed?.peers ?? [];
  expect(peer?.attrs.publicIp[4] && formatAddr(peer.attrs.publicIp[4])).toBe("192.0.2.77");
  // What was bound to the old address is of no use.
  expect(b.planes.map((plane) => plane.closed)).toEqual([true, false]);
  expect(b.programmed?.peers).toEqual([a.key]);
  expect(b.ready).toBe(true);

  await b.stop();
  const stored = cluster.etcd.get(`${PREFIX}/${key}`);
  cluster.etcd.revoke(stored?.leaseId ?? "");
  await cluster.clock.advance(1_000);
  expect(a.programmed?.peers).toEqual([]);
});

test("/readyz says which of lease, table and data plane is not as it should be", async () => {
  const failing = (node: SimNode): string[] =>
    node.agent
      .ready()
      .checks.filter(({ ok }) => !ok)
      .map(({ name, sentence }) => `${name}: ${sentence}`);
  const a = cluster.node(1);
  await a.start();
  expect(failing(a).map((line) => line.split(":")[0])).toEqual(["lease", "table", "dataplane"]);
  expect(a.agent.ready().ready).toBe(false);
  cluster.config();
  const b = cluster.node(2);
  await b.start();
  await cluster.clock.advance(MINUTE);
  expect(a.agent.ready().checks.map(({ sentence }) => sentence)).toEqual([
    expect.stringMatching(/^10\.5\.\d+\.0\/24 is held$/),
    expect.stringMatching(/^1 peers at revision \d+, followed$/),
    "tun carries 1 of 1 peers",
    "there is no packet loop here, the kernel carries the packets",
  ]);
  a.plane.failure = new Error("no room");
  await cluster.clock.advance(2 * MINUTE);
  expect(failing(a)).toEqual(["dataplane: cannot bring the data plane in sync: no room"]);
  expect(a.agent.ready().ready).toBe(false);
});

test("a packet loop that has stopped turning makes the node unready", async () => {
  cluster.config();
  const a = cluster.node(1);
  let turns = 1;
  a.prepare = (plane) => Object.assign(plane, { turns: () => [turns] });
  await a.start();
  await cluster.clock.advance(MINUTE);
  expect(a.agent.ready().ready).toBe(true);
  turns++;
  await cluster.clock.advance(MINUTE);
  expect(a.agent.ready().ready).toBe(true);
  await cluster.clock.advance(6_000);
  expect(a.agent.ready()).toMatchObject({ ready: false, reason: "the packet loop does not turn: restart twilld" });
  turns++;
  expect(a.agent.ready().ready).toBe(true);
});

test("one that fails is told once, tried again, and holds up nobody", async () => {
  cluster.config();
  const [a, b, c] = [cluster.node(1), cluster.node(2), cluster.node(3)];
  await a.start();
  await b.start();
  a.plane.failing.set(b.key, "no route to host");
  await c.start();
  await cluster.clock.advance(MINUTE);

  const states = Object.fromEntries(a.agent.status().peers.map((peer) => [peer.lease.key, peer]));
  expect(states[b.key]).toMatchObject({ state: "failed", reason: "no route to host" });
  expect(states[c.key]).toMatchObject({ state: "in-sync", reason: "" });
  expect(a.ready).toBe(true);
  expect(a.log.sentences("warn")).toEqual([
    "peer cannot be reached through the overlay, will retry",
    "out of sync, will retry",
  ]);

  a.plane.failing.clear();
  await cluster.clock.advance(MINUTE);
  expect(a.log.sentences("info").slice(-2)).toEqual(["peer in sync again", "in sync again"]);
  const rounds = a.plane.reconciles;
  await cluster.clock.advance(50_000);
  expect(a.plane.reconciles - rounds).toBeLessThan(3);
});

test("a lease of another wire format is no peer of the data plane", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  cluster.etcd.put(
    `${PREFIX}/subnets/10.5.200.0-24`,
    '{"PublicIP":"192.0.2.9","PublicIPv6":null,"BackendType":"host-gw"}',
  );
  await cluster.clock.advance(1_000);
  expect(node.programmed?.peers).toEqual([]);
  expect(node.agent.leases()).toHaveLength(2);
});

test("etcd gone: the data plane goes on, the agent says so, and catches up", async () => {
  cluster.config();
  const [a, b, c] = [cluster.node(1), cluster.node(2), cluster.node(3)];
  await a.start();
  await b.start();
  a.registry.cutOff = true;
  await cluster.clock.advance(10 * MINUTE);
  expect(a.agent.status()).toMatchObject({ ready: true, etcd: { connected: false } });
  expect(a.agent.status().problems.join()).toContain("etcd");
  expect(a.programmed?.peers).toEqual([b.key]);
  expect(a.log.sentences("warn")).toHaveLength(1);
  await c.start();
  expect(a.programmed?.peers).toEqual([b.key]);
  a.registry.cutOff = false;
  await cluster.clock.advance(10_000);
  expect(a.agent.status()).toMatchObject({ ready: true, etcd: { connected: true }, problems: [] });
  expect(new Set(a.programmed?.peers)).toEqual(new Set([b.key, c.key]));
});

/** The peers that each of the node's passes was asked for, from now on. */
function passesOf({ plane }: SimNode): string[][] {
  const passes: string[][] = [];
  const reconcile = plane.reconcile.bind(plane);
  plane.reconcile = (want) => {
    passes.push(want.peers.map((peer) => peer.key));
    return reconcile(want);
  };
  return passes;
}

test("etcd that comes back empty: no live peer is ever without a route, a dead one goes after five minutes", async () => {
  cluster.config();
  const [a, b, dead] = [cluster.node(1), cluster.node(2), cluster.node(3)];
  for (const node of [a, b, dead]) await node.start();
  const keys = [a.key, b.key];
  await dead.stop();
  const passes = passesOf(a);
  b.registry.cutOff = true;
  cluster.etcd.wipe();
  cluster.config();
  await cluster.clock.advance(10_000);
  b.registry.cutOff = false;
  await cluster.clock.advance(MINUTE);
  expect(Object.keys(cluster.leases()).toSorted()).toEqual(keys.toSorted());
  expect(passes.length).toBeGreaterThan(0);
  expect(passes.filter((peers) => !peers.includes(b.key))).toEqual([]);
  expect(passes.at(-1)).toContain(dead.key);
  expect(a.log.sentences("warn")).toEqual([
    "etcd has lost its history, keeping what was known for a while",
    "not ready, no new pods",
    "lease lost",
  ]);
  await cluster.clock.advance(5 * MINUTE);
  expect(a.programmed?.peers).toEqual([b.key]);
});

test("etcd emptied while the agent was stopped: it keeps what it knew until the others are back", async () => {
  cluster.config();
  const [a, b] = [cluster.node(1), cluster.node(2)];
  await a.start();
  await b.start();
  await cluster.clock.advance(2_000);
  const { key } = b;
  await a.stop();
  b.registry.cutOff = true;
  cluster.etcd.wipe();
  cluster.config();
  await a.start();
  await cluster.clock.advance(5_000);
  expect(a.ready).toBe(true);
  expect(a.programmed?.peers).toEqual([key]);
  b.registry.cutOff = false;
  await cluster.clock.advance(MINUTE);
  await cluster.clock.advance(5 * MINUTE);
  expect(a.programmed?.peers).toEqual([key]);
});

test("a lost lease is taken back, the same subnet", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  const key = node.key;
  cluster.etcd.delete(`${PREFIX}/${key}`);
  await cluster.clock.advance(10_000);
  expect(Object.keys(cluster.leases())).toEqual([key]);
  expect(node.ready).toBe(true);
});

test("a subnet that somebody else holds now is a conflict: pods stay, none are added, and it heals", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  const key = node.key;
  const { programmed } = node;
  cluster.etcd.put(`${PREFIX}/${key}`, '{"PublicIP":"192.0.2.99","PublicIPv6":null,"BackendType":"vxlan"}');
  await cluster.clock.advance(10_000);
  expect(node.agent.status()).toMatchObject({ ready: false, lease: { key } });
  expect(node.cni).toMatchObject({ state: "conflict", message: expect.stringContaining("192.0.2.99") });
  expect(node.agent.ready().reason).toContain("192.0.2.99");
  expect(node.programmed).toEqual(programmed);
  expect(node.subnetEnv).toBeDefined();

  cluster.etcd.delete(`${PREFIX}/${key}`);
  await cluster.clock.advance(5 * MINUTE);
  expect(node.ready).toBe(true);
  expect(node.cni).toMatchObject({ state: "ready" });
  expect(cluster.leases()[key]).toMatchObject({ PublicIP: "192.0.2.1" });
});

async function twoWithOneAddress(): Promise<[SimNode, SimNode]> {
  cluster.config();
  const [a, b] = [cluster.node(1), cluster.node(2)];
  b.setAddress("192.0.2.1/24");
  b.route("0.0.0.0/0", "192.0.2.254");
  await a.start();
  await b.start();
  await cluster.clock.advance(5 * MINUTE);
  return [a, b];
}

test("two live nodes with one public address: the second is refused until the first has gone", async () => {
  const [a, b] = await twoWithOneAddress();
  expect(a.ready).toBe(true);
  expect(b.cni).toMatchObject({ state: "conflict", message: expect.stringMatching(/node1.*node2/) });
  expect(b.subnetEnv).toBeUndefined();
  expect(b.log.sentences("error")).toEqual(["no lease, will retry"]);
  await a.stop();
  await cluster.clock.advance(MINUTE);
  expect(b.ready).toBe(true);
});

test("a node that was refused for its address joins with the next that it is given", async () => {
  const [a, b] = await twoWithOneAddress();
  expect(b.cni).toMatchObject({ state: "conflict" });
  b.setAddress("192.0.2.2/24");
  b.route("0.0.0.0/0", "192.0.2.254");
  await cluster.clock.advance(MINUTE);
  expect(b.ready).toBe(true);
  expect(cluster.leases()[b.key]).toMatchObject({ PublicIP: "192.0.2.2" });
  expect(a.programmed?.peers).toEqual([b.key]);
});

test("a data plane that dies while the node waits for a lease is opened anew", async () => {
  cluster.config(ONE_SUBNET);
  cluster.etcd.put(`${PREFIX}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.9","PublicIPv6":null,"BackendType":"vxlan"}');
  const node = cluster.node(1);
  await node.start();
  node.plane.die(new Error("the packet loop died"));
  await cluster.clock.advance(MINUTE);
  expect(node.planes).toHaveLength(2);
  expect(node.plane.closed).toBe(false);
});

test("what changes on the host while a node waits for a lease is seen before it is ready", async () => {
  cluster.config(ONE_SUBNET);
  cluster.etcd.put(`${PREFIX}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.9","PublicIPv6":null,"BackendType":"vxlan"}');
  const node = cluster.node(1);
  await node.start();
  await cluster.clock.advance(10_000);
  await node.host.apply([{ kind: "link", dev: "eth0", mtu: 9000 }]);
  await cluster.clock.advance(5_000);
  cluster.etcd.delete(`${PREFIX}/subnets/10.5.1.0-24`);
  let mtu: number | undefined;
  node.onLog = (sentence) => {
    if (sentence === "ready") mtu = node.subnetEnv?.mtu;
  };
  await cluster.clock.advance(MINUTE);
  expect(mtu).toBe(8950);
});

test("out of subnets is told, and ends when one is free", async () => {
  cluster.config(ONE_SUBNET);
  cluster.etcd.put(`${PREFIX}/subnets/10.5.1.0-24`, '{"PublicIP":"192.0.2.9","PublicIPv6":null,"BackendType":"vxlan"}');
  const node = cluster.node(1);
  await node.start();
  await cluster.clock.advance(MINUTE);
  expect(node.ready).toBe(false);
  // The table has not been read: what is free in it says nothing.
  expect(node.agent.measurements().freeSubnets).toEqual([]);
  expect(node.log.sentences("error")).toEqual(["no lease, will retry"]);
  cluster.etcd.delete(`${PREFIX}/subnets/10.5.1.0-24`);
  await cluster.clock.advance(MINUTE);
  expect(node.ready).toBe(true);
  expect(node.agent.measurements().freeSubnets).toEqual([{ family: 4, free: 0n }]);
});

test("out of subnets ends when the network config is widened, and not before", async () => {
  cluster.config(ONE_SUBNET);
  const [a, b] = [cluster.node(1), cluster.node(2)];
  await a.start();
  await b.start();
  await cluster.clock.advance(2 * MINUTE);
  expect(b.agent.status().problems.join()).toContain("or widen the network config");
  // While there is none of use, what was read before stays.
  cluster.config("{");
  await cluster.clock.advance(2 * MINUTE);
  expect(b.agent.status().problems.join()).toContain("no free /24 is left");
  expect(b.agent.status().problems.join()).toContain("stays in use");
  cluster.config();
  await cluster.clock.advance(MINUTE);
  expect(b.agent.status()).toMatchObject({ ready: true, problems: [] });
  expect(b.programmed?.peers).toEqual([a.key]);
  expect(b.planes).toHaveLength(2);
  expect(b.log.sentences("error")).toEqual(["no lease, will retry"]);
});

test("a subnet.env that is deleted or changed is written again at once", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  const { subnetFile } = node.config;
  const text = readFileSync(subnetFile, "utf8");
  rmSync(subnetFile);
  await eventually(() => existsSync(subnetFile));
  writeFileSync(subnetFile, "FLANNEL_MTU=9000\n");
  await eventually(() => readFileSync(subnetFile, "utf8") === text);
  expect(new Set(node.log.sentences("warn"))).toEqual(
    new Set(["somebody changed or removed subnet.env, written again"]),
  );
});

test("a subnet.env that cannot be written takes no new pods, and is tried again", async () => {
  cluster.config();
  const node = cluster.node(1);
  const { subnetFile } = node.config;
  // As on a full disk, where it cannot be made either.
  mkdirSync(`${subnetFile}.0.tmp`, { recursive: true });
  mkdirSync(subnetFile);
  await node.start();
  await cluster.clock.advance(MINUTE);
  expect(node.ready).toBe(false);
  expect(node.cni).toMatchObject({ state: "not-ready", message: expect.stringContaining("subnet.env") });
  rmSync(subnetFile, { recursive: true });
  await cluster.clock.advance(2 * MINUTE);
  expect(node.ready).toBe(true);
  expect(node.cni).toMatchObject({ state: "ready" });
});

test("a run directory that is wiped is filled again at the next resync", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  rmSync(node.config.runDir, { recursive: true });
  await cluster.clock.advance(61_000);
  expect(node.subnetEnv).toBeDefined();
  expect(node.cni).toMatchObject({ state: "ready" });
});

test("another network config at run time is told once and changes nothing", async () => {
  cluster.config();
  const [a, b] = [cluster.node(1), cluster.node(2)];
  await a.start();
  await b.start();
  cluster.config('{"Network":"10.9.0.0/16","Backend":{"Type":"vxlan"}}');
  await cluster.clock.advance(10 * MINUTE);
  expect(a.log.sentences("warn")).toEqual(["the network config has changed, restart to apply it"]);
  expect(a.agent.status().problems.join()).toContain("restart twilld");
  expect(a.programmed?.peers).toEqual([b.key]);
  expect(a.ready).toBe(true);
  cluster.config();
  await cluster.clock.advance(2 * MINUTE);
  expect(a.agent.status().problems).toEqual([]);
});

test("a data plane out of sync takes no new pods, is retried, and told once", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  node.plane.failure = new Error("the link is gone");
  await cluster.clock.advance(5 * MINUTE);
  expect(node.cni).toMatchObject({ state: "limited", message: expect.stringContaining("the link is gone") });
  expect(node.log.sentences("warn")).toEqual(["not ready, no new pods", "out of sync, will retry"]);
  node.plane.failure = undefined;
  await cluster.clock.advance(MINUTE);
  expect(node.cni).toMatchObject({ state: "ready" });
  expect(node.log.sentences("info").slice(-2)).toEqual(["ready", "in sync again"]);
});

test("traffic rules that cannot be set are a problem, not a reason to stop", async () => {
  cluster.config();
  const node = cluster.node(1);
  node.host.failNext("setNftTable", "Operation not permitted", 1_000);
  await node.start();
  expect(node.ready).toBe(true);
  expect(node.agent.status().problems.join()).toContain("masquerade");
  expect(node.log.sentences("warn")).toEqual(["out of sync, will retry"]);
});

test("a data plane that dies is opened anew, and the lease stays", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  const { key } = node;
  const first = node.plane;
  first.die(new Error("the TUN device twill.1 is gone"));
  await cluster.clock.advance(10);
  expect(node.cni).toMatchObject({ state: "limited", message: expect.stringContaining("twill.1 is gone") });
  await cluster.clock.advance(2_000);
  expect(node.plane).not.toBe(first);
  expect(node.plane.programmed?.own.key).toBe(key);
  expect(node.cni).toMatchObject({ state: "ready" });
  expect(node.agent.status().problems).toEqual([]);
  expect(Object.keys(cluster.leases())).toHaveLength(1);
});

test("a data plane that dies before there is a lease does not end the agent", async () => {
  cluster.config();
  const node = cluster.node(1);
  node.prepare = (plane) => {
    node.prepare = () => undefined;
    const open = plane.open.bind(plane);
    plane.open = async (underlay) => {
      const attrs = await open(underlay);
      plane.die(new Error("the packet loop died"));
      return attrs;
    };
  };
  await node.start();
  await cluster.clock.advance(MINUTE);
  expect(node.result).toBeUndefined();
  expect(node.planes).toHaveLength(2);
  expect(node.ready).toBe(true);
});

test("a data plane that dies again and again is opened more and more rarely", async () => {
  cluster.config();
  const node = cluster.node(1);
  node.prepare = (plane) => void cluster.clock.after(1_000, () => plane.die(new Error("the packet loop died")));
  await node.start();
  await cluster.clock.advance(MINUTE);
  const opened = node.planes.length;
  expect(opened).toBeGreaterThan(5);
  await cluster.clock.advance(10 * MINUTE);
  expect(node.planes.length - opened).toBeLessThan(50);
  node.prepare = () => undefined;
  await cluster.clock.advance(MINUTE);
  expect(node.ready).toBe(true);
});

test("the agent stops while a dead data plane waits to be opened", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  node.plane.die(new Error("the packet loop died"));
  await node.stop();
  expect(node.result).toBe("stopped");
});

test("a data plane that cannot be opened on a new underlay address is tried again", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  node.prepare = (plane) => (plane.failure = new DataplaneError("address not available"));
  node.setAddress("192.0.2.77/24");
  node.route("0.0.0.0/0", "192.0.2.254");
  await cluster.clock.advance(5 * MINUTE);
  expect(node.cni).toMatchObject({ state: "limited", message: expect.stringContaining("address not available") });
  node.prepare = () => undefined;
  await cluster.clock.advance(MINUTE);
  expect(node.ready).toBe(true);
  expect(cluster.leases()[node.key]).toMatchObject({ PublicIP: "192.0.2.77" });
});

test("an underlay that is gone for a while leaves everything as it is", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  await node.host.apply([{ kind: "link", dev: "eth0", up: false }]);
  await cluster.clock.advance(5 * MINUTE);
  expect(node.ready).toBe(true);
  expect(node.agent.status().problems.join()).toContain("default route");
  expect(node.planes).toHaveLength(1);
});

test("a changed underlay MTU reaches subnet.env", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  await node.host.apply([{ kind: "link", dev: "eth0", mtu: 9000 }]);
  await cluster.clock.advance(2 * MINUTE);
  expect(node.subnetEnv?.mtu).toBe(8950);
  expect(node.agent.status().underlay).toMatchObject({ interface: "eth0", mtu: 9000 });
});
