// Peers on one link without a tunnel: DirectRouting of the vxlan backend, and the backend host-gw. Who is on-link changes
// while the agents run, on one side or on both.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { UNDERLAY_ADDRESS } from "../../pkg/lab/underlay.ts";
import { until } from "../until.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { transferTcp } from "./tcp.ts";

const MB = 1_000_000;
const RESYNC = "--resync=1s";

interface StatusJson {
  readonly peers: readonly {
    readonly lease: { readonly subnets: readonly string[] };
    readonly state: string;
    readonly reason: string;
    readonly txPackets: number;
    readonly rxPackets: number;
  }[];
}

const subnetOf = (node: Node): string => (node.subnetEnv()["FLANNEL_SUBNET"] ?? "").replace(".1/", ".0/");

/** The routes of `node` to the pods of `peer`, as `ip route` prints them. */
async function routesTo(node: Node, peer: Node): Promise<string> {
  const { stdout } = await node.run(["ip", "route", "show", subnetOf(peer)]);
  return stdout.trim().replaceAll(/\s+/g, " ");
}

async function peerStatus(node: Node, peer: Node): Promise<StatusJson["peers"][number]> {
  const { stdout } = await node.netns.capture([...ctl(node), "--json", "status"]);
  const status = JSON.parse(stdout) as StatusJson;
  const found = status.peers.find(({ lease }) => lease.subnets.includes(subnetOf(peer)));
  if (!found) throw new Error(`${node.name} knows no peer ${peer.name}`);
  return found;
}

function ctl(node: Node): string[] {
  return [new URL("../../bin/twillctl", import.meta.url).pathname, `--socket=${node.socket}`];
}

/** Puts a router between two nodes as `node` sees it: the other's address is reached through the bridge's. */
async function routeThroughBridge(node: Node, peer: Node): Promise<void> {
  await node.run(["ip", "route", "replace", `${peer.address}/32`, "via", UNDERLAY_ADDRESS, "dev", "eth0"]);
}

async function onLinkAgain(node: Node, peer: Node): Promise<void> {
  await node.run(["ip", "route", "delete", `${peer.address}/32`, "via", UNDERLAY_ADDRESS, "dev", "eth0"]);
}

// The bridge forwards what is sent to its address, and tells nobody of the shorter way.
async function makeRouter(lab: Lab): Promise<void> {
  const settings = ["ip_forward=1", "conf.all.send_redirects=0", "conf.br0.send_redirects=0"];
  await lab.underlay.run(["sysctl", "-qw", ...settings.map((setting) => `net.ipv4.${setting}`)]);
}

/** Both ways, and both ends see each other's own address. */
async function expectTcp(lab: Lab, a: number, b: number): Promise<void> {
  for (const [from, to] of [
    [lab.pod(a, 1), lab.pod(b, 1)],
    [lab.pod(b, 1), lab.pod(a, 1)],
  ] as const) {
    expect(await transferTcp(from, to, MB, lab.directory)).toEqual({ sender: from.address, bytes: MB, intact: true });
  }
}

describe.skipIf(notRoot)(rootTitle("vxlan with DirectRouting"), () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({
      nodes: 3,
      pods: 1,
      config: { Network: "10.244.0.0/16", Backend: { Type: "vxlan", DirectRouting: true } },
      args: [RESYNC],
    });
    await makeRouter(lab);
  });
  afterAll(() => lab?.close());

  const plain = (peer: Node): string => `${subnetOf(peer)} via ${peer.address} dev eth0 proto 84`;
  const tunnel = (peer: Node): string => `${subnetOf(peer)} dev twill.1 scope link`;

  test("peers on the link get flannel's plain route, and nothing goes through the tunnel", async () => {
    const [node1, node2] = [lab.node(1), lab.node(2)];
    await until(async () => (await routesTo(node1, node2)) === plain(node2));
    await until(async () => (await routesTo(node2, node1)) === plain(node1));
    // Also where the host takes a packet only from where the answer would go.
    for (const node of [node1, node2]) {
      await node.run(["sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1"]);
    }
    await expectTcp(lab, 1, 2);
    for (const node of [node1, node2]) await node.run(["sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=0"]);
    expect(await peerStatus(node1, node2)).toMatchObject({ state: "in-sync", txPackets: 0, rxPackets: 0 });
    expect(lab.node(1).subnetEnv()["FLANNEL_MTU"]).toBe("1450");
  });

  test("a packet of exactly the MTU passes with DF by the plain way", async () => {
    await lab.pod(1, 1).netns.run(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1422", lab.pod(2, 1).address]);
  });

  test("a peer that comes to be behind a router is tunnelled to, and plainly again afterwards", async () => {
    const [node1, node3] = [lab.node(1), lab.node(3)];
    await routeThroughBridge(node1, node3);
    await routeThroughBridge(node3, node1);
    await until(async () => (await routesTo(node1, node3)) === tunnel(node3));
    await until(async () => (await routesTo(node3, node1)) === tunnel(node1));
    // The others keep their way.
    expect(await routesTo(node1, lab.node(2))).toBe(plain(lab.node(2)));
    await expectTcp(lab, 1, 3);
    const far = await peerStatus(node1, node3);
    expect(far.txPackets).toBeGreaterThan(100);
    expect(far.rxPackets).toBeGreaterThan(100);
    await onLinkAgain(node1, node3);
    await onLinkAgain(node3, node1);
    await until(async () => (await routesTo(node1, node3)) === plain(node3));
    await until(async () => (await routesTo(node3, node1)) === plain(node1));
    await expectTcp(lab, 1, 3);
  });

  test("where one side sends plainly and the other through VXLAN, both take what comes", async () => {
    const [node1, node2] = [lab.node(1), lab.node(2)];
    await routeThroughBridge(node1, node2);
    await until(async () => (await routesTo(node1, node2)) === tunnel(node2));
    expect(await routesTo(node2, node1)).toBe(plain(node1));
    const before = await peerStatus(node2, node1);
    await expectTcp(lab, 1, 2);
    const after = await peerStatus(node2, node1);
    expect(after.rxPackets - before.rxPackets).toBeGreaterThan(100);
    expect(after.txPackets).toBe(before.txPackets);
    await onLinkAgain(node1, node2);
    await until(async () => (await routesTo(node1, node2)) === plain(node2));
  });

  test("a connection outlives the change of way in both directions", async () => {
    const [node1, node2] = [lab.node(1), lab.node(2)];
    const progress = { ended: false, changes: 0 };
    const transfer = transferTcp(lab.pod(1, 1), lab.pod(2, 1), 1000 * MB, lab.directory).finally(
      () => (progress.ended = true),
    );
    while (!progress.ended) {
      await routeThroughBridge(node1, node2);
      await until(async () => (await routesTo(node1, node2)) === tunnel(node2));
      if (!progress.ended) progress.changes++;
      await onLinkAgain(node1, node2);
      await until(async () => (await routesTo(node1, node2)) === plain(node2));
      if (!progress.ended) progress.changes++;
    }
    expect(await transfer).toMatchObject({ bytes: 1000 * MB, intact: true });
    expect(progress.changes).toBeGreaterThanOrEqual(2);
  });

  test("plain routes that somebody deletes come back, those of a peer that leaves go", async () => {
    const [node1, node2] = [lab.node(1), lab.node(2)];
    await node1.run(["ip", "route", "delete", subnetOf(node2)]);
    await until(async () => (await routesTo(node1, node2)) === plain(node2));
    await node1.run(["ip", "route", "replace", "10.244.251.0/24", "via", node2.address, "proto", "84"]);
    await node1.run(["ip", "route", "replace", "10.244.252.0/24", "via", node2.address]);
    const left = async (): Promise<string> => (await node1.run(["ip", "route"])).stdout;
    await until(async () => !(await left()).includes("10.244.251.0/24"));
    expect(await left()).toContain("10.244.252.0/24");
  });
});

describe.skipIf(notRoot)(rootTitle("the backend host-gw"), () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({
      nodes: 3,
      pods: 1,
      config: {
        Network: "10.244.0.0/16",
        EnableIPv6: true,
        IPv6Network: "fd10:244::/48",
        Backend: { Type: "host-gw" },
      },
      args: [RESYNC],
    });
    await makeRouter(lab);
  });
  afterAll(() => lab?.close());

  const plain = (peer: Node): string => `${subnetOf(peer)} via ${peer.address} dev eth0 proto 84`;

  test("pods reach pods without NAT, by flannel's routes and the underlay's whole MTU", async () => {
    const [node1, node2] = [lab.node(1), lab.node(2)];
    await until(async () => (await routesTo(node1, node2)) === plain(node2));
    await until(async () => (await routesTo(node2, node1)) === plain(node1));
    await expectTcp(lab, 1, 2);
    expect(node1.subnetEnv()["FLANNEL_MTU"]).toBe("1500");
    const [a, b] = [lab.pod(1, 1), lab.pod(2, 1)];
    await a.netns.run(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1472", b.address]);
    const { stdout } = await node1.run(["ip", "-j", "link"]);
    expect((JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname)).not.toContain("twill.1");
  });

  test("so they do by IPv6", async () => {
    const [node1, node2] = [lab.node(1), lab.node(2)];
    const { stdout } = await node1.run(["ip", "-6", "route", "show", "proto", "84"]);
    const subnet6 = (node2.subnetEnv()["FLANNEL_IPV6_SUBNET"] ?? "").replace("::1/64", "::/64");
    expect(stdout).toContain(`${subnet6} via ${node2.address6} dev eth0 metric 1024`);
    const [a, b] = [lab.pod(1, 1), lab.pod(2, 1)].map((pod) => ({ netns: pod.netns, address: pod.addresses[1] ?? "" }));
    if (!a || !b) throw new Error("no pods");
    expect(await transferTcp(a, b, MB, lab.directory)).toEqual({ sender: a.address, bytes: MB, intact: true });
    await a.netns.run(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1452", b.address]);
  });

  test("also with FORWARD set to DROP", async () => {
    const node1 = lab.node(1);
    await node1.run(["iptables", "-P", "FORWARD", "DROP"]);
    await until(async () => (await node1.run(["iptables", "-S"])).stdout.includes("TWILL-FWD"));
    await expectTcp(lab, 1, 2);
  });

  test("the lease is flannel's: no BackendData", async () => {
    for (const { value } of await lab.etcd.list("/coreos.com/network/subnets/")) {
      expect(value).toMatch(
        /^\{"PublicIP":"172\.31\.1\.\d","PublicIPv6":"fd00:31::1:\d","BackendType":"host-gw","NodeID":/,
      );
      expect(value).not.toMatch(/Backend(V6)?Data/);
    }
  });

  test("a peer beyond a router is told as failed, and reached again once it is on-link", async () => {
    const [node1, node3] = [lab.node(1), lab.node(3)];
    await until(async () => (await routesTo(node1, node3)) === plain(node3));
    await routeThroughBridge(node1, node3);
    await until(async () => (await routesTo(node1, node3)) === "");
    await until(async () => (await peerStatus(node1, node3)).state === "failed");
    expect((await peerStatus(node1, node3)).reason).toMatch(/^172\.31\.1\.3 is not on the link of eth0/);
    expect(await routesTo(node1, lab.node(2))).toBe(plain(lab.node(2)));
    await onLinkAgain(node1, node3);
    await until(async () => (await routesTo(node1, node3)) === plain(node3));
    await expectTcp(lab, 1, 3);
  });

  test("a node that has answered and is down is told as such, and its lease is not for taking away", async () => {
    const [node1, node2] = [lab.node(1), lab.node(2)];
    const says = async (command: string): Promise<string> =>
      (await node1.netns.capture([...ctl(node1), ...command.split(" ")])).stdout;
    const answers = async (): Promise<string[]> =>
      (await node1.http("/metrics")).body
        .split("\n")
        .filter((line) => line.startsWith("twill_peer_answers{") && line.includes('node="node2"'));
    await says("probe node2");
    expect(await answers()).toEqual([expect.stringMatching(/,over="underlay"} 1$/)]);
    await lab.underlay.run(["ip", "link", "set", "node2", "down"]);
    try {
      await says("probe node2");
      expect(await answers()).toEqual([expect.stringMatching(/,over="underlay"} 0$/)]);
      expect(await says("status")).toContain(`! node2 does not answer: neither ${node2.address} on the underlay nor`);
      const found = await says("doctor");
      expect(found).toContain("node2 does not answer any more (peers)");
      expect(found).not.toContain("lease revoke");
    } finally {
      await lab.underlay.run(["ip", "link", "set", "node2", "up"]);
    }
  });

  test("routes of a peer that leaves go", async () => {
    const [node1, node3] = [lab.node(1), lab.node(3)];
    await node3.stop();
    await lab.etcd.ctl(["del", "--prefix", `/coreos.com/network/subnets/${subnetOf(node3).replace("/", "-")}`]);
    await until(async () => (await routesTo(node1, node3)) === "");
  });

  test("a public address that is not the interface's is refused with a sentence", async () => {
    const node = await lab.addNode();
    const { status, stdout, stderr } = await node.netns.capture(node.commandLine(["--public-ip=203.0.113.9"]), {
      timeout: 15_000,
    });
    expect(stdout + stderr).toContain("the public address 203.0.113.9 is not the address 172.31.1.4 of eth0");
    expect(status).toBe(3);
  });
});
