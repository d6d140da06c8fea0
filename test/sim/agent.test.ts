import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatAddr } from "../../pkg/addr/addr.ts";
import { formatInterfaceAddr, formatPrefix } from "../../pkg/addr/prefix.ts";
import { DataplaneError } from "../../pkg/dataplane/dataplane.ts";
import { PREFIX, SimCluster, type SimNode } from "./sim-cluster.ts";

// Real agents on an etcd, hosts and data planes in memory, on a clock that the test moves.

const MINUTE = 60_000;

let cluster: SimCluster;
beforeEach(() => {
  cluster = new SimCluster();
});
afterEach(async () => {
  expect(await cluster.end(), "timers that were leaked").toBe(0);
});

function advance(ms: number): Promise<void> {
  return cluster.clock.advance(ms);
}

/** Lets real time pass until `condition` holds: only where inotify has to bring the news. */
async function eventually(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !condition(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    await advance(0);
  }
  expect(condition()).toBe(true);
}

function ownKey(node: SimNode): string {
  const key = node.agent.status().lease?.key;
  if (key === undefined) throw new Error("the node has no lease");
  return key;
}

function isReady(node: SimNode): boolean {
  return node.agent.status().ready;
}

describe("start", () => {
  test("a node leases a subnet, programs it, and then says so: subnet.env, cni-status, one log line", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();

    const leases = cluster.leases();
    expect(Object.keys(leases)).toEqual([ownKey(node)]);
    expect(Object.values(leases)[0]).toMatchObject({
      PublicIP: "192.0.2.1",
      PublicIPv6: null,
      BackendType: "vxlan",
      NodeName: "node1",
      Dataplane: "tun",
    });
    expect(node.programmed).toEqual({ own: ownKey(node), peers: [] });
    const env = node.subnetEnv;
    expect(env?.network[4]?.map(formatPrefix)).toEqual(["10.5.0.0/16"]);
    expect(env?.subnet[4] && formatInterfaceAddr(env.subnet[4])).toBe(
      ownKey(node).replace("subnets/", "").replace(".0-24", ".1/24"),
    );
    expect(env).toMatchObject({ mtu: 1450, ipMasq: true });
    expect(node.cni).toMatchObject({ state: "ready" });
    expect(node.log.lines.filter((line) => line.sentence === "ready")).toEqual([
      { level: "info", sentence: "ready", fields: { subnet: expect.any(String), dataplane: "tun", mtu: 1450 } },
    ]);
    expect(node.log.sentences("warn")).toEqual([]);
    expect(node.agent.ready()).toEqual({ ready: true, reason: "ready" });
  });

  test("nothing is claimed before the data plane is in sync", async () => {
    cluster.config();
    const node = cluster.node(1);
    node.prepare = (plane) => {
      plane.reconcile = () => Promise.reject(new Error("cannot add a route"));
    };
    await node.start();
    await advance(10 * MINUTE);
    expect(node.subnetEnv).toBeUndefined();
    expect(node.cni).toMatchObject({ state: "not-ready", message: expect.stringContaining("cannot add a route") });
    expect(node.agent.ready()).toMatchObject({ ready: false, reason: expect.stringContaining("cannot add a route") });
    expect(node.log.sentences("warn")).toEqual(["out of sync, will retry"]);
  });

  test("the peers that are there are programmed before the node is ready", async () => {
    cluster.config();
    const first = cluster.node(1);
    await first.start();
    const second = cluster.node(2);
    let atReady: unknown;
    second.onLog = (sentence) => {
      if (sentence === "ready") atReady = second.programmed?.peers;
    };
    await second.start();
    expect(atReady).toEqual([ownKey(first)]);
    expect(first.programmed?.peers).toEqual([ownKey(second)]);
  });

  test("without a network config it waits, says what is missing, and goes on when it is there", async () => {
    const node = cluster.node(1);
    await node.start();
    await advance(5 * MINUTE);
    expect(isReady(node)).toBe(false);
    expect(node.agent.ready().reason).toContain(`etcdctl put ${PREFIX}/config`);
    expect(node.cni).toMatchObject({ state: "not-ready", message: expect.stringContaining("etcdctl put") });
    cluster.config('{"Network":"10.5.0.0/30"}');
    await advance(2_000);
    expect(node.agent.ready().reason).toContain("Network");
    cluster.config();
    await advance(2_000);
    expect(isReady(node)).toBe(true);
  });

  test("without etcd it waits and says so", async () => {
    cluster.config();
    cluster.etcd.down = true;
    const node = cluster.node(1);
    await node.start();
    await advance(MINUTE);
    expect(node.agent.status()).toMatchObject({ ready: false, etcd: { connected: false } });
    expect(node.planes).toEqual([]);
    cluster.etcd.down = false;
    await advance(10_000);
    expect(node.agent.status()).toMatchObject({ ready: true, etcd: { connected: true, error: "" }, problems: [] });
  });

  test("without an underlay it waits, and names the interfaces that there are", async () => {
    cluster.config();
    const node = cluster.node(1, {
      underlay: { iface: ["eth7"], ifaceRegex: [], ifaceCanReach: undefined, publicIp: {} },
    });
    await node.start();
    await advance(MINUTE);
    expect(node.agent.ready().reason).toMatch(/eth7.*eth0/);
    expect(node.log.sentences("warn")).toEqual(["no usable underlay, will retry"]);
    expect(cluster.leases()).toEqual({});
  });

  test("a host that cannot carry packets ends the agent, and no lease was taken", async () => {
    cluster.config();
    const node = cluster.node(1);
    node.prepare = (plane) => (plane.failure = new DataplaneError("there is no /dev/net/tun"));
    await node.start();
    expect(node.result).toBeInstanceOf(DataplaneError);
    expect(cluster.leases()).toEqual({});
  });

  const families = [
    { name: "dual stack", config: '{"EnableIPv6":true,"Network":"10.5.0.0/16","IPv6Network":"fd05::/48",', mtu: 1430 },
    { name: "IPv6 only", config: '{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fd05::/48",', mtu: 1430 },
  ];
  for (const { name, config, mtu } of families) {
    test(`${name}: two nodes find each other, and subnet.env has the smaller MTU`, async () => {
      cluster.config(`${config}"Backend":{"Type":"vxlan"}}`);
      const [a, b] = [cluster.node(1), cluster.node(2)];
      await a.start();
      await b.start();
      expect(a.subnetEnv?.mtu).toBe(mtu);
      expect(a.subnetEnv?.network[6]?.map(formatPrefix)).toEqual(["fd05::/48"]);
      expect(a.programmed?.peers).toEqual([ownKey(b)]);
      expect(b.programmed?.peers).toEqual([ownKey(a)]);
    });
  }

  test("a second agent on the same state directory is refused by name", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    const clone = cluster.node(2, { stateDir: node.config.stateDir });
    await clone.start();
    expect(clone.result).toMatchObject({ message: expect.stringContaining("another twilld (pid 1001)") });
    expect(isReady(node)).toBe(true);
  });
});

describe("restart", () => {
  test("subnet, VTEP MAC and node id stay, and no key is written anew", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    const before = cluster.leases();
    const revision = cluster.etcd.get(`${PREFIX}/${ownKey(node)}`)?.modRevision;
    await node.stop();
    rmSync(node.config.subnetFile);
    await node.start();
    expect(cluster.leases()).toEqual(before);
    expect(cluster.etcd.get(`${PREFIX}/${ownKey(node)}`)?.modRevision).toBe(revision);
    expect(isReady(node)).toBe(true);
  });

  test("a node that lost its state takes its old lease back by its address, once its old self is dead", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    const key = ownKey(node);
    await node.stop();
    rmSync(join(node.config.stateDir, "state.json"));
    await node.start();
    await advance(40_000);
    expect(ownKey(node)).toBe(key);
    expect(Object.keys(cluster.leases())).toEqual([key]);
  });

  test("with etcd down it carries packets from the last table, and catches up without a gap", async () => {
    cluster.config();
    const [a, b, c] = [cluster.node(1), cluster.node(2), cluster.node(3)];
    await a.start();
    await b.start();
    await advance(2_000);
    await a.stop();
    rmSync(a.config.subnetFile);
    cluster.etcd.down = true;
    await a.start();
    await advance(5_000);

    expect(a.programmed).toEqual({ own: ownKey(a), peers: [ownKey(b)] });
    expect(a.agent.status()).toMatchObject({ ready: true, etcd: { connected: false } });
    expect(a.agent.ready().reason).toContain("etcd");
    expect(a.subnetEnv).toBeDefined();
    expect(a.cni).toMatchObject({ state: "ready" });

    const seen: string[][] = [];
    const { plane } = a;
    const reconcile = plane.reconcile.bind(plane);
    plane.reconcile = (want) => {
      seen.push(want.peers.map((peer) => peer.key));
      return reconcile(want);
    };
    cluster.etcd.down = false;
    await advance(15_000);
    await c.start();
    await advance(1_000);
    expect(a.agent.status()).toMatchObject({ ready: true, etcd: { connected: true }, problems: [] });
    expect(seen.filter((peers) => !peers.includes(ownKey(b)))).toEqual([]);
    expect(new Set(seen.at(-1))).toEqual(new Set([ownKey(b), ownKey(c)]));
    expect(a.planes).toHaveLength(2);
  });

  test("with etcd down and the lease run out it carries packets and hands out nothing new", async () => {
    cluster.config();
    const times = { leaseTtl: 120, renewMargin: 60 };
    const [a, b] = [cluster.node(1, times), cluster.node(2)];
    await a.start();
    await b.start();
    await advance(2_000);
    await a.stop();
    cluster.etcd.down = true;
    await advance(3 * MINUTE);
    await a.start();
    await advance(5_000);
    expect(a.programmed?.peers).toEqual([ownKey(b)]);
    expect(isReady(a)).toBe(false);
    expect(a.cni).toMatchObject({ state: "not-ready" });
    cluster.etcd.down = false;
    await advance(15_000);
    expect(isReady(a)).toBe(true);
  });

  test("a network config that changed meanwhile is applied, though the state says otherwise", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    await advance(2_000);
    await node.stop();
    cluster.config('{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":7}}');
    await node.start();
    await advance(1_000);
    expect(isReady(node)).toBe(true);
    expect(cluster.leases()[ownKey(node)]).toMatchObject({ BackendData: { VNI: 7 } });
  });

  test("a state file that makes no sense is told and replaced", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    await node.stop();
    const path = join(node.config.stateDir, "state.json");
    writeFileSync(path, '{"version":1,');
    await node.start();
    expect(node.log.sentences("warn")[0]).toBe("cannot read the state of the last run, starting as a new node");
    expect(readFileSync(`${path}.corrupt`, "utf8")).toBe('{"version":1,');
    await advance(40_000);
    expect(isReady(node)).toBe(true);
  });
});

describe("peers", () => {
  test("those that join, change and leave are programmed", async () => {
    cluster.config();
    const [a, b] = [cluster.node(1), cluster.node(2)];
    await a.start();
    await b.start();
    expect(a.programmed?.peers).toEqual([ownKey(b)]);

    b.setAddress("192.0.2.77/24");
    b.route("0.0.0.0/0", "192.0.2.254");
    const key = ownKey(b);
    await advance(2 * MINUTE);
    expect(ownKey(b)).toBe(key);
    expect(cluster.leases()[key]).toMatchObject({ PublicIP: "192.0.2.77" });
    const [peer] = a.plane.programmed?.peers ?? [];
    expect(peer?.attrs.publicIp[4] && formatAddr(peer.attrs.publicIp[4])).toBe("192.0.2.77");

    await b.stop();
    const stored = cluster.etcd.get(`${PREFIX}/${key}`);
    cluster.etcd.revoke(stored?.leaseId ?? "");
    await advance(1_000);
    expect(a.programmed?.peers).toEqual([]);
  });

  test("one that fails is told once, tried again, and holds up nobody", async () => {
    cluster.config();
    const [a, b, c] = [cluster.node(1), cluster.node(2), cluster.node(3)];
    await a.start();
    await b.start();
    a.plane.failing.set(ownKey(b), "no route to host");
    await c.start();
    await advance(MINUTE);

    const states = Object.fromEntries(a.agent.status().peers.map((peer) => [peer.lease.key, peer]));
    expect(states[ownKey(b)]).toMatchObject({ state: "failed", reason: "no route to host" });
    expect(states[ownKey(c)]).toMatchObject({ state: "in-sync", reason: "" });
    expect(isReady(a)).toBe(true);
    expect(a.log.sentences("warn")).toEqual([
      "peer cannot be reached through the overlay, will retry",
      "out of sync, will retry",
    ]);

    a.plane.failing.clear();
    await advance(MINUTE);
    expect(a.log.sentences("info").slice(-2)).toEqual(["peer in sync again", "in sync again"]);
    const rounds = a.plane.reconciles;
    await advance(50_000);
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
    await advance(1_000);
    expect(node.programmed?.peers).toEqual([]);
    expect(node.agent.leases()).toHaveLength(2);
  });
});

describe("trouble", () => {
  test("etcd gone: the data plane goes on, the agent says so, and catches up", async () => {
    cluster.config();
    const [a, b, c] = [cluster.node(1), cluster.node(2), cluster.node(3)];
    await a.start();
    await b.start();
    a.registry.cutOff = true;
    await advance(10 * MINUTE);
    expect(a.agent.status()).toMatchObject({ ready: true, etcd: { connected: false } });
    expect(a.agent.status().problems.join()).toContain("etcd");
    expect(a.programmed?.peers).toEqual([ownKey(b)]);
    expect(a.log.sentences("warn")).toHaveLength(1);
    await c.start();
    expect(a.programmed?.peers).toEqual([ownKey(b)]);
    a.registry.cutOff = false;
    await advance(10_000);
    expect(a.agent.status()).toMatchObject({ ready: true, etcd: { connected: true }, problems: [] });
    expect(new Set(a.programmed?.peers)).toEqual(new Set([ownKey(b), ownKey(c)]));
  });

  test("a lost lease is taken back, the same subnet", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    const key = ownKey(node);
    cluster.etcd.delete(`${PREFIX}/${key}`);
    await advance(10_000);
    expect(Object.keys(cluster.leases())).toEqual([key]);
    expect(isReady(node)).toBe(true);
  });

  test("a subnet that somebody else holds now is a conflict: pods stay, none are added, and it heals", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    const key = ownKey(node);
    const { programmed } = node;
    cluster.etcd.put(`${PREFIX}/${key}`, '{"PublicIP":"192.0.2.99","PublicIPv6":null,"BackendType":"vxlan"}');
    await advance(10_000);
    expect(node.agent.status()).toMatchObject({ ready: false, lease: { key } });
    expect(node.cni).toMatchObject({ state: "conflict", message: expect.stringContaining("192.0.2.99") });
    expect(node.agent.ready().reason).toContain("192.0.2.99");
    expect(node.programmed).toEqual(programmed);
    expect(node.subnetEnv).toBeDefined();

    cluster.etcd.delete(`${PREFIX}/${key}`);
    await advance(5 * MINUTE);
    expect(isReady(node)).toBe(true);
    expect(node.cni).toMatchObject({ state: "ready" });
    expect(cluster.leases()[key]).toMatchObject({ PublicIP: "192.0.2.1" });
  });

  test("two live nodes with one public address: the second is refused until the first has gone", async () => {
    cluster.config();
    const [a, b] = [cluster.node(1), cluster.node(2)];
    b.setAddress("192.0.2.1/24");
    b.route("0.0.0.0/0", "192.0.2.254");
    await a.start();
    await b.start();
    await advance(5 * MINUTE);
    expect(isReady(a)).toBe(true);
    expect(b.cni).toMatchObject({ state: "conflict", message: expect.stringMatching(/node1.*node2/) });
    expect(b.subnetEnv).toBeUndefined();
    expect(b.log.sentences("error")).toEqual(["no lease, will retry"]);
    await a.stop();
    await advance(MINUTE);
    expect(isReady(b)).toBe(true);
  });

  test("out of subnets is told, and ends when one is free", async () => {
    cluster.config(
      '{"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.1.0","Backend":{"Type":"vxlan"}}',
    );
    cluster.etcd.put(
      `${PREFIX}/subnets/10.5.1.0-24`,
      '{"PublicIP":"192.0.2.9","PublicIPv6":null,"BackendType":"vxlan"}',
    );
    const node = cluster.node(1);
    await node.start();
    await advance(MINUTE);
    expect(isReady(node)).toBe(false);
    expect(node.log.sentences("error")).toEqual(["no lease, will retry"]);
    cluster.etcd.delete(`${PREFIX}/subnets/10.5.1.0-24`);
    await advance(MINUTE);
    expect(isReady(node)).toBe(true);
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

  test("a run directory that is wiped is filled again at the next resync", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    rmSync(node.config.runDir, { recursive: true });
    await advance(61_000);
    expect(node.subnetEnv).toBeDefined();
    expect(node.cni).toMatchObject({ state: "ready" });
  });

  test("another network config at run time is told once and changes nothing", async () => {
    cluster.config();
    const [a, b] = [cluster.node(1), cluster.node(2)];
    await a.start();
    await b.start();
    cluster.config('{"Network":"10.9.0.0/16","Backend":{"Type":"vxlan"}}');
    await advance(10 * MINUTE);
    expect(a.log.sentences("warn")).toEqual(["the network config has changed, restart to apply it"]);
    expect(a.agent.status().problems.join()).toContain("restart twilld");
    expect(a.programmed?.peers).toEqual([ownKey(b)]);
    expect(isReady(a)).toBe(true);
    cluster.config();
    await advance(2 * MINUTE);
    expect(a.agent.status().problems).toEqual([]);
  });

  test("a data plane out of sync takes no new pods, is retried, and told once", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    node.plane.failure = new Error("the link is gone");
    await advance(5 * MINUTE);
    expect(node.cni).toMatchObject({ state: "limited", message: expect.stringContaining("the link is gone") });
    expect(node.log.sentences("warn")).toEqual(["not ready, no new pods", "out of sync, will retry"]);
    node.plane.failure = undefined;
    await advance(MINUTE);
    expect(node.cni).toMatchObject({ state: "ready" });
    expect(node.log.sentences("info").slice(-2)).toEqual(["ready", "in sync again"]);
  });

  test("traffic rules that cannot be set are a problem, not a reason to stop", async () => {
    cluster.config();
    const node = cluster.node(1);
    node.host.failNext("setNftTable", "Operation not permitted", 1_000);
    await node.start();
    expect(isReady(node)).toBe(true);
    expect(node.agent.status().problems.join()).toContain("masquerade");
    expect(node.log.sentences("warn")).toEqual(["out of sync, will retry"]);
  });

  test("a data plane that dies ends the agent with what it died of", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    node.plane.die(new Error("the packet loop died"));
    await advance(2_000);
    expect(node.result).toMatchObject({ message: "the packet loop died" });
    expect(node.cni).toMatchObject({ state: "limited" });
    expect(Object.keys(cluster.leases())).toHaveLength(1);
  });

  test("a changed underlay MTU reaches subnet.env", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    await node.host.apply([{ kind: "link", dev: "eth0", mtu: 9000 }]);
    await advance(2 * MINUTE);
    expect(node.subnetEnv?.mtu).toBe(8950);
    expect(node.agent.status().underlay).toMatchObject({ interface: "eth0", mtu: 9000 });
  });
});

describe("stop", () => {
  test("keeps the lease and subnet.env, gives up the session, and says that it stopped", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    const leases = cluster.leases();
    const { result, ms } = await node.stop();
    expect({ result, ms }).toEqual({ result: "stopped", ms: 0 });
    expect(cluster.leases()).toEqual(leases);
    expect(node.subnetEnv).toBeDefined();
    expect(node.cni).toMatchObject({ state: "limited", message: expect.stringContaining("stopped") });
    expect(node.plane.closed).toBe(true);
    expect(cluster.etcd.range(`${PREFIX}/twill/`)).toEqual([]);
  });

  const never = (): Promise<never> => new Promise(() => undefined);
  const cases: { name: string; before: (node: SimNode) => void; within: number }[] = [
    { name: "waiting for etcd", before: () => (cluster.etcd.down = true), within: 0 },
    { name: "waiting for the network config", before: () => cluster.etcd.delete(`${PREFIX}/config`), within: 0 },
    {
      name: "waiting for an underlay",
      before: (node) => void node.host.apply([{ kind: "delete-link", dev: "eth0" }]),
      within: 0,
    },
    {
      name: "while the data plane is being opened and hangs",
      before: (node) => (node.prepare = (plane) => (plane.open = never)),
      within: 1_500,
    },
    {
      name: "while a reconcile hangs",
      before: (node) => (node.prepare = (plane) => (plane.reconcile = never)),
      within: 1_500,
    },
    {
      name: "while the data plane does not close",
      before: (node) => (node.prepare = (plane) => (plane.close = never)),
      within: 1_500,
    },
  ];
  for (const { name, before, within } of cases) {
    test(`${name}: ends in time`, async () => {
      cluster.config();
      const node = cluster.node(1);
      before(node);
      await node.start();
      await advance(10_000);
      const { result, ms } = await node.stop();
      expect(result).toBe("stopped");
      expect(ms).toBeLessThanOrEqual(within);
      // The state directory is free again.
      node.prepare = () => undefined;
      await node.start();
      await node.stop();
      expect(node.result).toBe("stopped");
    });
  }

  test("with etcd black-holed: ends in time", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    node.registry.revoke = never;
    node.registry.get = never;
    await advance(MINUTE);
    const { result, ms } = await node.stop();
    expect(result).toBe("stopped");
    expect(ms).toBeLessThanOrEqual(1_500);
  });
});

test("the status is a snapshot in plain values", async () => {
  cluster.config();
  const [a, b] = [cluster.node(1), cluster.node(2)];
  const startedAt = cluster.clock.wall();
  await a.start();
  await b.start();
  expect(a.agent.status()).toEqual({
    version: "0.0.0-test",
    node: { id: expect.stringMatching(/^[0-9a-f-]{36}$/), name: "node1" },
    startedAt,
    ready: true,
    problems: [],
    network: { networks: ["10.5.0.0/16"], backendType: "vxlan", vni: 1, port: 8472 },
    underlay: { interface: "eth0", mtu: 1500, publicIps: ["192.0.2.1"] },
    lease: {
      key: ownKey(a),
      subnets: [ownKey(a).replace("subnets/", "").replace("-", "/")],
      publicIps: ["192.0.2.1"],
      backendType: "vxlan",
      dataplane: "tun",
      nodeId: a.agent.status().node.id,
      nodeName: "node1",
      leaseId: expect.stringMatching(/^\d+$/),
      expiresAt: startedAt + 86_400_000,
      own: true,
    },
    dataplane: { name: "tun", mtus: [1450], counters: { tx_packets: 0n, rx_packets: 0n } },
    etcd: { endpoints: ["memory://etcd"], connected: true, error: "", since: startedAt },
    peers: [
      {
        lease: { ...b.agent.status().lease, own: false, expiresAt: 0 },
        state: "in-sync",
        reason: "",
        txPackets: 0n,
        txBytes: 0n,
        rxPackets: 0n,
        rxBytes: 0n,
      },
    ],
  });
  const owners = Object.fromEntries(a.agent.leases().map((lease) => [lease.nodeName, lease.own]));
  expect(owners).toEqual({ node1: true, node2: false });
});

test("twenty nodes started in one instant see each other", async () => {
  cluster.config();
  const nodes = Array.from({ length: 20 }, (_, i) => cluster.node(i + 1));
  await Promise.all(nodes.map((node) => node.start()));
  await advance(20_000);
  for (const node of nodes) {
    expect(isReady(node)).toBe(true);
    expect(node.programmed?.peers).toHaveLength(19);
  }
});
