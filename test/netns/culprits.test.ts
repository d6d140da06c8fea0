// Five nodes, each thing broken on another one, all at once: whoever is asked names the right one.
import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentClient } from "../../pkg/api/client.ts";
import type { PeerProbe } from "../../pkg/api/probe.ts";
import type { Status } from "../../pkg/api/status.ts";
import type { Found } from "../../pkg/diagnosis/doctor.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { TWILLCTL } from "../../pkg/lab/programs.ts";
import { makeWireLike } from "../bench/offloads.ts";
import { until } from "../until.ts";
import { notRoot, rootTitle } from "./netns.ts";

const STALE = { subnet: "10.244.250.0-24", address: "172.31.1.99" };

// A host takes packets four bytes larger than its MTU: room for a VLAN tag (is_skb_forwardable, net/core/dev.c).
const NARROW = /^node3 is reached by packets of at most 135[0-4] bytes where 1450 should pass/;
const NO_TCP = /^node4 answers echoes, but no TCP: wrong checksums/;
const LEFT_OVER = /^172\.31\.1\.99 has never answered.*its lease may be left over$/;

/** What each node has to say of the others and of itself, in any order. */
const TROUBLES: Readonly<Record<string, readonly RegExp[]>> = {
  node1: [/^node2 .*ours do not arrive there: the way from here to it is cut$/, NARROW, NO_TCP, LEFT_OVER],
  node2: [/^node1 .*none of its packets arrives here: .*the way from it to here is cut$/, NARROW, NO_TCP, LEFT_OVER],
  node3: [NO_TCP, LEFT_OVER],
  node4: [/^this node exchanges echoes with every peer, but TCP with none: wrong checksums/, NARROW, LEFT_OVER],
  node5: [NARROW, NO_TCP, LEFT_OVER],
};

/** What doctor finds there, in any order. */
const FINDINGS: Readonly<Record<string, readonly RegExp[]>> = {
  node1: [
    /^peers: node2 is alive, but nothing from here reaches it/,
    /^path-mtu: large packets to node3 are lost/,
    /^checksums: echoes reach node4, but TCP does not: wrong checksums there/,
    /^stale-leases: a lease whose node has never answered/,
  ],
  node2: [
    /^peers: node1 is alive, but nothing from it reaches this node/,
    /^path-mtu: large packets to node3/,
    /^checksums: echoes reach node4/,
    /^stale-leases: /,
  ],
  node3: [/^checksums: echoes reach node4/, /^stale-leases: /],
  node4: [
    /^checksums: echoes reach every peer, but TCP does not: wrong checksums here/,
    /^path-mtu: large packets to node3/,
    /^stale-leases: /,
  ],
  node5: [
    /^agent: the agent has a problem/,
    /^forward-policy: a firewall drops forwarded packets/,
    /^path-mtu: large packets to node3/,
    /^checksums: echoes reach node4/,
    /^stale-leases: /,
  ],
};

describe.skipIf(notRoot)(rootTitle("who is to blame"), () => {
  let lab: Lab;
  beforeAll(async () => {
    // Somebody else's firewall is looked for at each resync.
    lab = await Lab.create({ args: ["--resync=5s"] });
    for (let i = 0; i < 5; i++) await lab.addNode();
    await Promise.all(lab.nodes.map((node) => node.start()));
    // Five at once on a busy machine take their time.
    await Promise.all(lab.nodes.map((node) => node.ready(90_000)));
    await lab.node(5).addPod();
    const nft = (i: number, chain: string, rule: string): Promise<unknown> =>
      lab.node(i).run(["nft", `table inet broken { chain ${chain} { type filter hook ${rule}; }; }`]);
    await nft(2, "in", "input priority raw; udp dport 8472 ip saddr 172.31.1.1 drop");
    // As long as the kernel may leave it to a card to cut, two equal packets in one batch pass a veth of any MTU.
    await makeWireLike(lab.nodes.map(({ netns }) => netns));
    await lab.node(3).run(["ip", "link", "set", "eth0", "mtu", "1400"]);
    await nft(4, "out", 'output priority raw; oifname "twill.1" tcp checksum set 0xdead');
    await nft(5, "wall", "forward priority 0; policy drop");
    const { stdout } = await lab.etcd.ctl(["lease", "grant", "600"]);
    const [id = ""] = /[0-9a-f]{10,}/.exec(stdout) ?? [];
    const vtep = { VNI: 1, VtepMAC: "02:00:00:00:00:99" };
    const lease = { PublicIP: STALE.address, BackendType: "vxlan", BackendData: vtep };
    await lab.etcd.ctl(["put", `--lease=${id}`, `${lab.prefix}/subnets/${STALE.subnet}`, JSON.stringify(lease)]);
    await until(async () => (await Promise.all(lab.nodes.map(knowsStale))).every(Boolean));
    // Measured by hand once; later it would be by itself.
    await Promise.all(lab.nodes.map((node) => node.netns.capture([TWILLCTL, `--socket=${node.socket}`, "probe"])));
  });
  afterAll(() => lab?.close());

  const json = async <T>(node: Node, ...args: string[]): Promise<T> => {
    const { stdout } = await node.netns.capture([TWILLCTL, `--socket=${node.socket}`, ...args, "--json"]);
    return JSON.parse(stdout) as T;
  };
  const status = (node: Node): Promise<Status & { readonly troubles: string[] }> => json(node, "status");
  const knowsStale = async (node: Node): Promise<boolean> =>
    (await status(node)).peers.some(({ lease }) => lease.publicIps.includes(STALE.address));

  const unsaid = (sentences: readonly string[], wanted: readonly RegExp[] = []): unknown => ({
    missing: wanted.filter((one) => !sentences.some((sentence) => one.test(sentence))),
    surplus: sentences.filter((sentence) => !wanted.some((one) => one.test(sentence))),
  });
  const nothing = { missing: [], surplus: [] };

  test("status names the culprit on every node", async () => {
    for (const node of lab.nodes) {
      // Which way is cut shows only once the other side has had its turn to ask.
      const isTold = async (): Promise<boolean> => {
        const { troubles } = await status(node);
        return !troubles.some((sentence) => sentence.endsWith("its twilld, or UDP between the nodes"));
      };
      await until(isTold);
      const { troubles, problems } = await status(node);
      expect({ node: node.name, ...(unsaid(troubles, TROUBLES[node.name]) as object) }).toEqual({
        node: node.name,
        ...nothing,
      });
      const wall = "the nftables chain inet broken wall drops what pods forward: it must accept them itself";
      expect(problems).toEqual(node.name === "node5" ? [wall] : []);
    }
    const shown = (await lab.node(1).ctl(["status"])).stdout;
    expect(shown).toMatch(/^! node2 answers on the underlay/m);
    expect(shown).toMatch(/node2 +172\.31\.1\.2 .*in-sync, unreachable for \d/);
  });

  test("doctor finds each on every node", async () => {
    const found = await Promise.all(
      lab.nodes.map(async (node) => {
        const { findings } = await json<{ findings: Found[] }>(node, "doctor", `--subnet-file=${node.subnetFile}`);
        const ours = findings.filter(({ check }) => !check.startsWith("cni-"));
        return [node.name, ours.map(({ check, what }) => `${check}: ${what}`)] as const;
      }),
    );
    for (const [name, sentences] of found)
      expect({ name, ...(unsaid(sentences, FINDINGS[name]) as object) }).toEqual({ name, ...nothing });
  });

  test("probe of a pod behind the firewall says that its node answers", async () => {
    const address = lab.pod(5, 1).address;
    const { problems } = await json<{ problems: string[] }>(lab.node(1), "probe", address);
    expect(problems).toEqual([`${address} does not answer, though node5 does: the pod, or a firewall there (FORWARD)`]);
  });

  test("metrics name them", async () => {
    const page = (await lab.node(1).http("/metrics")).body;
    const of = (node: string): string => `node="${node}"`;
    for (const line of [
      new RegExp(`^twill_peer_answers{.*${of("node2")},over="overlay"} 0$`, "m"),
      new RegExp(`^twill_peer_answers{.*${of("node2")},over="underlay"} 1$`, "m"),
      new RegExp(`^twill_peer_path_mtu_bytes{.*${of("node3")}} 135[0-4]$`, "m"),
      new RegExp(`^twill_peer_tcp_answers{.*${of("node4")}} 0$`, "m"),
      new RegExp(`^twill_peer_tcp_answers{.*${of("node5")}} 1$`, "m"),
      /^twill_peer_answers\{subnet="10\.244\.250\.0\/24",.*over="underlay"\} 0$/m,
      /^twill_overlay_mtu_bytes 1450$/m,
      /^twill_problems\{about="forwarding"\} 0$/m,
    ])
      expect(page).toMatch(line);
    const walled = (await lab.node(5).http("/metrics")).body;
    expect(walled).toMatch(/^twill_problems\{about="forwarding"\} 1$/m);
    // Where somebody else looks at forwarded packets, that rung would lose them unseen.
    expect(walled).not.toContain('rung="tunnel-gso"');
    expect((await lab.node(5).http("/readyz")).body).toMatch(/^ready, but the nftables chain inet broken wall drops/);
  });

  test("the built twilld answers gRPC's reflection, and is told its log level", async () => {
    const client = new Client(`unix:${lab.node(1).socket}`, credentials.createInsecure());
    const bytes = (message: Buffer): Buffer => message;
    const stream = client.makeBidiStreamRequest(
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      bytes,
      bytes,
    );
    // ServerReflectionRequest: field 7, list_services = "*".
    stream.write(Buffer.from([0x3a, 1, 0x2a]));
    stream.end();
    let answer = "";
    for await (const part of stream) answer += String(part);
    client.close();
    expect(answer).toContain("twill.v1.Agent");
    const ctl = async (...args: string[]): Promise<string> => (await lab.node(1).ctl(args)).stdout;
    expect(await ctl("log-level", "debug")).toBe("twilld logs debug from now on; started again, it logs info.\n");
    expect(await ctl("log-level")).toBe("debug, by the control API; info after a restart\n");
    expect(await ctl("config", "show")).toMatch(
      /^log-level +debug +set since +the control API; info after a restart$/m,
    );
    await ctl("log-level", "info");
  });

  test("the control API says it to whoever draws from it", async () => {
    const client = await AgentClient.connect(lab.node(1).socket);
    const probes = new Map((await client.probes()).map((probe) => [probe.underlay, probe]));
    client.close();
    const at = (i: number): PeerProbe | undefined => probes.get(lab.node(i).address);
    expect(at(2)).toMatchObject({ state: "overlay-down", inbound: "arrives" });
    expect(at(3)).toMatchObject({ state: "up", wantedMtu: 1450 });
    expect(at(3)?.mtu).toBeLessThan(1355);
    expect(at(4)).toMatchObject({ state: "up", mtu: 1450, tcp: "silent" });
    expect(at(5)).toMatchObject({ state: "up", mtu: 1450, tcp: "answers" });
    expect(probes.get(STALE.address)).toMatchObject({ state: "down", lastSeen: 0, lastAnswer: 0 });
  });
});
