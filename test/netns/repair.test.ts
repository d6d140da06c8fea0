// Somebody else changes what twilld has made in the kernel, while pods talk: it is back within two seconds.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../pkg/base/clock.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { type Conversation, converse } from "./conversation.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { transferTcp } from "./tcp.ts";

const MOST_MS = 2_000;

interface Spoil {
  readonly what: string;
  /** Commands for sh; DEV, SUBNET (a peer's), NET (its first address), OWN and MAC are filled in. */
  readonly command: string;
}

const everyPlane: readonly Spoil[] = [
  { what: "device down", command: "ip link set DEV down" },
  { what: "MTU", command: "ip link set DEV mtu 1300" },
  { what: "address deleted", command: "ip address delete OWN/32 dev DEV" },
  { what: "address added", command: "ip address add 10.99.0.1/24 dev DEV" },
  { what: "route deleted", command: "ip route delete SUBNET" },
  { what: "route changed", command: "ip route replace SUBNET dev cni0" },
  { what: "route added", command: "ip route add 10.244.250.0/24 dev DEV" },
  { what: "routes flushed", command: "ip route flush dev DEV" },
  { what: "nft flushed", command: "nft flush ruleset && iptables-nft -P FORWARD DROP" }, // the latter is not ours
  {
    what: "masquerade rules deleted",
    // In JSON, since nft takes the chain's name for a key word.
    command: `nft -j '{"nftables":[{"flush":{"chain":{"family":"ip","table":"twill","name":"masquerade"}}}]}'`,
  },
  { what: "masquerade table deleted", command: "nft delete table ip twill" },
  { what: "forward accepts flushed, iptables-nft", command: "iptables-nft -F TWILL-FWD" },
  { what: "jump deleted, iptables-nft", command: "iptables-nft -D FORWARD -j TWILL-FWD" },
  { what: "forward accepts flushed, iptables-legacy", command: "iptables-legacy -F TWILL-FWD" },
  { what: "ip_forward", command: "echo 0 > /proc/sys/net/ipv4/ip_forward" },
  { what: "rp_filter", command: "echo 1 > /proc/sys/net/ipv4/conf/DEV/rp_filter" },
  { what: "subnet.env deleted", command: "rm ENV" },
  { what: "subnet.env changed", command: "echo FLANNEL_MTU=9000 > ENV" },
];

const tunPlane: readonly Spoil[] = [
  { what: "device deleted", command: "ip link delete DEV" },
  { what: "tunnel device down", command: "ip link set twgso.1 down" },
  { what: "tunnel device deleted", command: "ip link delete twgso.1" },
];

const kernelPlane: readonly Spoil[] = [
  { what: "device deleted", command: "ip link delete DEV" },
  { what: "MAC", command: "ip link set DEV address 0a:00:00:00:00:99" },
  { what: "learning", command: "ip link set DEV type vxlan id 1 learning" },
  { what: "accept_ra", command: "echo 1 > /proc/sys/net/ipv6/conf/DEV/accept_ra" },
  { what: "neighbour deleted", command: "ip neigh delete NET dev DEV" },
  { what: "neighbour changed", command: "ip neigh replace NET lladdr 0a:00:00:00:00:99 dev DEV nud permanent" },
  { what: "FDB entry deleted", command: "bridge fdb delete MAC dev DEV" },
  { what: "FDB entry changed", command: "bridge fdb replace MAC dst 172.31.9.9 dev DEV" },
  { what: "FDB entry added", command: "bridge fdb append 0a:00:00:00:00:77 dst 172.31.9.9 dev DEV" },
  { what: "FDB entry with a port added", command: "bridge fdb append 0a:00:00:00:00:77 dst 172.31.9.9 port 9 dev DEV" },
  {
    what: "FDB entries for the rest added",
    command: "for n in 8 9; do bridge fdb append 00:00:00:00:00:00 dst 172.31.9.$n dev DEV; done",
  },
  { what: "sender rules flushed", command: "nft flush chain ip twill-sender input" },
];

describe.skipIf(notRoot).each([
  { plane: "tun", device: "twill.1", spoils: [...everyPlane, ...tunPlane] },
  { plane: "kernel", device: "flannel.1", spoils: [...everyPlane, ...kernelPlane] },
])(rootTitle("what somebody changes is back within two seconds: $plane"), ({ plane, device, spoils }) => {
  let lab: Lab;
  let conversation: Conversation;
  let right = "";
  let own: Record<string, string> = {};
  const times: string[] = [];

  beforeAll(async () => {
    // So rare a resync has no part in it.
    lab = await Lab.create({ nodes: 2, pods: 1, args: [`--dataplane=${plane}`, "--resync=1h"] });
    const [node, peer] = [lab.node(1), lab.node(2)];
    await node.run(["iptables-nft", "-P", "FORWARD", "DROP"]);
    await node.run(["iptables-legacy", "-P", "FORWARD", "DROP"]);
    await node.restart();
    const net = (name: string): string => (name.split("=")[1] ?? name).replace(/\.1\/24$/, ".0");
    const peerNet = net(peer.subnetEnv()["FLANNEL_SUBNET"] ?? "");
    const { stdout: macOf } = await peer.run([
      "sh",
      "-c",
      `ip -o link show dev ${device} | grep -o 'link/ether [0-9a-f:]*' || true`,
    ]);
    own = {
      DEV: device,
      SUBNET: `${peerNet}/24`,
      NET: peerNet,
      OWN: net(node.subnetEnv()["FLANNEL_SUBNET"] ?? ""),
      MAC: macOf.trim().split(" ")[1] ?? "",
      ENV: node.subnetFile,
    };
    conversation = await converse(lab.pod(1, 1), lab.pod(2, 1), lab.directory);
    right = await settled();
  });
  afterAll(async () => {
    console.log(`${plane}: ${times.join(", ")}`);
    await lab?.close();
  });

  /** All that twilld keeps on the node, as text, without what changes by itself. */
  async function state(): Promise<string> {
    const commands = [
      `ip -d link show dev ${device}`,
      `ip -o address show dev ${device} scope global`,
      "ip -o link show type tun | grep twgso | cut -d \\\\ -f 1", // its MAC is drawn anew
      `ip route | grep -v 'proto kernel'`,
      `ip neigh show dev ${device} nud permanent`,
      `bridge fdb show dev ${device}`,
      "nft list table ip twill; nft list table ip twill-sender",
      // The order of the chains depends on who comes first after a flush.
      "nft list chain ip filter FORWARD; nft list chain ip filter TWILL-FWD",
      "iptables-legacy -S FORWARD; iptables-legacy -S TWILL-FWD",
      "cat /proc/sys/net/ipv4/ip_forward",
      `cat /proc/sys/net/ipv4/conf/${device}/rp_filter /proc/sys/net/ipv6/conf/${device}/accept_ra`,
      `cat ${own["ENV"]}`,
    ];
    const { stdout } = await lab.node(1).netns.capture(["sh", "-c", `exec 2>&1; ${commands.join("; ")}`]);
    return stdout
      .replaceAll(/packets \d+ bytes \d+/g, "")
      .replaceAll(/^\d+: /gm, "")
      .replaceAll(/ state (UP|UNKNOWN) /g, " ") // which one depends on how often a TUN device was opened
      .replaceAll(/ handle \d+/g, "");
  }

  // Once nothing has changed for a moment.
  async function settled(): Promise<string> {
    for (let last = ""; ;) {
      const now = await state();
      if (now === last) return now;
      last = now;
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
  }

  async function spoil(text: string): Promise<void> {
    const command = Object.entries(own).reduce((line, [name, value]) => line.replaceAll(name, value), text);
    await lab.node(1).run(["sh", "-c", command]);
  }

  /** Milliseconds until everything is as it was. */
  async function back(): Promise<number> {
    const start = systemClock.now();
    let now = "";
    while ((now = await state()) !== right) {
      if (systemClock.now() - start > 4 * MOST_MS) expect(now).toBe(right);
    }
    return systemClock.now() - start;
  }

  test.each(spoils)("$what", async ({ what, command }) => {
    await spoil(command);
    const ms = await back();
    times.push(`${what} ${Math.round(ms)} ms`);
    expect(ms).toBeLessThan(MOST_MS);
  });

  // What takes others with it comes last: the rules of others are flushed, the devices deleted.
  test.each([
    { what: "all at once", last: /^nft flushed/, without: /^(tunnel )?device deleted/ },
    { what: "all at once, devices deleted", last: /^nft flushed|^(tunnel )?device deleted/, without: undefined },
  ])("$what", async ({ what, last, without }) => {
    const some = spoils.filter((each) => without?.test(each.what) !== true);
    const inOrder = [...some.filter((each) => !last.test(each.what)), ...some.filter((each) => last.test(each.what))];
    // What one has taken away the next cannot change any more.
    await spoil(inOrder.map(({ command }) => `(${command}) 2>&1 || true`).join("\n"));
    const ms = await back();
    times.push(`${what} ${Math.round(ms)} ms`);
    expect(ms).toBeLessThan(MOST_MS);
  });

  test("pods that talked all the while have lost nothing, and talk as before", async () => {
    const talk = await conversation.end();
    times.push(`the longest silence of a connection ${talk.longestGapMs} ms`);
    expect(talk).toMatchObject({ error: null, echoed: talk.sent });
    const [a, b] = [lab.pod(1, 1), lab.pod(2, 1)];
    expect(await transferTcp(a, b, 1_000_000, lab.directory)).toEqual({
      sender: a.address,
      bytes: 1_000_000,
      intact: true,
    });
    expect(lab.node(1).logText()).not.toContain('"level":"error"');
  });
});
