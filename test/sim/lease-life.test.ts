// What becomes of a lease over restarts, days, outages and other people's writes.
import { describe, expect, test } from "vitest";
import { encodeLeaseValue } from "../../pkg/lease/lease-value.ts";
import { PublicIpInUseError } from "../../pkg/subnet/subnet-manager.ts";
import { addr, mac, prefix } from "../literals.ts";
import { DAY, HOUR, LeaseCluster, type LeaseNode, PREFIX, SECOND } from "./lease-cluster.ts";

const A = "subnets/10.5.7.0-24";
const flannel = (ip: string): object => ({ PublicIP: ip, PublicIPv6: null, BackendType: "vxlan" });

/** The etcd lease of a key, "none" for a key that is not there. */
function leaseIdOf(cluster: LeaseCluster, key: string): string {
  return cluster.etcd.get(`${PREFIX}/${key}`)?.leaseId ?? "none";
}

async function settled(cluster: LeaseCluster, node: LeaseNode): Promise<LeaseNode> {
  node.start();
  await cluster.clock.advance(10 * SECOND);
  return node;
}

describe("a lease over restarts", () => {
  test("a restarted node keeps subnet, key and etcd lease, and writes nothing", async () => {
    const cluster = new LeaseCluster();
    const first = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    const key = first.own?.key ?? "";
    await first.stop();
    expect(cluster.etcd.get(`${PREFIX}/twill/nodes/192.0.2.1`)).toBeUndefined();
    const before = cluster.etcd.get(`${PREFIX}/${key}`);
    await cluster.clock.advance(HOUR);
    const second = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    expect(second.own?.key).toBe(key);
    expect(cluster.etcd.get(`${PREFIX}/${key}`)).toEqual(before);
    expect(cluster.etcd.timeToLive(second.own?.leaseId ?? "")).toBeGreaterThan(86_000);
    expect(Object.keys(cluster.leases())).toEqual([key]);
  });

  test("a node that was killed comes back within its session", async () => {
    const cluster = new LeaseCluster();
    const first = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    await first.kill();
    const second = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    expect(second.own?.key).toBe(first.own?.key);
    expect(second.manager.ownState).toBe("held");
  });

  test("a node that was off for longer than the TTL takes its previous subnet, if that is free", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a", { previous: { 4: prefix("10.5.200.0/24") } }));
    expect(node.own?.key).toBe("subnets/10.5.200.0-24");
  });

  test("a reimaged machine with another id takes over the lease of its address once nobody lives there", async () => {
    const cluster = new LeaseCluster();
    const first = await settled(cluster, cluster.node("a", { ip: "192.0.2.1", id: "old" }));
    await first.kill();
    const early = await settled(cluster, cluster.node("a", { ip: "192.0.2.1", id: "new" }));
    expect(early.failure).toBeInstanceOf(PublicIpInUseError);
    await cluster.clock.advance(30 * SECOND);
    const late = await settled(cluster, cluster.node("a", { ip: "192.0.2.1", id: "new" }));
    expect(late.own?.key).toBe(first.own?.key);
    expect(cluster.leases()[late.own?.key ?? ""]).toMatchObject({ NodeID: "new" });
  });

  test("a node that comes back with another address keeps its subnet", async () => {
    const cluster = new LeaseCluster();
    const first = await settled(cluster, cluster.node("a", { ip: "192.0.2.1", id: "x" }));
    await first.stop();
    const second = await settled(cluster, cluster.node("a", { ip: "192.0.2.2", id: "x" }));
    expect(second.own?.key).toBe(first.own?.key);
    expect(Object.values(cluster.leases())).toMatchObject([{ PublicIP: "192.0.2.2" }]);
  });

  test("a clone of a machine, with its id but another address, gets a subnet of its own while the original lives", async () => {
    const cluster = new LeaseCluster();
    const original = await settled(cluster, cluster.node("a", { ip: "192.0.2.1", id: "x" }));
    const clone = await settled(cluster, cluster.node("b", { ip: "192.0.2.2", id: "x" }));
    expect(clone.own?.key).not.toBe(original.own?.key);
    await cluster.clock.advance(HOUR);
    expect([original.manager.ownState, clone.manager.ownState]).toEqual(["held", "held"]);
  });

  test("an original that comes back finds its clone in its place, and does not write", async () => {
    const cluster = new LeaseCluster();
    const original = await settled(cluster, cluster.node("a", { ip: "192.0.2.1", id: "x" }));
    const key = original.own?.key ?? "";
    original.registry.cutOff = true;
    await cluster.clock.advance(60 * SECOND);
    const clone = await settled(cluster, cluster.node("b", { ip: "192.0.2.2", id: "x" }));
    expect(clone.own?.key).toBe(key);
    original.registry.cutOff = false;
    const before = cluster.etcd.get(`${PREFIX}/${key}`);
    await cluster.clock.advance(HOUR);
    expect(cluster.etcd.get(`${PREFIX}/${key}`)).toEqual(before);
    expect(original.manager.ownState).toBe("conflict");
    expect(original.manager.ownProblem).toContain("node b (192.0.2.2)");
    await original.manager.release();
    expect(cluster.etcd.get(`${PREFIX}/${key}`)).toEqual(before);
    expect(clone.manager.ownState).toBe("held");
  });

  test("another TTL means another etcd lease, and the old one goes", async () => {
    const cluster = new LeaseCluster();
    const first = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    const old = first.own?.leaseId ?? "";
    await first.stop();
    const second = await settled(cluster, cluster.node("a", { ip: "192.0.2.1", ttl: 7200 }));
    expect(second.own?.key).toBe(first.own?.key);
    expect(cluster.etcd.timeToLive(second.own?.leaseId ?? "")).toBeLessThanOrEqual(7200);
    expect(cluster.etcd.leases()).not.toContain(old);
  });

  test("a lease that no longer fits the network config is given back", async () => {
    const cluster = new LeaseCluster();
    cluster.put("subnets/10.9.7.0-24", flannel("192.0.2.1"), 86_400);
    const node = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    expect(Object.keys(cluster.leases())).toEqual([node.own?.key]);
    expect(node.own?.key).toMatch(/^subnets\/10\.5\./);
  });

  test("a node keeps its IPv4 subnet when the network becomes dual stack", async () => {
    const cluster = new LeaseCluster({ config: { EnableIPv6: true, IPv6Network: "fd05::/56" } });
    cluster.put(A, flannel("192.0.2.1"), 86_400);
    const node = await settled(cluster, cluster.node("a", { ip: "192.0.2.1", ipv6: "fd77::1" }));
    expect(node.own?.key).toMatch(/^subnets\/10\.5\.7\.0-24&fd05:/);
    expect(Object.keys(cluster.leases())).toEqual([node.own?.key]);
  });

  test("IPv6 alone has its own folder, and a session under the IPv6 address", async () => {
    const cluster = new LeaseCluster({ config: { EnableIPv4: false, EnableIPv6: true, IPv6Network: "fd05::/56" } });
    const nodes = [cluster.node("a", { ip: "", ipv6: "fd77::1" }), cluster.node("b", { ip: "", ipv6: "fd77::2" })];
    for (const node of nodes) await settled(cluster, node);
    expect(Object.keys(cluster.leases()).every((key) => /^ipv6-subnets\/fd05:.*-64$/.test(key))).toBe(true);
    expect(new Set(nodes.map((node) => node.own?.key)).size).toBe(2);
    expect(cluster.etcd.get(`${PREFIX}/twill/nodes/fd77::1`)).toBeDefined();
  });
});

describe("taking over from flannel", () => {
  test("flannel's lease of our address is taken over, with its etcd lease", async () => {
    const cluster = new LeaseCluster();
    cluster.put(A, flannel("192.0.2.1"), 86_400);
    const id = leaseIdOf(cluster, A);
    const node = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    expect(node.own).toMatchObject({ key: A, leaseId: id });
    expect(cluster.leases()).toEqual({
      [A]: { PublicIP: "192.0.2.1", PublicIPv6: null, BackendType: "host-gw", NodeID: "id-of-a", NodeName: "a" },
    });
  });

  test("two agents that take over the same lease in one instant do not both win", async () => {
    for (const latency of [0, 20, 200]) {
      const cluster = new LeaseCluster({ latency, seed: latency });
      cluster.put(A, flannel("192.0.2.1"), 86_400);
      const nodes = ["a", "b"].map((name) => cluster.node(name, { ip: "192.0.2.1" }).start());
      await cluster.clock.advance(20 * SECOND);
      expect(nodes.map((node) => node.manager.ownState).toSorted()).toEqual(["held", "none"]);
      const [loser] = nodes.filter((node) => !node.own);
      expect(loser?.failure).toBeInstanceOf(PublicIpInUseError);
      expect(cluster.leases()[A]?.["NodeID"]).toBe(loser === nodes[0] ? "id-of-b" : "id-of-a");
    }
  });
});

describe("reservations", () => {
  test("one for our address is used before everything else and stays without etcd lease, for days", async () => {
    const cluster = new LeaseCluster();
    cluster.put(A, { PublicIP: "192.0.2.1" });
    const node = cluster.node("a", { ip: "192.0.2.1", previous: { 4: prefix("10.5.200.0/24") } });
    await settled(cluster, node);
    expect(node.own).toMatchObject({ key: A, leaseId: "0" });
    expect(node.manager.expiresAt).toBe(0);
    await cluster.clock.advance(3 * DAY);
    expect(leaseIdOf(cluster, A)).toBe("0");
    expect(cluster.leases()[A]).toMatchObject({ BackendType: "host-gw", NodeID: "id-of-a" });
    // The session alone.
    expect(cluster.etcd.leases().length).toBe(1);
  });

  test("one for another address is left free of us", async () => {
    const cluster = new LeaseCluster({ config: { SubnetMin: "10.5.7.0", SubnetMax: "10.5.8.0" } });
    cluster.put(A, { PublicIP: "192.0.2.9" });
    const node = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    expect(node.own?.key).toBe("subnets/10.5.8.0-24");
  });

  test("one that does not fit the network is told and left alone", async () => {
    const cluster = new LeaseCluster();
    cluster.put("subnets/10.9.7.0-24", { PublicIP: "192.0.2.1" });
    const node = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    expect(Object.keys(cluster.leases()).length).toBe(2);
    const warning = node.log.lines.find((line) => line.sentence === "reservation not used");
    expect(warning?.fields["reason"]).toBe("10.9.7.0/24 is no subnet that the network config gives out");
  });

  test("one made of our lease while we hold it is honoured", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a"));
    const key = node.own?.key ?? "";
    cluster.put(key, cluster.leases()[key] ?? {});
    await cluster.clock.advance(2 * DAY);
    expect(node.own?.leaseId).toBe("0");
    expect(leaseIdOf(cluster, key)).toBe("0");
  });

  test("a release leaves the reservation behind, without our attributes", async () => {
    const cluster = new LeaseCluster();
    cluster.put(A, { PublicIP: "192.0.2.1" });
    const node = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    await node.manager.release();
    expect(cluster.leases()).toEqual({ [A]: { PublicIP: "192.0.2.1", PublicIPv6: null } });
    await cluster.clock.advance(DAY);
    expect(node.manager.ownState).toBe("none");
  });
});

describe("renewal", () => {
  test("a lease of 24 hours lives for a week, renewed once in 23 hours and never written", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a"));
    const key = node.own?.key ?? "";
    const before = cluster.etcd.get(`${PREFIX}/${key}`);
    let renewals = 0;
    const keepAlive = node.registry.keepAlive.bind(node.registry);
    node.registry.keepAlive = (id) => {
      if (id === node.own?.leaseId) renewals += 1;
      return keepAlive(id);
    };
    for (let day = 0; day < 7; day++) {
      await cluster.clock.advance(DAY);
      const left = node.manager.expiresAt - cluster.clock.wall();
      expect(left).toBeGreaterThan(0);
      expect(Math.abs(cluster.etcd.timeToLive(node.own?.leaseId ?? "") * SECOND - left)).toBeLessThan(2 * SECOND);
    }
    expect(cluster.etcd.get(`${PREFIX}/${key}`)).toEqual(before);
    expect(renewals).toBeGreaterThanOrEqual(7);
    expect(renewals).toBeLessThanOrEqual(9);
  });

  test("a margin near the TTL is capped at two thirds of it", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a", { ttl: 60, renewMargin: 3600 }));
    let renewals = 0;
    const keepAlive = node.registry.keepAlive.bind(node.registry);
    node.registry.keepAlive = (id) => {
      if (id === node.own?.leaseId) renewals += 1;
      return keepAlive(id);
    };
    await cluster.clock.advance(600 * SECOND);
    expect(node.manager.ownState).toBe("held");
    expect(renewals).toBeGreaterThanOrEqual(30);
    expect(renewals).toBeLessThanOrEqual(36);
  });

  test("a lease that somebody has made shorter is renewed in time", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a"));
    const key = node.own?.key ?? "";
    const short = cluster.etcd.grant(60);
    cluster.etcd.put(`${PREFIX}/${key}`, cluster.etcd.get(`${PREFIX}/${key}`)?.value ?? "", short);
    await cluster.clock.advance(HOUR);
    expect(leaseIdOf(cluster, key)).toBe(short);
    expect(node.manager.ownState).toBe("held");
    expect(node.log.sentences("warn")).toEqual([]);
  });

  test("a jump of the wall clock changes nothing", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a"));
    const { key, leaseId } = node.own ?? {};
    cluster.clock.jumpWall(100 * DAY);
    await cluster.clock.advance(2 * DAY);
    cluster.clock.jumpWall(-200 * DAY);
    await cluster.clock.advance(2 * DAY);
    expect(node.manager.ownState).toBe("held");
    // Another etcd lease would mean that this one had run out.
    expect(node.own).toMatchObject({ key, leaseId });
  });

  test("an outage is ridden out, and told once when it begins and once when it ends", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a"));
    const leaseId = node.own?.leaseId;
    cluster.etcd.down = true;
    await cluster.clock.advance(30 * HOUR);
    expect(node.manager.ownState).toBe("lost");
    expect(node.manager.ownProblem).toContain("has run out while etcd did not answer");
    expect(node.manager.registryState).toBeDefined();
    expect(node.own).toBeDefined();
    cluster.etcd.down = false;
    await cluster.clock.advance(120 * SECOND);
    expect([node.manager.ownState, node.own?.leaseId]).toEqual(["held", leaseId]);
    expect(node.manager.registryState).toBeUndefined();
    const told = node.log.lines.filter((line) => line.level !== "debug").map((line) => line.sentence);
    expect(told.filter((sentence) => sentence.includes("contact"))).toEqual([
      "lost contact with etcd, going on with what is known",
      "contact with etcd is back",
    ]);
    await node.stop();
    cluster.etcd.close();
    expect(cluster.clock.pending).toBe(0);
  });
});

describe("the session during an outage", () => {
  test("is asked for once a minute while the watch has no etcd either, and at once when that has", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    const session = (): unknown => cluster.etcd.get(`${PREFIX}/twill/nodes/192.0.2.1`);
    node.registry.cutOff = true;
    await cluster.clock.advance(HOUR);
    // The watch loses it once here, and each of two tries within a minute may be shortened by a fifth.
    expect(node.manager.registryFailures).toBeLessThanOrEqual(2 + 60 / 0.8);
    expect(session()).toBeUndefined();
    node.registry.cutOff = false;
    await cluster.clock.advance(SECOND);
    expect(session()).toBeDefined();
    expect(node.manager.registryState).toBeUndefined();
    await node.stop();
    cluster.etcd.close();
    expect(cluster.clock.pending).toBe(0);
  });
});

describe("a lease that was lost", () => {
  const ways: { name: string; lose: (cluster: LeaseCluster, node: LeaseNode) => void }[] = [
    {
      name: "its key was deleted",
      lose: (cluster, node) => void cluster.etcd.delete(`${PREFIX}/${node.own?.key ?? ""}`),
    },
    { name: "its etcd lease was revoked", lose: (cluster, node) => cluster.etcd.revoke(node.own?.leaseId ?? "") },
    {
      name: "etcd lost everything",
      lose: (cluster) => {
        const config = cluster.etcd.get(`${PREFIX}/config`)?.value ?? "";
        cluster.etcd.wipe();
        cluster.etcd.put(`${PREFIX}/config`, config);
      },
    },
  ];
  for (const { name, lose } of ways) {
    test(`${name}: the same subnet is taken again at once`, async () => {
      const cluster = new LeaseCluster();
      const node = await settled(cluster, cluster.node("a"));
      const key = node.own?.key ?? "";
      lose(cluster, node);
      await cluster.clock.advance(2 * SECOND);
      expect(cluster.leases()[key]).toMatchObject({ NodeID: "id-of-a" });
      expect([node.manager.ownState, node.own?.leaseId]).toEqual(["held", leaseIdOf(cluster, key)]);
      expect(node.log.sentences("warn")).toContain("lease lost");
      expect(node.log.sentences("info")).toContain("lease taken back");
      await cluster.clock.advance(3 * DAY);
      expect(Object.keys(cluster.leases())).toEqual([key]);
    });
  }

  test("a node that was cut off for days takes its subnet again when nobody has it", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a"));
    const key = node.own?.key ?? "";
    node.registry.cutOff = true;
    await cluster.clock.advance(3 * DAY);
    expect(cluster.leases()).toEqual({});
    node.registry.cutOff = false;
    await cluster.clock.advance(2 * 60 * SECOND);
    expect([node.manager.ownState, node.own?.key]).toEqual(["held", key]);
  });

  test("a subnet that another node holds by now is a conflict: named, never overwritten, ended when it is free", async () => {
    const cluster = new LeaseCluster({ config: { SubnetMin: "10.5.7.0", SubnetMax: "10.5.7.0" } });
    const a = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    a.registry.cutOff = true;
    await cluster.clock.advance(2 * DAY);
    const b = await settled(cluster, cluster.node("b", { ip: "192.0.2.2" }));
    expect(b.own?.key).toBe(A);
    const theirs = cluster.etcd.get(`${PREFIX}/${A}`);
    a.registry.cutOff = false;
    await cluster.clock.advance(3 * DAY);
    expect(a.manager.ownState).toBe("conflict");
    expect(a.manager.ownProblem).toContain("the subnet of this node, a (192.0.2.1)");
    expect(a.manager.ownProblem).toContain("now held by node b (192.0.2.2)");
    expect(a.own?.key).toBe(A);
    expect(cluster.etcd.get(`${PREFIX}/${A}`)).toEqual(theirs);
    expect(a.log.sentences("error")).toEqual(["cannot hold our subnet"]);
    await b.manager.release();
    await cluster.clock.advance(2 * SECOND);
    expect(a.manager.ownState).toBe("held");
    expect(cluster.leases()[A]).toMatchObject({ NodeID: "id-of-a" });
  });

  test("a larger lease over the lost subnet is a conflict as well", async () => {
    const cluster = new LeaseCluster();
    cluster.put(A, flannel("192.0.2.1"), 86_400);
    const a = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    a.registry.cutOff = true;
    cluster.etcd.delete(`${PREFIX}/${A}`);
    cluster.put("subnets/10.5.4.0-22", { ...flannel("192.0.2.2"), NodeName: "big" }, 7200);
    a.registry.cutOff = false;
    await cluster.clock.advance(120 * SECOND);
    expect(a.manager.ownState).toBe("conflict");
    expect(a.manager.ownProblem).toContain("overlaps lease subnets/10.5.4.0-22, 10.5.4.0/22 of node big (192.0.2.2)");
    await cluster.clock.advance(3 * HOUR);
    expect([a.manager.ownState, a.own?.key]).toEqual(["held", A]);
  });

  test("flannel's blind renewal over our key is a conflict, and is not overwritten in turn", async () => {
    const cluster = new LeaseCluster();
    const a = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    const key = a.own?.key ?? "";
    cluster.put(key, flannel("192.0.2.77"), 86_400);
    await cluster.clock.advance(HOUR);
    expect(a.manager.ownState).toBe("conflict");
    expect(a.manager.ownProblem).toContain("192.0.2.77");
    expect(cluster.leases()[key]).toEqual(flannel("192.0.2.77"));
  });

  test("a value that was scribbled over while it hangs on our lease is written again", async () => {
    const cluster = new LeaseCluster();
    const a = await settled(cluster, cluster.node("a"));
    const { key = "", leaseId = "" } = a.own ?? {};
    cluster.etcd.put(`${PREFIX}/${key}`, "{", leaseId);
    await cluster.clock.advance(2 * SECOND);
    expect(cluster.etcd.get(`${PREFIX}/${key}`)?.value).toBe(a.own && encodeLeaseValue(a.own.attrs));
    expect(a.manager.ownState).toBe("held");
  });
});

describe("two nodes with one public address", () => {
  test("the second is refused while the first lives, with a sentence that names both", async () => {
    const cluster = new LeaseCluster();
    const a = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    const b = await settled(cluster, cluster.node("b", { ip: "192.0.2.1" }));
    expect(b.failure).toHaveProperty(
      "message",
      "the public address 192.0.2.1 belongs to node a (id id-of-a), which is alive, and cannot also be that of this node, " +
        "b (id id-of-b): give one of them another --public-ip or --iface, or stop the other and wait 30 s",
    );
    expect(Object.keys(cluster.leases())).toEqual([a.own?.key]);
    expect(a.manager.ownState).toBe("held");
  });

  test("one that comes back from a partition finds the other in its place, and does not write", async () => {
    const cluster = new LeaseCluster();
    const a = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    const key = a.own?.key ?? "";
    a.registry.cutOff = true;
    await cluster.clock.advance(60 * SECOND);
    const b = await settled(cluster, cluster.node("b", { ip: "192.0.2.1" }));
    expect(b.own?.key).toBe(key);
    const theirs = cluster.etcd.get(`${PREFIX}/${key}`);
    a.registry.cutOff = false;
    await cluster.clock.advance(HOUR);
    expect(a.manager.ownState).toBe("conflict");
    expect(a.manager.ownProblem).toContain("belongs to node b (id id-of-b)");
    expect(cluster.etcd.get(`${PREFIX}/${key}`)).toEqual(theirs);
    expect(b.manager.ownState).toBe("held");
  });

  test("a session key that somebody deleted is made again", async () => {
    const cluster = new LeaseCluster();
    await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    cluster.etcd.delete(`${PREFIX}/twill/nodes/192.0.2.1`);
    await cluster.clock.advance(10 * SECOND);
    const stored = cluster.etcd.get(`${PREFIX}/twill/nodes/192.0.2.1`);
    expect(stored?.value).toBe(`{"NodeID":"id-of-a","NodeName":"a"}`);
    expect(cluster.etcd.timeToLive(stored?.leaseId ?? "")).toBeGreaterThan(15);
  });

  test("a session key without a lease proves nobody alive", async () => {
    const cluster = new LeaseCluster();
    cluster.put("twill/nodes/192.0.2.1", { NodeID: "ghost", NodeName: "ghost" });
    const a = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    expect(a.manager.ownState).toBe("held");
  });
});

describe("publishing", () => {
  const vtep = (text: string) => ({ 4: { vni: 1, mac: mac(text) } });

  test("changed attributes are written by compare and swap, unchanged ones not at all", async () => {
    const cluster = new LeaseCluster();
    const a = await settled(cluster, cluster.node("a"));
    const before = cluster.etcd.revision;
    await a.manager.publish(a.attrs);
    expect(cluster.etcd.revision).toBe(before);
    const changed = { ...a.attrs, backendType: "vxlan", vtep: vtep("02:00:00:00:00:01") };
    const lease = await a.manager.publish(changed);
    expect(lease).toEqual(a.own);
    expect(cluster.leases()[lease.key]).toMatchObject({
      BackendData: { VNI: 1, VtepMAC: "02:00:00:00:00:01" },
      NodeID: "id-of-a",
    });
    expect(cluster.etcd.revision).toBe(before + 1);
    expect(leaseIdOf(cluster, lease.key)).toBe(a.own?.leaseId);
  });

  test("after somebody else's harmless write it is tried again on what is there now", async () => {
    const cluster = new LeaseCluster();
    const a = await settled(cluster, cluster.node("a"));
    const { key = "", leaseId = "" } = a.own ?? {};
    a.registry.cutOff = true;
    cluster.etcd.put(`${PREFIX}/${key}`, JSON.stringify({ ...cluster.leases()[key], Note: "x" }), leaseId);
    a.registry.cutOff = false;
    await a.manager.publish({ ...a.attrs, backendType: "vxlan", vtep: vtep("02:00:00:00:00:02") });
    expect(cluster.leases()[key]).toMatchObject({ BackendData: { VtepMAC: "02:00:00:00:00:02" } });
  });

  test("what could not be written during an outage is written by the next renewal", async () => {
    const cluster = new LeaseCluster();
    const a = await settled(cluster, cluster.node("a"));
    cluster.etcd.down = true;
    const changed = { ...a.attrs, backendType: "vxlan", vtep: vtep("02:00:00:00:00:03") };
    await expect(a.manager.publish(changed)).rejects.toThrow("no etcd answers");
    cluster.etcd.down = false;
    await cluster.clock.advance(DAY);
    expect(cluster.leases()[a.own?.key ?? ""]).toMatchObject({ BackendType: "vxlan" });
  });

  test("a new public address keeps the subnet and moves the session", async () => {
    const cluster = new LeaseCluster();
    const a = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    const key = a.own?.key ?? "";
    await a.manager.publish({ ...a.attrs, publicIp: { 4: addr("192.0.2.9") } });
    expect(cluster.leases()).toMatchObject({ [key]: { PublicIP: "192.0.2.9" } });
    await cluster.clock.advance(HOUR);
    expect(cluster.etcd.range(`${PREFIX}/twill/`).map((stored) => stored.key)).toEqual([
      `${PREFIX}/twill/nodes/192.0.2.9`,
    ]);
  });

  test("not into somebody else's key", async () => {
    const cluster = new LeaseCluster();
    const a = await settled(cluster, cluster.node("a", { ip: "192.0.2.1" }));
    const key = a.own?.key ?? "";
    a.registry.cutOff = true;
    cluster.put(key, flannel("192.0.2.77"), 86_400);
    a.registry.cutOff = false;
    await expect(a.manager.publish({ ...a.attrs, backendType: "vxlan" })).rejects.toThrow("192.0.2.77");
    expect(cluster.leases()[key]).toEqual(flannel("192.0.2.77"));
  });
});

describe("answers that were lost", () => {
  test("a lease whose creation was not answered is found again, not made twice", async () => {
    const cluster = new LeaseCluster();
    const node = cluster.node("a");
    const create = node.registry.create.bind(node.registry);
    node.registry.create = async (key, value, leaseId) => {
      const entry = await create(key, value, leaseId);
      if (!key.startsWith("subnets/")) return entry;
      node.registry.create = create;
      node.registry.losesReplies = true;
      try {
        return await create(key, value, leaseId);
      } finally {
        node.registry.losesReplies = false;
      }
    };
    await settled(cluster, node);
    expect(node.manager.ownState).toBe("held");
    expect(Object.keys(cluster.leases())).toEqual([node.own?.key]);
    // One lease and one session.
    expect(cluster.etcd.leases().length).toBe(2);
  });

  test("an etcd lease that goes away between grant and write is granted anew, for the session and the lease", async () => {
    const cluster = new LeaseCluster();
    const node = cluster.node("a");
    const create = node.registry.create.bind(node.registry);
    const spoilt = new Set<string>();
    node.registry.create = (key, value, leaseId) => {
      const folder = key.split("/")[0] ?? "";
      if (!spoilt.has(folder)) cluster.etcd.revoke(leaseId);
      spoilt.add(folder);
      return create(key, value, leaseId);
    };
    await settled(cluster, node);
    expect([...spoilt]).toEqual(["twill", "subnets"]);
    expect([node.failure, node.manager.ownState]).toEqual([undefined, "held"]);
  });

  test("a release that was not answered can be repeated", async () => {
    const cluster = new LeaseCluster();
    const node = await settled(cluster, cluster.node("a"));
    node.registry.losesReplies = true;
    await expect(node.manager.release()).rejects.toThrow("no etcd answers");
    node.registry.losesReplies = false;
    await node.manager.release();
    expect(cluster.leases()).toEqual({});
    expect(node.manager.ownState).toBe("none");
    await cluster.clock.advance(HOUR);
    expect(cluster.leases()).toEqual({});
  });
});

test("after a release another node may have the subnet at once, and nothing of ours is left", async () => {
  const cluster = new LeaseCluster({ config: { SubnetMin: "10.5.7.0", SubnetMax: "10.5.7.0" } });
  const a = await settled(cluster, cluster.node("a"));
  await a.manager.release();
  expect(cluster.etcd.leases()).toEqual([]);
  const b = await settled(cluster, cluster.node("b"));
  expect(b.own?.key).toBe(A);
  await cluster.clock.advance(DAY);
  expect([a.manager.ownState, b.manager.ownState]).toEqual(["none", "held"]);
});
