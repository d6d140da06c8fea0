// The network config changes and the nodes are restarted with it, as an operator does it: what they have made for the
// network before is theirs to take away.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { until } from "../until.ts";
import { notRoot, rootTitle } from "./netns.ts";

const BEFORE = "10.244.0.0/16";
const AFTER = "10.99.0.0/16";

describe.skipIf(notRoot).each([
  { name: "host-gw", args: [], before: { Type: "host-gw" }, after: { Type: "host-gw" } },
  { name: "tun, and the VNI", args: [], before: { Type: "vxlan" }, after: { Type: "vxlan", VNI: 7 } },
  {
    name: "kernel, and the VNI",
    args: ["--dataplane=kernel"],
    before: { Type: "vxlan" },
    after: { Type: "vxlan", VNI: 7 },
  },
  {
    name: "DirectRouting to host-gw",
    args: [],
    before: { Type: "vxlan", DirectRouting: true },
    after: { Type: "host-gw" },
  },
])(rootTitle("the network changes: $name"), ({ args, before, after }) => {
  let lab: Lab;
  beforeAll(async () => {
    const config = { Network: BEFORE, EnableIPv6: true, IPv6Network: "fd10:244::/48", Backend: before };
    lab = await Lab.create({ nodes: 2, config, args });
  });
  afterAll(() => lab?.close());

  const show = async (node: Node, command: string): Promise<string> => (await node.run(command.split(" "))).stdout;
  /** Routes and devices, but for the underlay's. */
  async function traces(node: Node): Promise<string> {
    const seen = await Promise.all(["ip route", "ip -6 route", "ip -brief address"].map((each) => show(node, each)));
    return seen.join("").replaceAll(/^(?!.*(10\.244|10\.99|10\.77|fd10|twill|flannel)).*\n/gm, "");
  }
  const FOREIGN = /10\.244\.200\.0|flannel\.9|10\.77\./;

  test("what was of the network before goes, and nothing of anybody else", async () => {
    for (const node of lab.nodes) {
      await until(async () => /^10\.244.*\n(.*\n)*fd10:244/m.test(await traces(node)));
      // Somebody's own route into the network, and a flannel of another network.
      await show(node, "ip route add 10.244.200.0/24 via 172.31.0.1 proto static");
      await show(node, "ip link add flannel.9 type vxlan id 9 dstport 4789 dev eth0");
      await show(node, "ip address add 10.77.1.0/32 dev flannel.9");
    }
    await lab.putConfig({ Network: AFTER, Backend: after });
    for (const node of lab.nodes) await node.restart();
    for (const node of lab.nodes) {
      const ours = async (): Promise<string> =>
        (await traces(node))
          .split("\n")
          .filter((line) => !FOREIGN.test(line))
          .join("\n");
      await until(
        async () => (await ours()).includes("10.99.") && !/10\.244|fd10|(twill|flannel)\.1\b/.test(await ours()),
      );
      expect(await traces(node)).toContain("10.244.200.0/24 via 172.31.0.1");
      expect(await traces(node)).toMatch(/flannel\.9.*10\.77\.1\.0/);
    }
  });

  test("and after leave there is nothing of either", async () => {
    const [node] = lab.nodes as [Node];
    await node.ctl(["leave"]);
    await node.twilld?.ended;
    const left = (await traces(node)).trim().split("\n");
    expect(left.filter((line) => !FOREIGN.test(line))).toEqual([]);
    expect(left).toHaveLength(2);
  });
});
