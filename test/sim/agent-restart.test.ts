import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parseAddr } from "../../pkg/addr/addr.ts";
import { formatPrefix } from "../../pkg/addr/prefix.ts";
import { DataplaneError } from "../../pkg/dataplane/dataplane.ts";
import type { LinkAddr, Route } from "../../pkg/host/host.ts";
import { RegistryUnavailableError } from "../../pkg/subnet/registry.ts";
import { addr, prefix } from "../literals.ts";
import { PREFIX, SimCluster, type SimNode } from "./sim-cluster.ts";

// What an agent that was stopped brings with it, and how it stops.
const MINUTE = 60_000;

let cluster: SimCluster;
beforeEach(() => {
  cluster = new SimCluster();
});
afterEach(async () => {
  expect(await cluster.end(), "timers that were leaked").toBe(0);
});

test("subnet, VTEP MAC and node id stay, and no key is written anew", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  const before = cluster.leases();
  const revision = cluster.etcd.get(`${PREFIX}/${node.key}`)?.modRevision;
  await node.stop();
  rmSync(node.config.subnetFile);
  await node.start();
  expect(cluster.leases()).toEqual(before);
  expect(cluster.etcd.get(`${PREFIX}/${node.key}`)?.modRevision).toBe(revision);
  expect(node.ready).toBe(true);
});

describe("killed without a moment's notice, it carries its pods without etcd", () => {
  /** As kill -9, and then a start while etcd is away. */
  async function killed(node: SimNode): Promise<void> {
    const path = join(node.config.stateDir, "state.json");
    const atThatInstant = readFileSync(path, "utf8");
    await node.stop();
    writeFileSync(path, atThatInstant);
    cluster.etcd.down = true;
    node.planes.length = 0;
    await node.start();
    await cluster.clock.advance(10_000);
  }

  test("in the instant in which it became ready", async () => {
    cluster.config();
    const [node, peer] = [cluster.node(1), cluster.node(2)];
    await peer.start();
    await node.start();
    expect(node.ready).toBe(true);
    const { programmed } = node;
    await killed(node);
    expect(node.ready).toBe(true);
    expect(node.programmed).toEqual(programmed);
  });

  test("in the instant in which a peer was programmed", async () => {
    cluster.config();
    const [node, peer] = [cluster.node(1), cluster.node(2)];
    await node.start();
    await cluster.clock.advance(10_000);
    await peer.start();
    const { programmed } = node;
    expect(programmed?.peers).toEqual([peer.key]);
    await killed(node);
    expect(node.programmed).toEqual(programmed);
  });

  test("in the instant in which a peer was welcomed, before a pass", async () => {
    cluster.config();
    const [node, peer] = [cluster.node(1), cluster.node(2)];
    node.prepare = (plane) => void Object.assign(plane, { welcome: () => Promise.resolve(true) });
    await node.start();
    await cluster.clock.advance(10_000);
    await peer.start();
    expect(node.programmed?.peers).toEqual([]);
    await killed(node);
    expect(node.programmed?.peers).toEqual([peer.key]);
  });
});

describe("stopped for longer than the TTL", () => {
  /** A node whose lease has run out while it was stopped, and the key that it had. */
  async function expired(): Promise<{ node: SimNode; key: string }> {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    await cluster.clock.advance(2_000);
    const { key } = node;
    await node.stop();
    await cluster.clock.advance(25 * 60 * MINUTE);
    expect(cluster.leases()).toEqual({});
    return { node, key };
  }

  test("it leases its subnet again, known from subnet.env or else from state.json", async () => {
    const { node, key } = await expired();
    await node.start();
    expect([node.ready, node.key]).toEqual([true, key]);
    await node.stop();
    await cluster.clock.advance(25 * 60 * MINUTE);
    rmSync(node.config.subnetFile);
    await node.start();
    expect([node.ready, node.key]).toEqual([true, key]);
  });

  test("where another node has it by now, it leases another one and names that node", async () => {
    const { node, key } = await expired();
    cluster.etcd.put(`${PREFIX}/${key}`, '{"PublicIP":"192.0.2.9","PublicIPv6":null,"BackendType":"vxlan"}');
    await node.start();
    expect(node.ready).toBe(true);
    expect(node.key).not.toBe(key);
    const warning = node.log.lines.find(({ sentence }) => sentence.startsWith("the subnet of the last run is taken"));
    expect(warning?.fields["reason"]).toContain(`${key}, ${key.slice(8).replace("-", "/")} of node 192.0.2.9`);
    expect(cluster.leases()[key]).toMatchObject({ PublicIP: "192.0.2.9" });
  });
});

test("a node that lost its state takes its old lease back by its address, once its old self is dead", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  const key = node.key;
  await node.stop();
  rmSync(join(node.config.stateDir, "state.json"));
  await node.start();
  await cluster.clock.advance(40_000);
  expect(node.key).toBe(key);
  expect(Object.keys(cluster.leases())).toEqual([key]);
});

test("with etcd down it carries packets from the last table, and catches up without a gap", async () => {
  cluster.config();
  const [a, b, c] = [cluster.node(1), cluster.node(2), cluster.node(3)];
  await a.start();
  await b.start();
  await cluster.clock.advance(2_000);
  await a.stop();
  rmSync(a.config.subnetFile);
  cluster.etcd.down = true;
  await a.start();
  await cluster.clock.advance(5_000);

  expect(a.programmed).toEqual({ own: a.key, peers: [b.key] });
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
  await cluster.clock.advance(15_000);
  await c.start();
  await cluster.clock.advance(1_000);
  expect(a.agent.status()).toMatchObject({ ready: true, etcd: { connected: true }, problems: [] });
  expect(seen.filter((peers) => !peers.includes(b.key))).toEqual([]);
  expect(new Set(seen.at(-1))).toEqual(new Set([b.key, c.key]));
  expect(a.planes).toHaveLength(2);
  expect(a.log.sentences("warn")).not.toContain("not ready, no new pods");
});

describe("what carries packets comes first: nothing else is begun", () => {
  /** A node that comes back, and whose data plane is busy until it is let go. */
  async function busy(): Promise<{
    node: SimNode;
    begun: () => [services: boolean, etcd: boolean];
    letGo: () => void;
  }> {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    await cluster.clock.advance(2_000);
    await node.stop();
    const { promise, resolve: letGo } = Promise.withResolvers<void>();
    node.prepare = (plane) => {
      const reconcile = plane.reconcile.bind(plane);
      plane.reconcile = (want) => promise.then(() => reconcile(want));
    };
    const { agent } = node;
    await node.start();
    // The simulation's service tells of the agent that it serves.
    const begun = (): [boolean, boolean] => [
      node.agent !== agent,
      node.log.sentences("info").includes("lease taken over"),
    ];
    return { node, begun, letGo };
  }

  test("until the table of the last run is programmed", async () => {
    const { node, begun, letGo } = await busy();
    await cluster.clock.advance(900);
    expect(begun()).toEqual([false, false]);
    letGo();
    await cluster.clock.advance(0);
    expect(begun()).toEqual([true, true]);
    expect(node.ready).toBe(true);
  });

  test("what changes on the host before it is watched is seen soon after", async () => {
    const { node, letGo } = await busy();
    node.setAddress("192.0.2.77/24", "2001:db8::77/64");
    node.route("0.0.0.0/0", "192.0.2.254");
    letGo();
    await cluster.clock.advance(2_000);
    expect(node.agent.status().underlay?.publicIps).toEqual(["192.0.2.77"]);
  });

  test("for a second at most: then who asks the agent is answered", async () => {
    const { begun, letGo } = await busy();
    await cluster.clock.advance(1_000);
    expect(begun()[0]).toBe(true);
    letGo();
    await cluster.clock.advance(0);
  });
});

test("with etcd down and the lease run out it carries packets and hands out nothing new", async () => {
  cluster.config();
  const times = { leaseTtl: 120, renewMargin: 60 };
  const [a, b] = [cluster.node(1, times), cluster.node(2)];
  await a.start();
  await b.start();
  await cluster.clock.advance(2_000);
  await a.stop();
  cluster.etcd.down = true;
  await cluster.clock.advance(3 * MINUTE);
  await a.start();
  await cluster.clock.advance(5_000);
  expect(a.programmed?.peers).toEqual([b.key]);
  expect(a.ready).toBe(false);
  expect(a.cni).toMatchObject({ state: "not-ready" });
  cluster.etcd.down = false;
  await cluster.clock.advance(15_000);
  expect(a.ready).toBe(true);
});

test("a network config that changed meanwhile is applied, though the state says otherwise", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  await cluster.clock.advance(2_000);
  await node.stop();
  cluster.config('{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":7}}');
  await node.start();
  await cluster.clock.advance(1_000);
  expect(node.ready).toBe(true);
  expect(cluster.leases()[node.key]).toMatchObject({ BackendData: { VNI: 7 } });
});

describe("what the last run left and this host cannot open any more", () => {
  const DUAL = '{"EnableIPv6":true,"Network":"10.5.0.0/16","IPv6Network":"fd05::/48","Backend":{"Type":"vxlan"}}';

  /** A node that has run with this config, and was stopped. */
  async function stopped(config?: string): Promise<SimNode> {
    cluster.config(config);
    const node = cluster.node(1);
    await node.start();
    await cluster.clock.advance(2_000);
    await node.stop();
    return node;
  }
  function withoutIpv6(node: SimNode): void {
    node.setAddress("192.0.2.1/24");
    node.route("0.0.0.0/0", "192.0.2.254");
  }
  const inUse = new DataplaneError("UDP port 8472 is in use");

  test("for want of an underlay does not keep it from what etcd says now", async () => {
    const node = await stopped(DUAL);
    withoutIpv6(node);
    cluster.config();
    await node.start();
    await cluster.clock.advance(5_000);
    expect(node.agent.status()).toMatchObject({ ready: true, problems: [], network: { networks: ["10.5.0.0/16"] } });
  });

  test("for want of an underlay is opened once there is one, and told once", async () => {
    const node = await stopped(DUAL);
    withoutIpv6(node);
    const before = node.planes.length;
    await node.start();
    await cluster.clock.advance(MINUTE);
    expect(node.agent.ready().reason).toContain("IPv6");
    node.setAddress("192.0.2.1/24", "2001:db8::1/64");
    node.route("0.0.0.0/0", "192.0.2.254");
    node.route("::/0", "2001:db8::ff");
    await cluster.clock.advance(10_000);
    expect(node.ready).toBe(true);
    expect(node.planes).toHaveLength(before + 1);
    expect(node.log.sentences("warn")).toEqual(["no usable underlay, will retry"]);
  });

  test("for a port in use does not keep it from what etcd says now", async () => {
    const node = await stopped();
    const before = node.planes.length;
    node.prepare = (plane) => {
      if (node.planes.length === before + 1) plane.failure = inUse;
    };
    cluster.config('{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","Port":8473}}');
    await node.start();
    await cluster.clock.advance(5_000);
    expect(node.result).toBeUndefined();
    expect(node.agent.status()).toMatchObject({ ready: true, problems: [], network: { port: 8473 } });
    expect(node.log.lines.filter(({ level }) => level === "warn")).toEqual([
      {
        level: "warn",
        sentence: "cannot open the data plane of the last run, will retry",
        fields: { reason: inUse.message },
      },
    ]);
  });

  test("ends the agent where etcd says the same", async () => {
    const node = await stopped();
    node.prepare = (plane) => (plane.failure = inUse);
    await node.start();
    await cluster.clock.advance(5_000);
    expect(node.result).toBe(inUse);
  });

  test("is tried again while etcd is away, and no pod is attached meanwhile", async () => {
    const node = await stopped();
    cluster.etcd.down = true;
    node.prepare = (plane) => (plane.failure = inUse);
    await node.start();
    await cluster.clock.advance(MINUTE);
    expect(node.agent.status().problems.join()).toContain(inUse.message);
    expect(node.cni).toMatchObject({ state: "not-ready", message: expect.stringContaining(inUse.message) });
    expect(node.log.sentences("warn")).toHaveLength(3);
    node.prepare = () => undefined;
    await cluster.clock.advance(MINUTE);
    expect(node.ready).toBe(true);
    expect(node.agent.status().problems.join()).not.toContain(inUse.message);
  });
});

describe("where etcd has no network config of use, a node that comes back goes on with that of the last run", () => {
  const cases = [
    { name: "mistyped", spoil: () => cluster.config('{"Network":"10.5.0.0/16","Backend":{"Type":"vxlam"}}') },
    { name: "removed", spoil: () => cluster.etcd.delete(`${PREFIX}/config`) },
  ];
  for (const { name, spoil } of cases) {
    test(`${name}: it keeps its lease, follows the others, and says what is wrong`, async () => {
      cluster.config();
      const times = { leaseTtl: 120, renewMargin: 60 };
      const [a, b] = [cluster.node(1, times), cluster.node(2)];
      await a.start();
      await b.start();
      await cluster.clock.advance(2_000);
      const { key } = a;
      await a.stop();
      spoil();
      await a.start();
      await cluster.clock.advance(1_000);
      expect(a.ready).toBe(true);
      expect(a.agent.status().problems.join()).toContain("what was read before stays in use");
      b.setAddress("192.0.2.77/24");
      b.route("0.0.0.0/0", "192.0.2.254");
      await cluster.clock.advance(10 * MINUTE);
      expect(cluster.leases()[key]).toMatchObject({ NodeName: "node1" });
      expect(a.plane.programmed?.peers.map(({ attrs }) => attrs.publicIp[4])).toEqual([parseAddr("192.0.2.77")]);
      expect(a.log.sentences("warn")).toEqual(["the network config has changed, restart to apply it"]);
      cluster.config();
      await cluster.clock.advance(2 * MINUTE);
      expect(a.agent.status()).toMatchObject({ ready: true, problems: [] });
    });
  }

  test("also where etcd was away before it answered", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    await cluster.clock.advance(2_000);
    await node.stop();
    cluster.etcd.delete(`${PREFIX}/config`);
    cluster.etcd.down = true;
    await node.start();
    await cluster.clock.advance(5_000);
    cluster.etcd.down = false;
    await cluster.clock.advance(5_000);
    expect(node.agent.status()).toMatchObject({ ready: true, etcd: { connected: true } });
    expect(node.log.sentences("info")).toContain("lease taken over");
    expect(node.log.sentences("info")).not.toContain("network config found");
  });
});

test("a network config that moves the subnet: the lease that was given back is nobody else's", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  await cluster.clock.advance(2_000);
  await node.stop();
  cluster.config('{"Network":"10.9.0.0/16","Backend":{"Type":"vxlan"}}');
  await node.start();
  await cluster.clock.advance(1_000);
  expect(node.key).toMatch(/^subnets\/10\.9\./);
  expect(node.log.sentences("info")).toContain("giving back a lease of this node");
  expect(node.log.sentences("warn")).not.toContain("the subnet of the last run is taken, leasing another one");
});

test("with the last run's lease and another network, no pod is attached before there is a lease of that", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  await cluster.clock.advance(2_000);
  await node.stop();
  cluster.etcd.down = true;
  await node.start();
  await cluster.clock.advance(5_000);
  expect(node.ready).toBe(true);
  cluster.config('{"Network":"10.9.0.0/16","Backend":{"Type":"vxlan"}}');
  const grant = vi.spyOn(node.registry, "grant").mockRejectedValue(new RegistryUnavailableError("no space"));
  cluster.etcd.down = false;
  await cluster.clock.advance(MINUTE);
  expect(node.agent.status().network?.networks).toEqual(["10.9.0.0/16"]);
  expect(node.cni).toMatchObject({ state: "not-ready", message: expect.stringContaining("no space") });
  expect(node.subnetEnv?.network[4]?.map(formatPrefix)).toEqual(["10.5.0.0/16"]);
  grant.mockRestore();
  await cluster.clock.advance(MINUTE);
  expect(node.ready).toBe(true);
  expect(node.subnetEnv?.network[4]?.map(formatPrefix)).toEqual(["10.9.0.0/16"]);
});

describe("the network of the last run", () => {
  const dst = (route: Route): string => (route.dst ? formatPrefix(route.dst) : "default");
  const names = async ({ host }: SimNode): Promise<string[]> => [
    ...(await host.links()).map(({ name }) => name),
    ...(await host.routes(4)).filter(({ protocol }) => protocol !== undefined && protocol !== "kernel").map(dst),
  ];
  const THEIRS = ["lo", "eth0", "twill.2", "flannel.1", "10.5.98.0/24", "10.6.0.0/24"];
  const OURS = ["twill.1", "10.5.99.0/24"];

  /** A node that is stopped with what a data plane and others have made on its host, while the network changes. */
  async function moved(): Promise<SimNode> {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    await cluster.clock.advance(2_000);
    await node.stop();
    const at = (text: string): LinkAddr => {
      const { length, ...rest } = prefix(text);
      return { addr: rest, length, scope: "global", deprecated: false, dynamic: false, temporary: false };
    };
    node.host.addLink({ name: "twill.1", kind: "tun", up: true, addresses: [at("10.5.1.0/32")] });
    node.host.addLink({ name: "twill.2", kind: "tun", addresses: [at("10.6.1.0/32")] });
    node.host.addLink({ name: "flannel.1", kind: "bridge", addresses: [at("10.5.1.0/32")] });
    for (const [to, protocol] of [
      ["10.5.99.0/24", "84"],
      ["10.5.98.0/24", "static"],
      ["10.6.0.0/24", "84"],
    ] as const) {
      const route = { dst: prefix(to), via: addr("192.0.2.2"), dev: "eth0", protocol };
      await node.host.apply([{ kind: "route", route }]);
    }
    cluster.config('{"Network":"10.99.0.0/16","Backend":{"Type":"vxlan","VNI":7}}');
    return node;
  }
  const remembered = (node: SimNode): string => readFileSync(join(node.config.stateDir, "state.json"), "utf8");

  test("goes from the host when the new one is carried, and from the state", async () => {
    const node = await moved();
    await node.start();
    await cluster.clock.advance(2_000);
    expect(node.ready).toBe(true);
    expect((await names(node)).sort()).toEqual([...THEIRS].sort());
    expect(node.log.sentences("info")).toContain("nothing of the network before is left");
    expect(remembered(node)).toContain("10.99.0.0/16");
    expect(remembered(node)).not.toContain("10.5.0.0/16");
  });

  test("is told and tried again where it does not go", async () => {
    const node = await moved();
    let busy = true;
    const apply = node.host.apply.bind(node.host);
    node.host.apply = (changes) => {
      if (busy && changes.some(({ kind }) => kind === "delete-link")) node.host.failNext("delete-link", "busy");
      return apply(changes);
    };
    await node.start();
    await cluster.clock.advance(2_000);
    expect(node.ready).toBe(true);
    expect(node.agent.status().problems).toEqual(["cannot delete the link twill.1: busy"]);
    expect(remembered(node)).toContain("10.5.0.0/16");
    busy = false;
    await cluster.clock.advance(10_000);
    expect(node.agent.status().problems).toEqual([]);
    expect((await names(node)).sort()).toEqual([...THEIRS].sort());
  });

  test("is not forgotten by a run that never gets to carry the new one", async () => {
    const node = await moved();
    node.prepare = (plane) => (plane.reconcile = () => Promise.reject(new Error("refused")));
    await node.start();
    await cluster.clock.advance(2_000);
    await node.stop();
    expect(await names(node)).toEqual(expect.arrayContaining(OURS));
    node.prepare = () => undefined;
    await node.start();
    await cluster.clock.advance(2_000);
    expect((await names(node)).sort()).toEqual([...THEIRS].sort());
  });

  test("goes with a node that leaves before it carries the new one", async () => {
    const node = await moved();
    node.prepare = (plane) => (plane.reconcile = () => Promise.reject(new Error("refused")));
    await node.start();
    await cluster.clock.advance(2_000);
    expect((await node.agent.leave()).problems).toEqual([]);
    await cluster.clock.advance(1_000);
    expect((await names(node)).sort()).toEqual([...THEIRS].sort());
  });
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
  await cluster.clock.advance(40_000);
  expect(node.ready).toBe(true);
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

  test("is no change of readiness: nothing is told of what ends", async () => {
    cluster.config();
    const node = cluster.node(1);
    await node.start();
    await cluster.clock.advance(2_000);
    await node.stop();
    cluster.etcd.down = true;
    await node.start();
    await cluster.clock.advance(MINUTE);
    expect(node.ready).toBe(true);
    await node.stop();
    expect(node.log.sentences("warn")).not.toContain("not ready, no new pods");
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
      await cluster.clock.advance(10_000);
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
    await cluster.clock.advance(MINUTE);
    const { result, ms } = await node.stop();
    expect(result).toBe("stopped");
    expect(ms).toBeLessThanOrEqual(1_500);
  });
});
