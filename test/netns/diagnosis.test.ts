// What twillctl finds out about a host where something was broken on purpose: three nodes with a pod each, node 2 on the
// kernel's plane.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentClient } from "../../pkg/api/client.ts";
import type { PeerProbe, Probed } from "../../pkg/api/probe.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { isListening } from "../../pkg/lab/proc.ts";
import { BIN, pluginDirectory, TWILLCTL } from "../../pkg/lab/programs.ts";
import type { Found } from "../../pkg/diagnosis/doctor.ts";
import type { Step } from "../../pkg/diagnosis/trace.ts";
import { notRoot, rootTitle, TOP } from "./netns.ts";
import { COMMANDS } from "../../cmd/twillctl/commands.ts";
import { until } from "../until.ts";
import { document, documented, skeleton } from "./documented.ts";

const DOCS = join(TOP, "docs/twillctl.md");

interface Traced {
  readonly reaches: boolean;
  readonly stopsAt: string | null;
  readonly steps: readonly Step[];
}

interface Top {
  readonly seconds: number;
  readonly peers: readonly {
    readonly node: string;
    readonly txPacketsPerSecond: number;
    readonly txBytesPerSecond: number;
  }[];
}

// What iperf3 sends in each datagram, and what UDP and IPv4 put before it.
const DATAGRAM = 1400;
const UDP_HEADERS = 28;
const ETHERNET_HEADER = 14;
const TRIES = 3;
// A Node that starts and does nothing, on the machine for which the limits of `status` are meant. One that takes longer for
// it takes as many times longer for all.
const USUAL_START_MS = 60;

interface ProbeAnswer extends Probed {
  readonly problems: readonly string[];
}

describe.skipIf(notRoot)(rootTitle("what is wrong, found by twillctl"), () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create();
    for (const args of [[], ["--dataplane=kernel"], []]) await lab.addNode({ args });
    await Promise.all(lab.nodes.map((node) => node.start()));
    await Promise.all(lab.nodes.map((node) => node.ready(90_000)));
    for (const node of lab.nodes) await node.addPod();
    for (const node of lab.nodes) await until(async () => (await peers(node)).length === 2);
  });
  afterAll(() => lab?.close());

  async function peers(node: Lab["nodes"][number]): Promise<unknown[]> {
    const { stdout } = await node.netns.capture([...ctl(node), "status", "--json"]);
    const { peers } = JSON.parse(stdout) as { peers: { state: string }[] };
    return peers.filter(({ state }) => state === "in-sync");
  }

  async function trace(from: number, address: string): Promise<Traced> {
    const { stdout } = await lab.node(from).netns.capture([...ctl(lab.node(from)), "trace", address, "--json"]);
    return JSON.parse(stdout) as Traced;
  }

  const spoil = (i: number, hook: string, rule: string): Promise<unknown> =>
    lab.node(i).run(["nft", `table inet broken { chain c { type filter hook ${hook} priority raw; ${rule}; }; }`]);
  const heal = (i: number): Promise<unknown> => lab.node(i).run(["nft", "delete table inet broken"]);

  const names = ({ steps }: Traced): string[] => steps.map(({ what }) => what);

  test("docs/twillctl.md shows every command as it is", async () => {
    const node = lab.node(1);
    const at = (name: string, text = ""): void => {
      mkdirSync(dirname(join(node.directory, name)), { recursive: true });
      writeFileSync(join(node.directory, name), text);
    };
    at("net.json", JSON.stringify({ Network: "10.244.0.0/16", Backend: { Type: "vxlan" } }));
    for (const name of ["twill", "bridge", "host-local", "loopback"]) at(`bin/${name}`);
    at("net.d/05-bridge.conf", '{"type":"bridge"}');
    at("net.d/10-twill.conflist", readFileSync(join(TOP, "deploy/cni/10-twill.conflist"), "utf8"));
    await probe(1, "");
    const run = async (command: string): Promise<string> => {
      const [, ...args] = command.replace("10.244.2.2", lab.pod(2, 1).address).split(" ");
      const argv = ["env", "-C", node.directory, `TWILL_SOCKET=${node.socket}`, TWILLCTL, ...args];
      const { status, stdout, stderr } = await node.netns.capture(argv);
      expect([0, 1, 4]).toContain(status);
      const paths = new RegExp(`${node.directory}(\\S*)`, "g");
      return (stdout + stderr).replaceAll(paths, (path, rest: string) => `/lab/node1${rest}`.padEnd(path.length));
    };
    const examples = documented(DOCS);
    const outputs: string[] = [];
    for (const { command } of examples) outputs.push(await run(command));
    rmSync(join(node.directory, "net.d"), { recursive: true });
    if (process.env["UPDATE_DOCS"]) return document(DOCS, outputs);
    for (const [i, { command, lines }] of examples.entries()) {
      const shown = outputs[i]?.split("\n").map(skeleton);
      // Which counters of the data plane are not zero depends on what happened, and the offload on the kernel.
      const fixed = lines.filter((line) => !/^(counters| {12}|offload in use)/.test(line)).map(skeleton);
      expect({ command, missing: fixed.filter((line) => !shown?.includes(line)) }).toEqual({ command, missing: [] });
      expect({ command, lines: lines.length > 0 }).toEqual({ command, lines: true });
    }
    const text = readFileSync(DOCS, "utf8");
    for (const { name } of COMMANDS) expect(text).toContain(`### \`${name}\``);
    for (const [, name = "", cell = ""] of text.matchAll(/^\| `([a-z ]+)` +\| (`[^|]*)\|$/gm)) {
      const keys = (/^(`\w+` ?)+/.exec(cell)?.[0] ?? "").match(/\w+/g);
      const wanted = { trace: " 10.244.2.2", probe: " node2", "config check": " net.json" }[name] ?? "";
      const output = await run(`twillctl ${name}${wanted} --json`);
      expect({ name, keys: Object.keys(JSON.parse(output) as object) }).toEqual({ name, keys });
    }
  });

  test("capture records both sides of the tunnel, and logs are the agent's", async () => {
    const node = lab.node(1);
    const file = join(node.directory, "both.pcap");
    const recorded = node.ctl(["capture", file, lab.pod(2, 1).address, "--seconds=20", "--packets=8"]);
    const stop = new AbortController();
    const pings = (async () => {
      while (!stop.signal.aborted)
        await lab.pod(1, 1).netns.capture(["ping", "-c", "1", "-W", "1", lab.pod(2, 1).address]);
    })();
    expect((await recorded).stdout).toMatch(/^\d+ packets in /);
    stop.abort();
    await pings;
    const { stdout } = await node.run(["tcpdump", "-n", "-r", file]);
    expect(stdout).toMatch(/twill\.1 .*ICMP echo request/);
    expect(stdout).toMatch(/eth0 .*172\.31\.1\.1\.\d+ > 172\.31\.1\.2\.8472/);
    const piped = join(node.directory, "piped.pcap");
    const script = '"$@" >"$0"';
    const argv = ["sh", "-c", script, piped, ...ctl(node), "capture", "-", "--seconds=1"];
    const { stderr } = await node.netns.capture(argv);
    expect(stderr).toMatch(/^\d+ packets in -: tshark -r - /);
    expect(readFileSync(piped, "latin1")).not.toContain("tshark");
    const logs = await node.ctl(["logs", "--json"]);
    expect(logs.stdout).toBe(node.logText());
    expect((await node.ctl(["logs"])).stdout).toMatch(/ info +starting /);
  });

  test("trace follows a packet over either plane to the other node, and to a pod here", async () => {
    const overTun = await trace(1, lab.pod(2, 1).address);
    expect(names(overTun)).toEqual(["forwarding", "lease", "route", "device", "peer", "underlay", "mtu"]);
    expect(overTun).toMatchObject({ reaches: true, stopsAt: null });
    expect(overTun.steps[0]).toEqual({
      what: "forwarding",
      found: "net.ipv4.ip_forward is 1",
      stops: null,
      doubt: null,
    });
    expect(overTun.steps[3]?.found).toBe("twill.1, tun, MTU 1450, up");
    expect(overTun.steps[4]?.found).toBe("node2 (172.31.1.2), kernel, in-sync");
    const overKernel = await trace(2, lab.pod(1, 1).address);
    expect(names(overKernel).join()).toBe("forwarding,lease,route,device,neighbour,fdb,peer,underlay,mtu");
    expect(overKernel.steps[5]?.found).toMatch(/ goes to 172\.31\.1\.1$/);
    const here = await trace(1, lab.pod(1, 1).address);
    expect(names(here)).toEqual(["forwarding", "lease", "route", "device", "neighbour"]);
    expect(here).toMatchObject({ reaches: true });
    expect((await trace(1, "10.244.255.9")).stopsAt).toBe("lease");
  });

  test("trace says where a packet stops: a route that stands before ours, a device that is down", async () => {
    const address = lab.pod(3, 1).address;
    const [node] = [lab.node(1)];
    await node.run(["ip", "route", "add", `${address}/32`, "dev", "eth0"]);
    const led = await trace(1, address);
    await node.run(["ip", "route", "delete", `${address}/32`]);
    expect(led.stopsAt).toBe("route");
    expect(led.steps.at(-1)?.stops).toContain("the packet leaves by eth0 instead of twill.1");
    await node.run(["ip", "link", "set", "cni0", "down"]);
    const down = await trace(1, lab.pod(1, 1).address);
    await node.run(["ip", "link", "set", "cni0", "up"]);
    expect(down.stopsAt).toBe("route");
    await node.run(["ip", "route", "add", "unreachable", "203.0.113.0/24"]);
    const nowhere = await trace(1, "203.0.113.9");
    await node.run(["ip", "route", "delete", "unreachable", "203.0.113.0/24"]);
    expect(nowhere).toMatchObject({ reaches: false, stopsAt: "route" });
  });

  interface Figures {
    readonly packets: number;
    readonly bytes: number;
  }

  /** Sends UDP by iperf3 between two pods. Resolves to the inner packets, and their bytes with both headers. */
  async function flood(from: number, to: number): Promise<Figures> {
    const [client, server] = [lab.pod(from, 1), lab.pod(to, 1)];
    const log = join(lab.directory, "iperf3.log");
    const daemon = await server.netns.start(["iperf3", "--server", "--one-off"], { name: "iperf3", log });
    try {
      await until(() => isListening(daemon.pid, 5201));
      const argv = [
        "iperf3",
        "-c",
        server.address,
        "--udp",
        "-b",
        "80M",
        "-n",
        "20M",
        "-l",
        String(DATAGRAM),
        "--json",
      ];
      const { stdout } = await client.netns.run(argv);
      const { end } = JSON.parse(stdout) as { end: { sum: { packets: number; bytes: number } } };
      return { packets: end.sum.packets, bytes: end.sum.bytes + end.sum.packets * UDP_HEADERS };
    } finally {
      await daemon.kill();
    }
  }

  const grown = (before: Figures, now: Figures): Figures => ({
    packets: now.packets - before.packets,
    bytes: now.bytes - before.bytes,
  });
  const near = (value: number, wanted: number): boolean => Math.abs(value - wanted) <= wanted / 100;
  const agrees = (figures: Figures, wanted: Figures): boolean =>
    near(figures.packets, wanted.packets) && near(figures.bytes, wanted.bytes);

  /** Tries again where a busy machine has lost packets on the way to the counter. Resolves to what did not agree last. */
  async function disagreements(round: () => Promise<Record<string, readonly [Figures, Figures]>>): Promise<unknown> {
    for (let i = 1; ; i++) {
      const wrong = Object.entries(await round()).filter(([, [figures, wanted]]) => !agrees(figures, wanted));
      if (wrong.length === 0 || i === TRIES) return wrong;
    }
  }

  const ofPage = async (node: Node, metric: string, labels: string): Promise<Figures> => {
    const { body } = await node.http("/metrics");
    const read = (unit: string): number =>
      Number(new RegExp(`^twill_${metric}_${unit}_total{${labels}} (\\d+)$`, "m").exec(body)?.[1]);
    return { packets: read("packets"), bytes: read("bytes") };
  };

  test("top, /metrics and the API count what iperf3 sent, per peer on the tun plane", async () => {
    const [sender, receiver] = [lab.node(1), lab.node(3)];
    const ofPeer = async (at: Node, of: Node, way: "tx" | "rx"): Promise<Figures> => {
      const client = await AgentClient.connect(at.socket);
      const peer = (await client.status()).peers.find(({ lease }) => lease.publicIps.includes(of.address));
      client.close();
      return { packets: Number(peer?.[`${way}Packets`]), bytes: Number(peer?.[`${way}Bytes`]) };
    };
    const look = () =>
      Promise.all([
        ofPeer(sender, receiver, "tx"),
        ofPeer(receiver, sender, "rx"),
        ofPage(sender, "peer", '.*node="node3",direction="tx"'),
      ]);
    const log = join(lab.directory, "top.log");
    const lines = (): Top[] =>
      readFileSync(log, "utf8")
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Top);
    const inAll = (rate: (peer: Top["peers"][number]) => number, from: number): number =>
      lines()
        .slice(from)
        .flatMap(({ seconds, peers }) =>
          peers.filter(({ node }) => node === "node3").map((peer) => rate(peer) * seconds),
        )
        .reduce((sum, amount) => sum + amount, 0);
    const top = await sender.netns.start([...ctl(sender), "top", "--json", "--watch"], { name: "top", log });
    const wrong = await disagreements(async () => {
      await until(() => lines().length > 0);
      const shown = lines().length;
      const before = await look();
      const sent = await flood(1, 3);
      const after = await look();
      const then = lines().length;
      await until(() => lines().length > then + 1);
      const [tx, rx, page] = after.map((now, i) => grown(before[i] ?? now, now)) as [Figures, Figures, Figures];
      const rates = {
        packets: inAll((peer) => peer.txPacketsPerSecond, shown),
        bytes: inAll((peer) => peer.txBytesPerSecond, shown),
      };
      return { tx: [tx, sent], rx: [rx, sent], page: [page, sent], top: [rates, sent] };
    });
    await top.stop();
    expect(wrong).toEqual([]);
  });

  test("the API and /metrics count what the interface does, and iperf3 sent, on the kernel plane", async () => {
    const node = lab.node(2);
    const ofLink = async (): Promise<Figures> => {
      const { stdout } = await node.run(["ip", "-json", "-s", "link", "show", "flannel.1"]);
      const [link] = JSON.parse(stdout) as { stats64: { tx: Figures } }[];
      return link?.stats64.tx ?? expect.fail("no flannel.1");
    };
    const ofApi = async (): Promise<Figures> => {
      const client = await AgentClient.connect(node.socket);
      const { counters = {} } = (await client.status()).dataplane ?? {};
      client.close();
      return { packets: Number(counters["tx_packets"]), bytes: Number(counters["tx_bytes"]) };
    };
    const look = () => Promise.all([ofLink(), ofApi(), ofPage(node, "dataplane", 'direction="tx"')]);
    const wrong = await disagreements(async () => {
      const before = await look();
      const { packets, bytes } = await flood(2, 3);
      const after = await look();
      const [link, api, page] = after.map((now, i) => grown(before[i] ?? now, now)) as [Figures, Figures, Figures];
      // A device of Ethernet counts its header too.
      const sent = { packets, bytes: bytes + packets * ETHERNET_HEADER };
      return { link: [link, sent], api: [api, link], page: [page, link] };
    });
    expect(wrong).toEqual([]);
  });

  test("status answers within 250 ms cold, and within 1 s with etcd black-holed", async () => {
    const timed = async (argv: readonly string[]): Promise<number> => {
      const start = performance.now();
      // Before what else runs on the machine.
      await lab.node(1).netns.capture(["chrt", "--rr", "1", ...argv]);
      return performance.now() - start;
    };
    const status = [...ctl(lab.node(1)), "status"];
    // What others do on the machine can only make both slower.
    let bare = Infinity;
    await until(async () => {
      bare = Math.min(bare, await timed([join(TOP, "node_modules/.bin/node"), "-e", "0"]));
      return (await timed(status)) < 250 * Math.max(1, bare / USUAL_START_MS);
    });
    const drop =
      "add table inet hole; add chain inet hole in { type filter hook input priority raw; }; add rule inet hole in tcp dport 2379 drop";
    await lab.underlay.run(["nft", drop]);
    try {
      await until(async () => (await timed(status)) < 1000 * Math.max(1, bare / USUAL_START_MS));
    } finally {
      await lab.underlay.run(["nft", "delete table inet hole"]);
    }
  });

  async function probe(from: number, target: string): Promise<{ status: number | null; answer: ProbeAnswer }> {
    const { status, stdout } = await lab.node(from).netns.capture([...ctl(lab.node(from)), "probe", target, "--json"]);
    return { status, answer: JSON.parse(stdout) as ProbeAnswer };
  }

  test("probe measures both planes and a pod; peers tells what was measured", async () => {
    for (const [from, to] of [
      [1, 2],
      [2, 3],
    ] as const) {
      const { status, answer } = await probe(from, lab.pod(to, 1).address);
      expect(answer.problems).toEqual([]);
      expect(status).toBe(0);
      expect(answer.peers).toMatchObject([{ state: "up", mtu: 1450, wantedMtu: 1450, tcp: "answers" }]);
      expect(answer.address).toMatchObject({ address: lab.pod(to, 1).address, lost: 0, mtu: 1450 });
    }
    const { stdout } = await lab.node(1).ctl(["peers"]);
    expect(stdout).toMatch(/node2 +172\.31\.1\.2 +in-sync +yes +[\d.]+ ms +0 % +1450/);
    const nobody = await lab.node(1).netns.capture([...ctl(lab.node(1)), "probe", "node9"]);
    expect([nobody.status, nobody.stderr]).toEqual([1, expect.stringContaining('no peer is called "node9"')]);
  });

  test("probe tells a dead overlay from a narrow path, from broken checksums and from a dead node", async () => {
    const of = ({ peers }: ProbeAnswer, i: number): PeerProbe | undefined =>
      peers.find(({ underlay }) => underlay === lab.node(i).address);

    await spoil(2, "output", "oifname flannel.1 tcp checksum set 0xdead");
    await spoil(3, "input", "udp dport 8472 ip saddr 172.31.1.1 drop");
    const first = await probe(1, "");
    await heal(2);
    await heal(3);
    expect(first.status).toBe(1);
    expect(of(first.answer, 2)).toMatchObject({ state: "up", mtu: 1450, tcp: "silent" });
    expect(of(first.answer, 3)).toMatchObject({ state: "overlay-down" });
    expect(first.answer.problems).toEqual(
      expect.arrayContaining([expect.stringMatching(/^node3 answers on the underlay \(172\.31\.1\.3\), but not/)]),
    );

    await spoil(2, "input", "meta l4proto udp meta length > 1400 drop");
    await lab.underlay.run(["ip", "link", "set", "node3", "down"]);
    const second = await probe(1, "");
    await heal(2);
    await lab.underlay.run(["ip", "link", "set", "node3", "up"]);
    // meta length is the outer IP packet's: 1400 less IPv4 20, UDP 8, VXLAN 8, Ethernet 14.
    expect(of(second.answer, 2)).toMatchObject({ state: "up", mtu: 1350 });
    expect(of(second.answer, 3)).toMatchObject({ state: "down" });
    await until(async () => (await probe(1, "node3")).status === 0);
  });

  async function doctor(i: number): Promise<{ status: number | null; found: Record<string, Found> }> {
    const node = lab.node(i);
    const confDir = join(node.directory, "net.d");
    mkdirSync(confDir, { recursive: true });
    copyFileSync(join(TOP, "deploy/cni/10-twill.conflist"), join(confDir, "10-twill.conflist"));
    const flags = [
      `--subnet-file=${node.subnetFile}`,
      `--cni-conf-dir=${confDir}`,
      `--cni-bin-dir=${BIN},${pluginDirectory()}`,
    ];
    const { status, stdout } = await node.netns.capture([...ctl(node), "doctor", "--json", ...flags]);
    const { findings } = JSON.parse(stdout) as { findings: Found[] };
    return { status, found: Object.fromEntries(findings.map((finding) => [finding.check, finding])) };
  }

  test("doctor finds nothing where nothing is wrong, and names each thing that was broken", async () => {
    for (const i of [1, 2]) expect(await doctor(i)).toEqual({ status: 0, found: {} });
    const node = lab.node(1);
    const theirs = lab.node(3).subnetEnv();
    const subnet = theirs["FLANNEL_SUBNET"]?.replace(/1\/24$/, "0/25") ?? "";
    const lease = await lab.etcd.ctl(["lease", "grant", "600"]);
    const [id = ""] = /[0-9a-f]{10,}/.exec(lease.stdout) ?? [];
    const gone = {
      PublicIP: "172.31.1.99",
      BackendType: "vxlan",
      BackendData: { VNI: 1, VtepMAC: "02:00:00:00:00:99" },
    };
    await lab.etcd.ctl(["put", `--lease=${id}`, `${lab.prefix}/subnets/10.244.250.0-24`, JSON.stringify(gone)]);
    await node.run(["ip", "route", "add", subnet, "dev", "eth0"]);
    await node.run(["ip", "address", "add", "10.244.251.1/24", "dev", "cni0"]);
    await node.run([
      "nft",
      "add table inet wall; add chain inet wall forward { type filter hook forward priority 0; policy drop; }",
    ]);
    await spoil(2, "input", "udp dport 8472 ip saddr 172.31.1.1 drop");
    try {
      await until(async () => (await lab.node(1).ctl(["leases"])).stdout.includes("10.244.250.0/24"));
      const { status, found } = await doctor(1);
      expect(status).toBe(4);
      expect(found["overlapping-routes"]?.fix).toBe(`ip route delete ${subnet} dev eth0`);
      expect(found["stale-leases"]?.fix).toBe(`etcdctl lease revoke ${id}`);
      expect(found["cni-bridge"]?.fix).toBe("ip address delete 10.244.251.1/24 dev cni0");
      expect(found["forward-policy"]?.evidence).toContain("inet wall forward");
      // Which way is cut is known once node2 has asked, too.
      expect(found["peers"]?.what).toMatch(/^node2 is alive, but nothing (from here )?reaches it over the overlay$/);
      // The fixes are commands, and they mend it.
      for (const check of ["overlapping-routes", "cni-bridge"])
        await node.run(["sh", "-c", found[check]?.fix ?? "false"]);
      await lab.etcd.ctl(["lease", "revoke", id]);
    } finally {
      await node.run(["nft", "delete table inet wall"]);
      await heal(2);
    }
    await until(async () => !(await lab.node(1).ctl(["leases"])).stdout.includes("10.244.250.0/24"));
    expect(await doctor(1)).toEqual({ status: 0, found: {} });
  });

  test("doctor without an agent says so, and looks at the rest", async () => {
    const argv = [TWILLCTL, "--socket=/nowhere/twilld.sock", "doctor", "--subnet-file=/nowhere/subnet.env"];
    const { status, stdout } = await lab.node(1).netns.capture(argv);
    expect(status).toBe(4);
    expect(stdout).toMatch(/^error the agent does not answer \(agent\)\n  evidence  no agent runs here/m);
    expect(stdout).toMatch(/^error pods cannot be attached: there is no subnet\.env/m);
  });

  test("trace without an agent tells what the kernel would do, and that it knows no more", async () => {
    const argv = [...ctl(lab.node(1)).slice(0, 1), "--socket=/nowhere", "trace", lab.pod(2, 1).address];
    const { status, stdout, stderr } = await lab.node(1).netns.capture(argv);
    expect([status, stderr]).toEqual([0, expect.stringContaining("no agent runs here")]);
    expect(stdout).toContain("dev twill.1");
  });
});

function ctl(node: Lab["nodes"][number]): string[] {
  return [TWILLCTL, `--socket=${node.socket}`];
}
