// What twillctl finds out about a host where something was broken on purpose: three nodes with a pod each, node 2 on the
// kernel's plane.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
