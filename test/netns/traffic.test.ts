import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { Family } from "../../pkg/addr/family.ts";
import { type Prefix, parsePrefix } from "../../pkg/addr/prefix.ts";
import { MemoryLogger } from "../../pkg/base/logger.ts";
import type { Execute } from "../../pkg/host/command.ts";
import { executeBySpawn } from "../../pkg/host/execute.ts";
import type { IptablesVariant } from "../../pkg/host/host.ts";
import { LinuxHost } from "../../pkg/host/linux-host.ts";
import { Traffic, type TrafficWant, removeTraffic } from "../../pkg/traffic/traffic.ts";

// A pod, the node under test, and everything beyond it in one namespace: the world (192.0.2.2) and a pod of another
// node (10.5.77.2). Both know the way back to our pods, so every answer tells honestly which source address was seen.
//
//   pod                         node                                       world
//   10.5.52.2/24 ------- 10.5.52.1/24   192.0.2.1/24 ------- 192.0.2.2/24, 10.5.77.2
//   fd05:0:0:34::2       lo: 198.51.100.1                    fd77::2, fd05:0:0:4d::2

const net = {
  4: {
    pod: "10.5.52.2",
    node: "192.0.2.1",
    nodeOther: "198.51.100.1",
    world: "192.0.2.2",
    remotePod: "10.5.77.2",
  },
  6: { pod: "fd05:0:0:34::2", node: "fd77::1", nodeOther: "fd98::1", world: "fd77::2", remotePod: "fd05:0:0:4d::2" },
} as const;

const want: TrafficWant = {
  network: { 4: prefix("10.5.0.0/16"), 6: prefix("fd05::/56") },
  own: { 4: prefix("10.5.52.0/24"), 6: prefix("fd05:0:0:34::/64") },
  ipMasq: true,
  randomFully: true,
  forwardRules: true,
  devices: [],
};

const PORT = 7777;

// Answers each datagram with the address that it came from, from the address that it went to (so one socket for each),
// and asks others: of a line "FROM TO" on stdin it prints what TO answered, or "silence".
const PEER = `
const { createSocket } = require("node:dgram");
const type = (address) => (address.includes(":") ? "udp6" : "udp4");
for (const address of process.argv.slice(1)) {
  const socket = createSocket(type(address));
  socket.on("message", (_, from) => socket.send(from.address, from.port, from.address));
  socket.bind(${PORT}, address);
}
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const [from, to] = line.split(" ");
  const socket = createSocket(type(from));
  const done = (text) => { clearTimeout(timer); socket.close(); console.log(line + " " + text); };
  const timer = setTimeout(done, 500, "silence");
  socket.on("message", (text) => done(String(text)));
  socket.on("error", (error) => done(error.code));
  socket.bind(0, from, () => socket.send("who am I", ${PORT}, to));
});
console.log("ready");`;

describe.skipIf(process.getuid?.() !== 0)("Traffic (needs root for network namespaces)", () => {
  const id = randomBytes(3).toString("hex");
  const ns = { pod: `twill-pod-${id}`, node: `twill-node-${id}`, world: `twill-world-${id}` };
  type Place = keyof typeof ns;
  const peers = new Map<Place, Peer>();
  let log: MemoryLogger;
  let host: LinuxHost;
  let traffic: Traffic;

  const inside = (place: Place, ...args: readonly string[]): string =>
    execFileSync("ip", ["netns", "exec", ns[place], ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const ip = (place: Place, text: string): void => {
    execFileSync("ip", ["-n", ns[place], ...text.split(" ")]);
  };
  // The address that `to` saw when `place` asked it from the address `from`.
  const sees = (place: Place, from: string, to: string): Promise<string> => {
    const peer = peers.get(place);
    if (!peer) throw new Error(`nobody asks in ${place}`);
    return peer.ask(from, to);
  };
  const iptables = (family: Family, variant: IptablesVariant, ...args: readonly string[]): string =>
    inside("node", `${family === 4 ? "iptables" : "ip6tables"}-${variant}`, ...args);
  const legacyTables = (): string => inside("node", "cat", "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names");

  beforeEach(async () => {
    for (const name of Object.values(ns)) execFileSync("ip", ["netns", "add", name]);
    for (const place of ["pod", "node", "world"] as const) {
      // Without duplicate address detection, which would keep link-local addresses from being used for a second.
      await new LinuxHost({ netns: ns[place] }).setSysctl("net/ipv6/conf/default/accept_dad", "0");
      ip(place, "link set lo up");
    }
    ip("node", `link add p0 type veth peer name eth0 netns ${ns.pod}`);
    ip("node", `link add w0 type veth peer name eth0 netns ${ns.world}`);
    for (const [place, dev] of [
      ["node", "p0"],
      ["node", "w0"],
      ["pod", "eth0"],
      ["world", "eth0"],
    ] as const) {
      ip(place, `link set ${dev} up`);
    }
    for (const path of ["ipv4/ip_forward", "ipv6/conf/all/forwarding"]) {
      await new LinuxHost({ netns: ns.node }).setSysctl(`net/${path}`, "1");
    }
    for (const [place, dev, address] of [
      ["pod", "eth0", "10.5.52.2/24"],
      ["node", "p0", "10.5.52.1/24"],
      ["node", "w0", "192.0.2.1/24"],
      ["node", "lo", "198.51.100.1/32"],
      ["world", "eth0", "192.0.2.2/24"],
      ["world", "lo", "10.5.77.2/32"],
      ["pod", "eth0", "fd05:0:0:34::2/64"],
      ["node", "p0", "fd05:0:0:34::1/64"],
      ["node", "w0", "fd77::1/64"],
      ["node", "lo", "fd98::1/128"],
      ["world", "eth0", "fd77::2/64"],
      ["world", "lo", "fd05:0:0:4d::2/128"],
    ] as const) {
      ip(place, `address add ${address} dev ${dev}${address.includes(":") ? " nodad" : ""}`);
    }
    ip("pod", "route add default via 10.5.52.1");
    ip("pod", "-6 route add default via fd05:0:0:34::1");
    ip("node", "route add 10.5.77.0/24 via 192.0.2.2");
    ip("node", "-6 route add fd05:0:0:4d::/64 via fd77::2");
    ip("world", "route add default via 192.0.2.1");
    ip("world", "-6 route add default via fd77::1");
    for (const [place, addresses] of [
      ["pod", [net[4].pod, net[6].pod]],
      ["node", []],
      ["world", [net[4].world, net[4].remotePod, net[6].world, net[6].remotePod]],
    ] as const) {
      peers.set(place, await Peer.start(ns[place], addresses));
    }
    log = new MemoryLogger();
    host = new LinuxHost({ netns: ns.node });
    traffic = new Traffic({ host, log });
  });

  afterEach(() => {
    for (const peer of peers.values()) peer.kill();
    peers.clear();
    for (const name of Object.values(ns)) execFileSync("ip", ["netns", "delete", name]);
  });

  for (const family of [4, 6] as const) {
    const { pod, node, nodeOther, world, remotePod } = net[family];

    test(`IPv${family}: only what leaves the pod network is masqueraded`, async () => {
      expect(await sees("pod", pod, world)).toBe(pod);
      expect(await traffic.reconcile(want)).toEqual([]);
      const [toWorld, toPod, fromPod, fromWorld, hostToRemote, hostToLocal] = await Promise.all([
        sees("pod", pod, world),
        sees("pod", pod, remotePod),
        sees("world", remotePod, pod),
        sees("world", world, pod),
        sees("node", nodeOther, remotePod),
        sees("node", nodeOther, pod),
      ]);
      expect({ toWorld, toPod, fromPod, fromWorld, hostToRemote, hostToLocal }).toEqual({
        toWorld: node,
        toPod: pod,
        fromPod: remotePod,
        fromWorld: world,
        hostToRemote: node,
        hostToLocal: nodeOther,
      });
    });

    test(`IPv${family}: what kube-proxy has marked is left to it, whatever other bits say`, async () => {
      await traffic.reconcile(want);
      const nft = family === 4 ? "ip" : "ip6";
      inside("node", "nft", `add table ${nft} marks`);
      inside("node", "nft", `add chain ${nft} marks forward { type filter hook forward priority mangle; }`);
      inside("node", "nft", `add rule ${nft} marks forward meta mark set 0x4001`);
      expect(await sees("pod", pod, world)).toBe(pod);
      inside("node", "nft", `flush chain ${nft} marks forward`);
      inside("node", "nft", `add rule ${nft} marks forward meta mark set 0x8001`);
      expect(await sees("pod", pod, world)).toBe(node);
    });

    for (const variants of [["nft"], ["legacy"], ["nft", "legacy"]] as const) {
      test(`IPv${family}: pods get through FORWARD DROP of iptables ${variants.join(" and ")}`, async () => {
        for (const variant of variants) iptables(family, variant, "-P", "FORWARD", "DROP");
        expect(await sees("pod", pod, remotePod)).toBe("silence");
        expect(await traffic.reconcile(want)).toEqual([]);
        const seen = await Promise.all([sees("pod", pod, remotePod), sees("world", remotePod, pod)]);
        expect(seen).toEqual([pod, remotePod]);
        expect(await sees("pod", pod, world)).toBe(node);
        // A variant that nobody used is left as it was.
        if (!variants.some((variant) => variant === "legacy")) expect(legacyTables()).not.toContain("filter");
        if (!variants.some((variant) => variant === "nft")) {
          expect(inside("node", "nft", "list", "tables")).not.toContain("filter");
        }
      });
    }
  }

  test("rules that somebody flushed come back, and then there is nothing to do", async () => {
    const { pod, node, world } = net[4];
    iptables(4, "nft", "-P", "FORWARD", "DROP");
    await traffic.reconcile(want);
    const rules = inside("node", "nft", "list", "ruleset");
    expect(rules).toContain("masquerade fully-random");
    log.lines.length = 0;
    expect(await traffic.reconcile(want)).toEqual([]);
    expect(log.lines).toEqual([]);

    inside("node", "nft", "flush", "ruleset");
    iptables(4, "nft", "-P", "FORWARD", "DROP");
    expect(await sees("pod", pod, world)).toBe("silence");
    expect(await traffic.reconcile(want)).toEqual([]);
    expect(await sees("pod", pod, world)).toBe(node);
    expect(rulesOnly(inside("node", "nft", "list", "ruleset"))).toEqual(rulesOnly(rules));
    expect(log.lines.map(({ level, sentence, fields }) => [level, sentence, fields])).toEqual([
      ["warn", "masquerade rules had been changed by somebody else, put back", { family: 4 }],
      ["warn", "forward rules had been changed by somebody else, put back", { family: 4, iptables: "nft" }],
      ["warn", "masquerade rules had been changed by somebody else, put back", { family: 6 }],
    ]);
    log.lines.length = 0;
    expect(await traffic.reconcile(want)).toEqual([]);
    expect(log.lines).toEqual([]);
  });

  const DROP = { type: "nat", hook: "postrouting", prio: 100, policy: "drop" };
  const CHAIN = { family: "ip", table: "twill", name: "masquerade", ...DROP };
  test.each([
    ["a policy", ["-j", JSON.stringify({ nftables: [{ add: { chain: CHAIN } }] })], [net[4].node, "silence"]],
    ["a flag", ["add table ip twill { flags dormant; }"], [net[4].pod, net[4].node]],
  ] as const)("%s that somebody gives our table is taken away", async (_, spoil, seen) => {
    const { pod, node, world } = net[4];
    await traffic.reconcile(want);
    const rules = inside("node", "nft", "list", "ruleset");
    inside("node", "nft", ...spoil);
    const seenNow = async (): Promise<string[]> => [await sees("pod", pod, world), await sees("node", node, world)];
    expect(await seenNow()).toEqual(seen);
    log.lines.length = 0;
    expect(await traffic.reconcile(want)).toEqual([]);
    expect(rulesOnly(inside("node", "nft", "list", "ruleset"))).toEqual(rulesOnly(rules));
    expect(await seenNow()).toEqual([node, node]);
    expect(log.sentences("warn")).toEqual(["masquerade rules had been changed by somebody else, put back"]);
  });

  test("a table of somebody else's that is put to sleep is in nobody's way", async () => {
    inside("node", "nft", "add table ip filter { flags dormant; }");
    inside("node", "nft", "add chain ip filter FORWARD { type filter hook forward priority filter; policy drop; }");
    expect(await traffic.reconcile(want)).toEqual([]);
    expect(await traffic.reconcile(want)).toEqual([]);
    expect(await removeTraffic(host)).toEqual([]);
    expect(inside("node", "nft", "list", "tables").trim()).toBe("table ip filter");
  });

  for (const variant of ["nft", "legacy"] as const) {
    test(`${variant}: the jump goes back before a drop that somebody inserted`, async () => {
      const { pod, remotePod } = net[4];
      iptables(4, variant, "-A", "FORWARD", "-p", "tcp", "-j", "ACCEPT");
      await traffic.reconcile(want);
      iptables(4, variant, "-I", "FORWARD", "-m", "comment", "--comment", "go away", "-j", "DROP");
      expect(await sees("pod", pod, remotePod)).toBe("silence");
      await traffic.reconcile(want);
      expect(await sees("pod", pod, remotePod)).toBe(pod);
      expect(iptables(4, variant, "-S", "FORWARD").trim().split("\n")).toEqual([
        "-P FORWARD ACCEPT",
        "-A FORWARD -j TWILL-FWD",
        '-A FORWARD -m comment --comment "go away" -j DROP',
        "-A FORWARD -p tcp -j ACCEPT",
      ]);
    });
  }

  test("remove leaves nothing of ours and everything of others", async () => {
    for (const variant of ["nft", "legacy"] as const) iptables(4, variant, "-A", "FORWARD", "-p", "tcp", "-j", "DROP");
    const nftBefore = rulesOnly(inside("node", "nft", "list", "ruleset"));
    const legacyBefore = iptables(4, "legacy", "-S");
    await traffic.reconcile(want);
    expect(inside("node", "nft", "list", "ruleset")).toContain("TWILL-FWD");
    expect(iptables(4, "legacy", "-S")).toContain("TWILL-FWD");
    expect(await removeTraffic(host)).toEqual([]);
    expect(rulesOnly(inside("node", "nft", "list", "ruleset"))).toEqual(nftBefore);
    expect(iptables(4, "legacy", "-S")).toBe(legacyBefore);
    expect(await removeTraffic(host)).toEqual([]);
  });

  test("on a host without iptables rules nothing of iptables comes into being", async () => {
    await traffic.reconcile(want);
    await removeTraffic(host);
    expect(inside("node", "nft", "list", "ruleset").trim()).toBe("");
    expect(legacyTables()).not.toContain("filter");
  });

  test("a filter table that somebody wrote with nft is named, not touched", async () => {
    inside("node", "nft", "add table ip filter");
    inside("node", "nft", "add chain ip filter forward { type filter hook forward priority filter; policy drop; }");
    inside("node", "nft", "add table inet firewall");
    inside("node", "nft", "add chain inet firewall through { type filter hook forward priority filter; policy drop; }");
    const before = inside("node", "nft", "list", "table", "ip", "filter");
    expect(await traffic.reconcile(want)).toEqual([]);
    expect(inside("node", "nft", "list", "table", "ip", "filter")).toBe(before);
    expect(log.lines.filter((line) => line.level === "warn").map((line) => line.fields)).toEqual([
      { family: 4, chain: "ip filter forward" },
      { family: 4, chain: "inet firewall through" },
      { family: 6, chain: "inet firewall through" },
    ]);
    await expect(host.setForwardChain(4, "nft", "TWILL-FWD", [])).rejects.toThrow(
      "iptables-nft cannot read the filter table, which nft has chains of its own in",
    );
  });

  test("nothing is to be removed beside a filter table that somebody wrote with nft, nor without iptables", async () => {
    inside("node", "nft", "add table ip filter");
    inside("node", "nft", "add chain ip filter forward { type filter hook forward priority filter; policy drop; }");
    expect(await removeTraffic(host)).toEqual([]);
    const execute: Execute = (file, args, stdin) => {
      const missing = args.some((each) => /^ip6?tables/.test(each));
      return missing
        ? Promise.reject(Object.assign(new Error("none"), { code: "ENOENT" }))
        : spawned(file, args, stdin);
    };
    const spawned = executeBySpawn(process.env);
    expect(await removeTraffic(new LinuxHost({ netns: ns.node, execute }))).toEqual([]);
  });

  test("where nobody else filters, a pass asks for its own tables alone", async () => {
    const tools: string[] = [];
    const counted = new Traffic({
      host: new LinuxHost({ netns: ns.node, onRun: (tool) => tools.push(tool) }),
      log,
    });
    expect(await counted.reconcile(want)).toEqual([]);
    tools.length = 0;
    expect(await counted.reconcile(want)).toEqual([]);
    const nft = tools.filter((tool) => tool === "nft");
    expect(nft).toHaveLength(3); // all tables, ip twill, ip6 twill
  });
});

// Counters grow, and handles and the order of tables say nothing.
function rulesOnly(listing: string): string[] {
  return listing
    .replaceAll(/counter packets \d+ bytes \d+/g, "counter")
    .split(/^(?=table )/m)
    .map((table) => table.replace(/^#.*\n/gm, "").trim())
    .toSorted();
}

class Peer {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<string, (answer: string) => void>();

  static async start(netns: string, addresses: readonly string[]): Promise<Peer> {
    // `ip netns exec` replaces itself by node, so a kill hits node.
    const child = spawn("ip", ["netns", "exec", netns, process.execPath, "-e", PEER, ...addresses], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const peer = new Peer(child);
    await new Promise<string>((resolve, reject) => {
      peer.#waiting.set("ready", resolve);
      child.once("exit", () => reject(new Error(`the peer in ${netns} ended at once`)));
    });
    return peer;
  }

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [from = "", to = "", answer = ""] = line.split(" ");
      this.#waiting.get(`${from} ${to}`.trim())?.(answer);
    });
  }

  ask(from: string, to: string): Promise<string> {
    return new Promise((resolve) => {
      this.#waiting.set(`${from} ${to}`, resolve);
      this.#child.stdin.write(`${from} ${to}\n`);
    });
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed) throw new Error(`${text} is no prefix`);
  return parsed;
}
