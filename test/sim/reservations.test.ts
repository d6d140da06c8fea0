import { expect, test } from "vitest";
import { ReservationError } from "../../pkg/subnet/subnet-manager.ts";
import { addr, prefix } from "../literals.ts";
import { DAY, LeaseCluster, type LeaseNode, PREFIX, SECOND } from "./lease-cluster.ts";

// What `twillctl reserve` and `unreserve` write, and what nodes make of it. flannel documents the form of the value.
const KEY = "subnets/10.5.7.0-24";
const SUBNET = { 4: prefix("10.5.7.0/24") };

async function settled(cluster: LeaseCluster, name: string, ip: string): Promise<LeaseNode> {
  const node = cluster.node(name, { ip }).start();
  await cluster.clock.advance(10 * SECOND);
  expect(node.own).toBeDefined();
  return node;
}

const reserve = (cluster: LeaseCluster, node: LeaseNode, subnet: string, ip: string): Promise<string> =>
  node.manager.reserve(cluster.network, { 4: prefix(subnet) }, { 4: addr(ip) });

test("a subnet is kept for a node that is to come, and given to no other", async () => {
  const cluster = new LeaseCluster({ config: { SubnetMin: "10.5.7.0", SubnetMax: "10.5.8.0" } });
  const operator = cluster.node("operator");
  expect(await reserve(cluster, operator, "10.5.7.0/24", "192.0.2.7")).toBe(KEY);
  expect(cluster.etcd.get(`${PREFIX}/${KEY}`)).toMatchObject({
    value: '{"PublicIP":"192.0.2.7","PublicIPv6":null}',
    leaseId: "0",
  });
  // The same once more changes nothing.
  const { modRevision } = cluster.etcd.get(`${PREFIX}/${KEY}`) ?? {};
  expect(await reserve(cluster, operator, "10.5.7.0/24", "192.0.2.7")).toBe(KEY);
  expect(cluster.etcd.get(`${PREFIX}/${KEY}`)?.modRevision).toBe(modRevision);
  expect((await settled(cluster, "a", "192.0.2.1")).own?.key).toBe("subnets/10.5.8.0-24");
  expect((await settled(cluster, "b", "192.0.2.7")).own?.key).toBe(KEY);
});

test("a lease becomes a reservation under the node that holds it, and a lease again", async () => {
  const cluster = new LeaseCluster();
  const node = await settled(cluster, "a", "192.0.2.1");
  const { key = "", subnet = {} } = node.own ?? {};
  await node.manager.reserve(cluster.network, subnet, { 4: addr("192.0.2.1") });
  await cluster.clock.advance(2 * DAY);
  expect(node.own?.leaseId).toBe("0");
  expect(cluster.leases()[key]).toMatchObject({ NodeID: "id-of-a" });
  await node.manager.unreserve(subnet);
  await cluster.clock.advance(3 * DAY);
  expect(node.manager.ownState).toBe("held");
  expect(node.own?.leaseId).not.toBe("0");
  expect(cluster.etcd.get(`${PREFIX}/${key}`)?.leaseId).toBe(node.own?.leaseId);
  expect(node.log.sentences("warn")).toEqual([]);
});

test("a reservation that no node has taken is free at once", async () => {
  const cluster = new LeaseCluster();
  const operator = cluster.node("operator");
  await reserve(cluster, operator, "10.5.7.0/24", "192.0.2.7");
  expect(await operator.manager.unreserve(SUBNET)).toBe(KEY);
  expect(cluster.leases()).toEqual({});
  await expect(operator.manager.unreserve(SUBNET)).rejects.toThrow(/^10\.5\.7\.0\/24 is not reserved: nobody has it$/);
});

test("in dual stack a reservation names both subnets, by the one key that a lease of both has", async () => {
  const cluster = new LeaseCluster({ config: { EnableIPv6: true, IPv6Network: "fd05::/48" } });
  const { manager } = cluster.node("operator");
  const both = { ...SUBNET, 6: prefix("fd05:0:0:7::/64") };
  const publicIp = { 4: addr("192.0.2.7"), 6: addr("2001:db8::7") };
  expect(await manager.reserve(cluster.network, both, publicIp)).toBe("subnets/10.5.7.0-24&fd05:0:0:7::-64");
  expect(Object.values(cluster.leases())).toEqual([{ PublicIP: "192.0.2.7", PublicIPv6: "2001:db8::7" }]);
});

test("in dual stack an address that no agent would read is refused, too", async () => {
  const cluster = new LeaseCluster({ config: { EnableIPv6: true, IPv6Network: "fd05::/48" } });
  const both = { ...SUBNET, 6: prefix("fd05:0:0:7::/64") };
  const publicIp = { 4: addr("192.0.2.7"), 6: addr("::") };
  await expect(cluster.node("operator").manager.reserve(cluster.network, both, publicIp)).rejects.toThrow(
    /^no agent would read :: in the reservation: it is no node's address$/,
  );
  expect(cluster.leases()).toEqual({});
});

test.each([
  ["10.5.1.0/24", "192.0.2.2", /^it is taken: subnets\/10\.5\.1\.0-24, .*192\.0\.2\.1/],
  ["10.5.1.128/25", "192.0.2.2", /^10\.5\.1\.128\/25 is no subnet that the network config gives out$/],
  ["10.9.1.0/24", "192.0.2.2", /^10\.9\.1\.0\/24 is no subnet that the network config gives out$/],
  ["10.5.7.0/24", "192.0.2.3", /^192\.0\.2\.3 has the reservation 10\.5\.3\.0\/24 already: unreserve that first$/],
  ["10.5.64.0/24", "192.0.2.2", /^10\.5\.64\.0\/24 overlaps subnets\/10\.5\.64\.0-20, /],
  ["10.5.7.0/24", "0.0.0.0", /^no agent would read the reservation: it has neither a PublicIP nor a PublicIPv6$/],
  ["10.5.7.0/24", "127.0.0.1", /^no agent would read the reservation: it has a PublicIP that is not .*: 127\.0\.0\.1$/],
])("%s is not reserved for %s", async (subnet, ip, reason) => {
  const cluster = new LeaseCluster();
  cluster.put("subnets/10.5.1.0-24", { PublicIP: "192.0.2.1", BackendType: "vxlan" }, 86_400);
  cluster.put("subnets/10.5.3.0-24", { PublicIP: "192.0.2.3" });
  cluster.put("subnets/10.5.64.0-20", { PublicIP: "192.0.2.9" }, 86_400);
  const before = cluster.leases();
  const refused = reserve(cluster, cluster.node("operator"), subnet, ip);
  await expect(refused).rejects.toThrow(reason);
  await expect(refused).rejects.toBeInstanceOf(ReservationError);
  expect(cluster.leases()).toEqual(before);
});

test("a family too many or too few is refused, and a lease is not a reservation to end", async () => {
  const cluster = new LeaseCluster();
  const { manager } = cluster.node("operator");
  const six = { ...SUBNET, 6: prefix("fd05:0:0:7::/64") };
  await expect(manager.reserve(cluster.network, six, { 4: addr("192.0.2.7") })).rejects.toThrow(
    "the network gives every node an IPv4 subnet: give exactly that",
  );
  await expect(manager.reserve(cluster.network, SUBNET, { 6: addr("2001:db8::7") })).rejects.toThrow(
    "a node is told by its IPv4 address: give that one",
  );
  cluster.put(KEY, { PublicIP: "192.0.2.1", BackendType: "vxlan" }, 86_400);
  await expect(manager.unreserve(SUBNET)).rejects.toThrow(/^10\.5\.7\.0\/24 is a lease: subnets\/10\.5\.7\.0-24, /);
});

test("of two who reserve one subnet for different nodes at the same time, one is told", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = new LeaseCluster({ seed, latency: 50 });
    const asked = ["192.0.2.1", "192.0.2.2"].map((ip) => reserve(cluster, cluster.node(ip), "10.5.7.0/24", ip));
    const outcomes = Promise.allSettled(asked);
    await cluster.clock.advance(10 * SECOND);
    const rejected = (await outcomes).filter(({ status }) => status === "rejected");
    expect(rejected).toHaveLength(1);
    expect(rejected[0]).toMatchObject({ reason: { message: expect.stringMatching(/^it is taken: /) } });
    expect(Object.keys(cluster.leases())).toEqual([KEY]);
  }
});
