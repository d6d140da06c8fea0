// What twillctl finds out about a host where something was broken on purpose: three nodes with a pod each, node 2 on the
// kernel's plane.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Probed } from "../../pkg/api/probe.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { TWILLCTL } from "../../pkg/lab/programs.ts";
import type { Step } from "../../pkg/diagnosis/trace.ts";
import { buildPrograms, notRoot, rootTitle } from "./netns.ts";
import { until } from "../until.ts";

interface Traced {
  readonly reaches: boolean;
  readonly stopsAt: string | null;
  readonly steps: readonly Step[];
}

interface ProbeAnswer extends Probed {
  readonly problems: readonly string[];
}

describe.skipIf(notRoot)(rootTitle("what is wrong, found by twillctl"), () => {
  let lab: Lab;
  beforeAll(async () => {
    await buildPrograms();
    lab = await Lab.create();
    for (const args of [[], ["--dataplane=kernel"], []]) await lab.addNode({ args });
    await Promise.all(lab.nodes.map((node) => node.start()));
    await Promise.all(lab.nodes.map((node) => node.ready()));
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

  const names = ({ steps }: Traced): string[] => steps.map(({ what }) => what);

  test("trace follows a packet over either plane to the other node, and to a pod here", async () => {
    const overTun = await trace(1, lab.pod(2, 1).address);
    expect(names(overTun)).toEqual(["forwarding", "lease", "route", "device", "peer", "underlay", "mtu"]);
    expect(overTun).toMatchObject({ reaches: true, stopsAt: null });
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
  });

  test("status answers within 250 ms cold, and within 1 s with etcd black-holed", async () => {
    const timed = async (): Promise<number> => {
      const start = performance.now();
      await lab.node(1).netns.capture([...ctl(lab.node(1)), "status"]);
      return performance.now() - start;
    };
    const cold = Math.min(await timed(), await timed(), await timed());
    expect(cold).toBeLessThan(250);
    const drop =
      "add table inet hole; add chain inet hole in { type filter hook input priority raw; }; add rule inet hole in tcp dport 2379 drop";
    await lab.underlay.run(["nft", drop]);
    try {
      expect(await timed()).toBeLessThan(1000);
    } finally {
      await lab.underlay.run(["nft", "delete table inet hole"]);
    }
    console.log(`twillctl status: ${cold.toFixed(0)} ms`);
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
    const node2 = lab.node(2);
    const nft = (rule: string): Promise<unknown> =>
      node2.run([
        "nft",
        `add table inet broken; add chain inet broken c { ${rule.replace("|", "; } ; add rule inet broken c")}`,
      ]);
    const heal = (): Promise<unknown> => node2.run(["nft", "delete table inet broken"]);

    await nft("type filter hook input priority raw | udp dport 8472 ip saddr 172.31.1.1 drop");
    const oneWay = await probe(1, "node2");
    await heal();
    expect(oneWay.status).toBe(1);
    expect(oneWay.answer.problems).toEqual([
      expect.stringMatching(/^node2 answers on the underlay \(172\.31\.1\.2\), but not/),
    ]);

    await nft("type filter hook input priority raw | meta l4proto udp meta length > 1400 drop");
    const narrow = await probe(1, "node2");
    await heal();
    // meta length is the outer IP packet's: 1400 less IPv4 20, UDP 8, VXLAN 8, Ethernet 14.
    expect(narrow.answer.peers).toMatchObject([{ state: "up", mtu: 1350 }]);
    expect(narrow.answer.problems).toEqual([
      expect.stringContaining("node2 is reached by packets of at most 1350 bytes"),
    ]);

    await nft("type filter hook output priority 0 | oifname flannel.1 tcp checksum set 0xdead");
    const checksums = await probe(1, "node2");
    await heal();
    expect(checksums.answer.peers).toMatchObject([{ state: "up", mtu: 1450, tcp: "silent" }]);

    await node2.run(["ip", "link", "set", "eth0", "down"]);
    const dead = await probe(1, "node2");
    await node2.run(["ip", "link", "set", "eth0", "up"]);
    expect(dead.answer.peers).toMatchObject([{ state: "down" }]);
    await until(async () => (await probe(1, "node2")).status === 0);
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
