// Many nodes that want a subnet in the same instant, over an etcd in memory with latency and outages.
import { expect, test } from "vitest";
import { FAMILIES } from "../../pkg/addr/family.ts";
import { overlaps, type Prefix } from "../../pkg/addr/prefix.ts";
import { formatSubnet } from "../../pkg/lease/lease-key.ts";
import { parseNetworkConfig } from "../../pkg/subnet/network-config.ts";
import { OutOfSubnetsError } from "../../pkg/subnet/subnet-manager.ts";
import { LeaseCluster, type LeaseNode, SECOND } from "./lease-cluster.ts";

const TWENTY = { SubnetMin: "10.5.1.0", SubnetMax: "10.5.20.0" };

function subnetsOf(nodes: readonly LeaseNode[]): string[] {
  return nodes.map((node) => (node.own ? formatSubnet(node.own.subnet) : `nothing: ${String(node.failure)}`));
}

function expectNoOverlap(nodes: readonly LeaseNode[]): void {
  const all: Prefix[] = [];
  for (const node of nodes) {
    for (const family of FAMILIES) {
      const mine = node.own?.subnet[family];
      if (!mine) continue;
      for (const other of all) if (overlaps(mine, other)) expect.fail(`${subnetsOf(nodes).join(", ")} overlap`);
      all.push(mine);
    }
  }
}

for (const seed of [1, 2, 3, 4, 5]) {
  for (const latency of [0, 50, 1000]) {
    test(`20 nodes on exactly 20 subnets, seed ${seed}, up to ${latency} ms each way: all get one, none twice`, async () => {
      const cluster = new LeaseCluster({ seed, latency, config: TWENTY });
      const nodes = Array.from({ length: 20 }, (_, i) => cluster.node(`node${i}`).start());
      await cluster.clock.advance(90 * SECOND);
      const want = Array.from({ length: 20 }, (_, i) => `10.5.${i + 1}.0/24`);
      expect(subnetsOf(nodes).toSorted()).toEqual(want.toSorted());
      expect(Object.keys(cluster.leases()).length).toBe(20);
      // A lease and a session for each, and nothing left over from lost races.
      expect(cluster.etcd.leases().length).toBe(40);
      for (const node of nodes) await node.stop();
      cluster.etcd.close();
      expect(cluster.clock.pending).toBe(0);
    });
  }
}

for (const seed of [1, 2, 3]) {
  test(`20 dual-stack nodes, where the key does not exclude an overlap, seed ${seed}: all get one, none twice`, async () => {
    const config = { ...TWENTY, EnableIPv6: true, IPv6Network: "fd05::/56", IPv6SubnetMax: "fd05:0:0:14::" };
    const cluster = new LeaseCluster({ seed, latency: 30, config });
    const nodes = Array.from({ length: 20 }, (_, i) => cluster.node(`node${i}`, { ipv6: `fd77::${i + 1}` }).start());
    await cluster.clock.advance(300 * SECOND);
    expect(nodes.filter((node) => !node.own).map((node) => node.failure)).toEqual([]);
    expectNoOverlap(nodes);
    expect(Object.keys(cluster.leases()).length).toBe(20);
  });
}

test("nodes with different SubnetLen never overlap", async () => {
  const cluster = new LeaseCluster({ seed: 7, latency: 40 });
  const other = parseNetworkConfig(`{"Network":"10.5.0.0/16","SubnetLen":22,"Backend":{"Type":"vxlan"}}`);
  const nodes = Array.from({ length: 40 }, (_, i) =>
    cluster.node(`node${i}`, i % 2 === 0 ? {} : { network: other }).start(),
  );
  await cluster.clock.advance(120 * SECOND);
  expect(nodes.filter((node) => !node.own).map((node) => node.failure)).toEqual([]);
  expectNoOverlap(nodes);
});

for (const { nodes: count, seeds, latency } of [
  { nodes: 1000, seeds: [11], latency: 0 },
  { nodes: 250, seeds: [12, 13, 14, 15], latency: 20 },
]) {
  for (const seed of seeds) {
    test(
      `${count} nodes on exactly ${count} subnets, seed ${seed}: all get one, none twice`,
      { timeout: 90_000 },
      async () => {
        const last = `10.${count >> 8}.${count & 255}.0`;
        const config = { Network: "10.0.0.0/8", SubnetLen: 24, SubnetMin: "10.0.1.0", SubnetMax: last };
        const cluster = new LeaseCluster({ seed, latency, config });
        const nodes = Array.from({ length: count }, (_, i) => cluster.node(`node${i}`));
        const signal = new AbortController().signal;
        // Only the way to the lease: a thousand nodes that follow each other are another test's business.
        const all = Promise.all(
          nodes.map((node) =>
            node.manager.acquire({ network: cluster.network, attrs: node.attrs, previous: {} }, signal),
          ),
        );
        await cluster.clock.advance(60 * SECOND);
        const leases = await all;
        expect(new Set(leases.map((lease) => formatSubnet(lease.subnet))).size).toBe(count);
        cluster.etcd.close();
      },
    );
  }
}

for (const seed of [21, 22, 23, 24]) {
  test(`20 nodes while etcd comes and goes and answers are lost, seed ${seed}: all get one, none twice`, async () => {
    const cluster = new LeaseCluster({ seed, latency: 300, config: TWENTY });
    const nodes = Array.from({ length: 20 }, (_, i) => cluster.node(`node${i}`).start());
    for (let step = 0; step < 40; step++) {
      cluster.etcd.down = cluster.random() < 0.3;
      for (const node of nodes) {
        node.registry.losesReplies = cluster.random() < 0.2;
        node.registry.cutOff = cluster.random() < 0.2;
      }
      await cluster.clock.advance(Math.floor(cluster.random() * 4 * SECOND));
    }
    cluster.etcd.down = false;
    for (const node of nodes) Object.assign(node.registry, { losesReplies: false, cutOff: false });
    await cluster.clock.advance(180 * SECOND);
    expect(nodes.map((node) => node.failure)).toEqual(nodes.map(() => undefined));
    expect(new Set(subnetsOf(nodes)).size).toBe(20);
    expect(nodes.map((node) => node.manager.ownState)).toEqual(nodes.map(() => "held"));
    // Each key says what its holder believes.
    const leases = cluster.leases();
    expect(Object.keys(leases).length).toBe(20);
    for (const node of nodes) expect(leases[node.own?.key ?? ""]?.["NodeName"]).toBeDefined();
    expect(new Set(Object.values(leases).map((value) => value["NodeID"])).size).toBe(20);
  });
}

test("one node too many is told how many there are, and the others are not disturbed", async () => {
  const cluster = new LeaseCluster({ seed: 31, config: TWENTY });
  const nodes = Array.from({ length: 21 }, (_, i) => cluster.node(`node${i}`).start());
  await cluster.clock.advance(120 * SECOND);
  const failures = nodes.flatMap((node) => node.failure ?? []);
  expect(failures.length).toBe(1);
  expect(failures[0]).toBeInstanceOf(OutOfSubnetsError);
  expect(failures[0]).toHaveProperty(
    "message",
    expect.stringContaining("no free /24 is left in 10.5.0.0/16: 20 leases"),
  );
  expect(Object.keys(cluster.leases()).length).toBe(20);
});
