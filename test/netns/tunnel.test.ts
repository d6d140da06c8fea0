// The tunnel device must never swallow packets: what others do with forwarded packets on this host decides whether it is
// used, and TCP runs either way.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemoryLogger } from "../../pkg/base/logger.ts";
import { type Ends, openEnds } from "../../pkg/dataplane/tun/ends.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { addr } from "../literals.ts";
import { until } from "../until.ts";
import { inside } from "./inside.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { transferTcp } from "./tcp.ts";

const MB = 1_000_000;
const USED = "TCP leaves through the tunnel device";
const UNUSED = "the tunnel device is not used";

describe.skipIf(notRoot)(rootTitle("the tunnel device"), () => {
  let lab: Lab;
  let node: Node;
  let supported: boolean;
  beforeAll(async () => {
    lab = await Lab.create({ nodes: 2, pods: 1, args: ["--resync=1"] });
    node = lab.node(1);
    supported = node.logText().includes('"offload":"tunnel-gso"');
  });
  afterAll(() => lab?.close());

  // How often the log has said it.
  const said = (sentence: string): number => node.logText().split(sentence).length - 1;
  const says = async (sentence: string, times: number): Promise<void> => until(() => said(sentence) >= times);
  const reachable = async (): Promise<void> => {
    for (const [from, to] of [
      [lab.pod(1, 1), lab.pod(2, 1)],
      [lab.pod(2, 1), lab.pod(1, 1)],
    ] as const) {
      expect(await transferTcp(from, to, 5 * MB, lab.directory)).toMatchObject({ bytes: 5 * MB, intact: true });
    }
  };

  test("is used where nobody else looks at forwarded packets", async ({ skip }) => {
    skip(!supported, "this kernel has no UDP tunnels on TAP devices (before Linux 6.17)");
    await says(USED, 1);
    await reachable();
    const { stdout } = await node.run(["ip", "-j", "-s", "link", "show", "dev", "twgso.1"]);
    const [link] = JSON.parse(stdout) as { stats64: { rx: { bytes: number } } }[];
    expect(link?.stats64.rx.bytes).toBeGreaterThan(5 * MB);
  });

  test("is used behind FORWARD DROP, with an accept of its own", async ({ skip }) => {
    skip(!supported, "this kernel has no UDP tunnels on TAP devices (before Linux 6.17)");
    await node.run(["iptables-nft", "-P", "FORWARD", "DROP"]);
    const rules = async (): Promise<string> => (await node.run(["iptables-nft", "-S"])).stdout;
    await until(async () => (await rules()).includes("-A TWILL-FWD -i twgso.1 "));
    await reachable();
    expect(said(UNUSED)).toBe(0);
  });

  test("is left while a chain of nftables sees forwarded packets, and taken again when it has gone", async ({
    skip,
  }) => {
    skip(!supported, "this kernel has no UDP tunnels on TAP devices (before Linux 6.17)");
    await node.run(["nft", "add table inet firewall"]);
    await node.run([
      "nft",
      "add chain inet firewall forward { type filter hook forward priority 0 ; policy accept ; }",
    ]);
    await node.run(["nft", "add rule inet firewall forward udp dport 8472 drop"]);
    await says(UNUSED, 1);
    expect(node.logText()).toContain("the nftables chain inet firewall forward sees forwarded packets");
    await reachable();
    await node.run(["nft", "delete table inet firewall"]);
    await says(USED, 2);
    await reachable();
  });

  test("is made anew when somebody deletes it, and nothing is lost", async ({ skip }) => {
    skip(!supported, "this kernel has no UDP tunnels on TAP devices (before Linux 6.17)");
    await node.run(["ip", "link", "delete", "twgso.1"]);
    await reachable();
    await says("the data plane has died, opening it anew", 1);
    await says(USED, 3);
    await reachable();
  });

  test("is used by the thread that sends, where each direction has its own", async ({ skip }) => {
    skip(!supported, "this kernel has no UDP tunnels on TAP devices (before Linux 6.17)");
    const used = said(USED);
    await node.restart(["--packet-threads=2"]);
    await node.ready();
    await says(USED, used + 1);
    await reachable();
    const { stdout } = await node.ctl(["status", "--json"]);
    const { dataplane } = JSON.parse(stdout) as { dataplane: { counters: Record<string, number | string> } };
    for (const name of ["tx_bytes", "rx_bytes"]) expect(Number(dataplane.counters[name])).toBeGreaterThan(5 * MB);
  });
});

describe.skipIf(notRoot)(rootTitle("the ends of the packet loop"), () => {
  // A try that fails may leave nothing open: the next would find the devices held, by ourselves.
  test("open as soon as the underlay's address is the host's", () => {
    const netns = `twt-${randomBytes(4).toString("hex")}`;
    const ip = (...args: readonly string[]): void => void execFileSync("ip", args);
    const { families, ...underlay } = { families: [6] as const, name: "eth0", index: 2, mtu: 1500 };
    const here = { 6: addr("fd77::1") };
    const want = { name: "twill.1", vni: 1, port: 8472, families, offload: "auto", plainUdp: false } as const;
    const open = (): Ends =>
      inside(netns, () => openEnds(want, { ...underlay, addr: here, publicIp: here }, new MemoryLogger()));
    ip("netns", "add", netns);
    try {
      for (let tries = 0; tries < 2; tries++) expect(open).toThrow("fd77::1 is no address of this host any more");
      ip("-n", netns, "address", "add", "fd77::1/128", "dev", "lo");
      open().close();
    } finally {
      ip("netns", "delete", netns);
    }
  });
});
