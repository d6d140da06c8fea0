import { existsSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LinkAddr } from "../../pkg/host/host.ts";
import { addr, prefix } from "../literals.ts";
import { PREFIX, SimCluster } from "./sim-cluster.ts";

// How a node goes for good, and what it leaves behind: nothing.
const SECOND = 1000;

function interfaceAddr(text: string): LinkAddr {
  const { length, ...rest } = prefix(text);
  return { addr: rest, length, scope: "global", deprecated: false, dynamic: false, temporary: false };
}

let cluster: SimCluster;
beforeEach(() => {
  cluster = new SimCluster();
  cluster.config();
});
afterEach(async () => {
  expect(await cluster.end(), "timers that were leaked").toBe(0);
});

test("lease, session, device, routes, rules and subnet.env go, and the agent ends by itself", async () => {
  const [node, other] = [cluster.node(1), cluster.node(2)];
  node.host.iptables(4, "nft").policy = "DROP";
  await node.start();
  await other.start();
  const { key } = node;
  // What data planes make, this one's and others'; and what is somebody else's.
  const ofNetwork = [interfaceAddr("10.5.1.0/32")];
  node.host.addLink({ name: "twill.1", kind: "tun", up: true, addresses: ofNetwork });
  node.host.addLink({ name: "flannel.1", kind: "vxlan", addresses: ofNetwork });
  node.host.addLink({ name: "twill.2", kind: "tun", addresses: [interfaceAddr("10.6.1.0/32")] });
  node.host.addLink({ name: "flannel-v6.1", kind: "bridge", addresses: ofNetwork });
  const via = addr("192.0.2.2");
  for (const [dst, protocol] of [
    ["10.5.99.0/24", "84"],
    ["10.5.98.0/24", "static"],
    ["10.6.0.0/24", "84"],
  ] as const) {
    await node.host.apply([{ kind: "route", route: { dst: prefix(dst), via, dev: "eth0", protocol } }]);
  }
  expect(await node.host.nftTable("ip", "twill")).toBeDefined();
  expect(node.host.iptables(4, "nft").forward).toEqual(["-j TWILL-FWD"]);

  const left = await node.agent.leave();
  expect(left.problems).toEqual([]);
  expect(left.subnets).toEqual([key.replace("subnets/", "").replace("-24", "/24")]);
  await cluster.clock.advance(SECOND);
  expect(node.result).toBe("left");

  expect(Object.keys(cluster.leases())).toEqual([other.key]);
  expect(cluster.etcd.range(`${PREFIX}/twill/nodes/`).map((stored) => stored.key)).toEqual([
    `${PREFIX}/twill/nodes/192.0.2.2`,
  ]);
  expect(other.programmed?.peers).toEqual([]);
  expect(node.plane.closed).toBe(true);
  expect((await node.host.links()).map(({ name }) => name)).toEqual(["lo", "eth0", "twill.2", "flannel-v6.1"]);
  const routes = (await node.host.routes(4)).filter(({ protocol }) => protocol !== "kernel" && protocol !== undefined);
  expect(routes.map(({ dst }) => dst)).toEqual([prefix("10.5.98.0/24"), prefix("10.6.0.0/24")]);
  expect(await node.host.nftTable("ip", "twill")).toBeUndefined();
  expect(node.host.iptables(4, "nft").forward).toEqual([]);
  expect(existsSync(node.config.subnetFile)).toBe(false);
  expect(node.cni).toMatchObject({
    state: "not-ready",
    message: "this node has left the cluster: start twilld to join it again",
  });
});

test("a node that starts again joins like a new one, under its old identity", async () => {
  const node = cluster.node(1);
  await node.start();
  const { id } = node.agent.status().node;
  await node.agent.leave();
  await cluster.clock.advance(SECOND);
  await node.start();
  expect(node.agent.status().node.id).toBe(id);
  expect(node.ready).toBe(true);
  expect(Object.keys(cluster.leases())).toEqual([node.key]);
});

test("without etcd it does not leave: nothing is changed, and it goes on", async () => {
  const node = cluster.node(1);
  await node.start();
  const { key } = node;
  cluster.etcd.down = true;
  const refused = node.agent.leave();
  await expect(refused).rejects.toMatchObject({
    name: "RefusedError",
    message: expect.stringMatching(
      /^cannot give the subnet back, so nothing was changed: .*; try again when etcd answers$/,
    ),
  });
  expect(existsSync(node.config.subnetFile)).toBe(true);
  expect(node.plane.closed).toBe(false);
  cluster.etcd.down = false;
  await cluster.clock.advance(60 * SECOND);
  expect(node.running).toBe(true);
  expect(node.ready).toBe(true);
  expect(node.key).toBe(key);
  expect(node.cni).toMatchObject({ state: "ready" });
  // And then it can.
  await node.agent.leave();
  await cluster.clock.advance(SECOND);
  expect(cluster.leases()).toEqual({});
});

test("a node that runs on what the last run knew cannot leave before etcd has answered", async () => {
  const node = cluster.node(1);
  await node.start();
  await node.stop();
  cluster.etcd.down = true;
  await node.start();
  await cluster.clock.advance(10 * SECOND);
  expect(node.ready).toBe(true);
  await expect(node.agent.leave()).rejects.toThrow(
    /etcd has not answered since the start, where the lease subnets\/10/,
  );
  await cluster.clock.advance(10 * SECOND);
  expect(node.ready).toBe(true);
  cluster.etcd.down = false;
});

test("a node that waits with what the last run knew says for what, and that it cannot leave yet", async () => {
  const node = cluster.node(1);
  await node.start();
  await node.stop();
  cluster.config('{"EnableIPv6":true,"Network":"10.5.0.0/16","IPv6Network":"fd05::/48","Backend":{"Type":"vxlan"}}');
  node.setAddress("192.0.2.1/24");
  node.route("0.0.0.0/0", "192.0.2.254");
  await node.start();
  await cluster.clock.advance(10 * SECOND);
  await expect(node.agent.leave()).rejects.toThrow(
    /the lease subnets\/10\S* of the last run has not been taken over yet: .*IPv6.*; try again when it has$/,
  );
});

test("a node that waits for its first lease leaves too, and keeps none that came meanwhile", async () => {
  cluster.etcd.put(`${PREFIX}/config`, "not yet");
  const node = cluster.node(1);
  await node.start();
  expect(await node.agent.leave()).toEqual({ subnets: [], problems: [] });
  cluster.config();
  await cluster.clock.advance(60 * SECOND);
  expect(node.result).toBe("left");
  expect(cluster.leases()).toEqual({});
});

test("what cannot be removed is told, and the rest goes all the same", async () => {
  const node = cluster.node(1);
  await node.start();
  node.host.addLink({ name: "twill.1", kind: "tun", addresses: [interfaceAddr("10.5.1.0/32")] });
  node.host.failNext("delete-link", "Operation not permitted");
  const left = await node.agent.leave();
  expect(left.problems).toEqual(["cannot delete the link twill.1: Operation not permitted"]);
  await cluster.clock.advance(SECOND);
  expect(node.result).toBe("left");
  expect(cluster.leases()).toEqual({});
  expect(await node.host.nftTable("ip", "twill")).toBeUndefined();
});

test("a reservation stays one, without our attributes", async () => {
  cluster.etcd.put(`${PREFIX}/subnets/10.5.7.0-24`, '{"PublicIP":"192.0.2.1"}');
  const node = cluster.node(1);
  await node.start();
  expect(node.key).toBe("subnets/10.5.7.0-24");
  await node.agent.leave();
  await cluster.clock.advance(SECOND);
  expect(cluster.leases()).toEqual({ "subnets/10.5.7.0-24": { PublicIP: "192.0.2.1", PublicIPv6: null } });
});

test("reserve and unreserve by the agent: text is checked, and refusals are sentences", async () => {
  const node = cluster.node(1);
  await node.start();
  const { agent } = node;
  expect(await agent.reserve(["10.5.7.0/24"], ["192.0.2.7"])).toBe("subnets/10.5.7.0-24");
  expect(await agent.unreserve(["10.5.7.0/24"])).toBe("subnets/10.5.7.0-24");
  const refusals = [
    [["10.5.7.0"], ["192.0.2.7"], '"10.5.7.0" is not a subnet: write it as 10.5.52.0/24'],
    [["10.5.7.0/24"], ["web1"], '"web1" is not an IP address'],
    [["10.5.7.0/24", "10.5.8.0/24"], ["192.0.2.7"], '"10.5.8.0/24" is the second of IPv4'],
    [[], ["192.0.2.7"], "there is not even one that is a subnet: write it as 10.5.52.0/24"],
    [["10.9.7.0/24"], ["192.0.2.7"], "10.9.7.0/24 is no subnet that the network config gives out"],
  ] as const;
  for (const [subnets, ips, message] of refusals) {
    await expect(agent.reserve(subnets, ips)).rejects.toMatchObject({ name: "RefusedError", message });
  }
  cluster.etcd.down = true;
  await expect(agent.unreserve(["10.5.7.0/24"])).rejects.toMatchObject({ name: "RefusedError" });
  cluster.etcd.down = false;
});
