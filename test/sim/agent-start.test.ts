import { afterEach, beforeEach, expect, test } from "vitest";
import { formatInterfaceAddr, formatPrefix } from "../../pkg/addr/prefix.ts";
import { DataplaneError } from "../../pkg/dataplane/dataplane.ts";
import { mac } from "../literals.ts";
import { PREFIX, SimCluster } from "./sim-cluster.ts";

// How an agent comes up, and what it waits for.
const MINUTE = 60_000;

let cluster: SimCluster;
beforeEach(() => {
  cluster = new SimCluster();
});
afterEach(async () => {
  expect(await cluster.end(), "timers that were leaked").toBe(0);
});

test("a node leases a subnet, programs it, and then says so: subnet.env, cni-status, one log line", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();

  const leases = cluster.leases();
  expect(Object.keys(leases)).toEqual([node.key]);
  expect(Object.values(leases)[0]).toMatchObject({
    PublicIP: "192.0.2.1",
    PublicIPv6: null,
    BackendType: "vxlan",
    NodeName: "node1",
    Dataplane: "tun",
  });
  expect(node.programmed).toEqual({ own: node.key, peers: [] });
  const env = node.subnetEnv;
  expect(env?.network[4]?.map(formatPrefix)).toEqual(["10.5.0.0/16"]);
  expect(env?.subnet[4] && formatInterfaceAddr(env.subnet[4])).toBe(
    node.key.replace("subnets/", "").replace(".0-24", ".1/24"),
  );
  expect(env).toMatchObject({ mtu: 1450, ipMasq: true });
  expect(node.cni).toMatchObject({ state: "ready" });
  expect(node.log.lines.filter((line) => line.sentence === "ready")).toEqual([
    { level: "info", sentence: "ready", fields: { subnet: expect.any(String), dataplane: "tun", mtu: 1450 } },
  ]);
  expect(node.log.sentences("warn")).toEqual([]);
  expect(node.agent.ready()).toMatchObject({ ready: true, reason: "ready" });
});

test("nothing is claimed before the data plane is in sync", async () => {
  cluster.config();
  const node = cluster.node(1);
  node.prepare = (plane) => {
    plane.reconcile = () => Promise.reject(new Error("cannot add a route"));
  };
  await node.start();
  await cluster.clock.advance(10 * MINUTE);
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
  expect(atReady).toEqual([first.key]);
  expect(first.programmed?.peers).toEqual([second.key]);
});

test("peers are programmed in the order in which they came: who comes later takes nothing from them", async () => {
  cluster.config();
  const nodes = [1, 2, 3, 4, 5, 6].map((i) => cluster.node(i));
  for (const node of nodes) await node.start();
  expect(nodes[0]?.programmed?.peers).toEqual(nodes.slice(1).map((node) => node.key));
});

test("without a network config it waits, says what is missing, and goes on when it is there", async () => {
  const node = cluster.node(1);
  await node.start();
  await cluster.clock.advance(5 * MINUTE);
  expect(node.ready).toBe(false);
  expect(node.agent.ready().reason).toContain(`etcdctl put ${PREFIX}/config`);
  expect(node.cni).toMatchObject({ state: "not-ready", message: expect.stringContaining("etcdctl put") });
  cluster.config('{"Network":"10.5.0.0/30"}');
  await cluster.clock.advance(2_000);
  expect(node.agent.ready().reason).toContain("Network");
  cluster.config();
  await cluster.clock.advance(2_000);
  expect(node.ready).toBe(true);
});

test("without etcd it waits and says so", async () => {
  cluster.config();
  cluster.etcd.down = true;
  const node = cluster.node(1);
  await node.start();
  await cluster.clock.advance(MINUTE);
  expect(node.agent.status()).toMatchObject({ ready: false, etcd: { connected: false } });
  expect(node.planes).toEqual([]);
  cluster.etcd.down = false;
  await cluster.clock.advance(10_000);
  expect(node.agent.status()).toMatchObject({ ready: true, etcd: { connected: true, error: "" }, problems: [] });
});

test("without an underlay it waits, and names the interfaces that there are", async () => {
  cluster.config();
  const node = cluster.node(1, {
    underlay: { iface: ["eth7"], ifaceRegex: [], ifaceCanReach: undefined, publicIp: {} },
  });
  await node.start();
  await cluster.clock.advance(MINUTE);
  expect(node.agent.ready().reason).toMatch(/eth7.*eth0/);
  expect(node.log.sentences("warn")).toEqual(["no usable underlay, will retry"]);
  expect(cluster.leases()).toEqual({});
});

test("a node that waits for its underlay is alive all the time, in its first run and after a restart", async () => {
  cluster.config();
  const node = cluster.node(1);
  const away = (): Promise<unknown> => node.host.apply([{ kind: "delete-link", dev: "eth0" }]);
  const back = (): void => {
    node.setAddress("192.0.2.1/24");
    node.route("0.0.0.0/0", "192.0.2.254");
  };
  for (const run of ["first", "second"]) {
    await away();
    await node.start();
    await cluster.clock.advance(10 * MINUTE);
    expect(node.agent.live(), run).toBe(true);
    expect(node.ready).toBe(false);
    back();
    await cluster.clock.advance(MINUTE);
    expect(node.ready, run).toBe(true);
    await node.stop();
  }
});

test("a restart with a network that the host has no underlay for goes on with the one before until it has", async () => {
  cluster.config();
  const [a, b] = [cluster.node(1), cluster.node(2)];
  await a.start();
  await b.start();
  await a.stop();
  cluster.config('{"EnableIPv6":true,"Network":"10.5.0.0/16","IPv6Network":"fd05::/48","Backend":{"Type":"vxlan"}}');
  a.setAddress("192.0.2.1/24");
  a.route("0.0.0.0/0", "192.0.2.254");
  await a.start();
  const carrying = a.planes.at(-2);
  await cluster.clock.advance(10 * MINUTE);
  expect(a.agent.live()).toBe(true);
  expect(a.agent.status().problems.join()).toMatch(/IPv6/);
  expect(a.log.sentences("warn")).toEqual(["no usable underlay, will retry"]);
  // Whatever is wrong on the host is put right all the same.
  const passes = carrying?.reconciles ?? 0;
  await cluster.clock.advance(2 * MINUTE);
  expect(carrying?.reconciles).toBeGreaterThan(passes);
  expect(carrying?.programmed?.peers.map(({ key }) => key)).toEqual([b.key]);
  a.setAddress("192.0.2.1/24", "2001:db8::1/64");
  a.route("0.0.0.0/0", "192.0.2.254");
  a.route("::/0", "2001:db8::ff");
  await cluster.clock.advance(MINUTE);
  expect(a.ready).toBe(true);
  expect(a.subnetEnv?.network[6]?.map(formatPrefix)).toEqual(["fd05::/48"]);
});

test("a config put right lets a node go on that waits for an underlay, in its first run and after a restart", async () => {
  const right = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
  const wrong = '{"EnableIPv6":true,"Network":"10.5.0.0/16","IPv6Network":"fd05::/48","Backend":{"Type":"vxlan"}}';
  const node = cluster.node(1);
  node.setAddress("192.0.2.1/24");
  node.route("0.0.0.0/0", "192.0.2.254");
  const subnets: unknown[] = [];
  for (const run of ["first", "second"]) {
    cluster.config(wrong);
    await node.start();
    await cluster.clock.advance(10 * MINUTE);
    expect(node.agent.status().problems.join(), run).toMatch(/IPv6/);
    expect(node.ready, run).toBe(false);
    // What cannot be used is no way out.
    cluster.config("{");
    await cluster.clock.advance(10 * MINUTE);
    expect(node.agent.status().problems.join(), run).toMatch(/IPv6/);
    cluster.config(right);
    await cluster.clock.advance(10 * MINUTE);
    expect(node.agent.status(), run).toMatchObject({ ready: true, problems: [] });
    subnets.push(node.agent.status().lease?.subnets);
    await node.stop();
  }
  expect(subnets[1]).toEqual(subnets[0]);
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
    expect(a.programmed?.peers).toEqual([b.key]);
    expect(b.programmed?.peers).toEqual([a.key]);
  });
}

test("a node that flannel has run goes on with its VTEP's MAC, for good", async () => {
  cluster.config();
  const node = cluster.node(1);
  const vxlan = { vni: 1, local: undefined, underlay: "eth0", port: 8472, learning: false, gbp: false, others: [] };
  const vtep = mac("6e:00:00:00:00:07");
  await node.host.apply([{ kind: "vxlan", dev: "flannel.1", mac: vtep, mtu: 1450, vxlan }]);
  const published = (): unknown => Object.values(cluster.leases()).map((value) => value["BackendData"]);
  await node.start();
  expect(published()).toEqual([{ VNI: 1, VtepMAC: vtep }]);
  expect(node.log.sentences("info")).toContain("going on with the VTEP that this host has");
  await cluster.clock.advance(2_000);
  await node.stop();
  await node.host.apply([{ kind: "delete-link", dev: "flannel.1" }]);
  await node.start();
  expect(published()).toEqual([{ VNI: 1, VtepMAC: vtep }]);
});

test("a node that has had a lease does not take the MAC of a device that somebody has made", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  const before = cluster.leases();
  await cluster.clock.advance(2_000);
  await node.stop();
  const vxlan = { vni: 1, local: undefined, underlay: "eth0", port: 8472, learning: false, gbp: false, others: [] };
  const vtep = mac("6e:00:00:00:00:07");
  await node.host.apply([{ kind: "vxlan", dev: "flannel.1", mac: vtep, mtu: 1450, vxlan }]);
  await node.start();
  expect(cluster.leases()).toEqual(before);
});

test("a second agent on the same state directory is refused by name", async () => {
  cluster.config();
  const node = cluster.node(1);
  await node.start();
  const clone = cluster.node(2, { stateDir: node.config.stateDir });
  await clone.start();
  expect(clone.result).toMatchObject({ message: expect.stringContaining("another twilld (pid 1001)") });
  expect(node.ready).toBe(true);
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
    network: { networks: ["10.5.0.0/16"], backendType: "vxlan", vni: 1, port: 8472, freeSubnets: [253n] },
    underlay: { interface: "eth0", mtu: 1500, publicIps: ["192.0.2.1"] },
    lease: {
      key: a.key,
      subnets: [a.key.replace("subnets/", "").replace("-", "/")],
      publicIps: ["192.0.2.1"],
      backendType: "vxlan",
      dataplane: "tun",
      nodeId: a.agent.status().node.id,
      nodeName: "node1",
      leaseId: expect.stringMatching(/^\d+$/),
      expiresAt: startedAt + 86_400_000,
      own: true,
      vtepMacs: [expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/)],
    },
    dataplane: { name: "tun", rung: "", mtus: [1450], counters: { tx_packets: 0n, rx_packets: 0n } },
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
  await cluster.clock.advance(20_000);
  for (const node of nodes) {
    expect(node.ready).toBe(true);
    expect(node.programmed?.peers).toHaveLength(19);
  }
});
