// What somebody who may write below the prefix can do to a node, and what he cannot: a real agent, a real etcd.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { until } from "../until.ts";

const MAC = "52:34:41:6f:b6:4d";

describe.skipIf(notRoot)(rootTitle("hostile leases"), () => {
  let lab: Lab;
  afterEach(() => lab?.close());

  // Many keys in few calls; each value is JSON or any text, as etcdctl's txn reads it.
  async function putAll(entries: readonly (readonly [key: string, value: string])[]): Promise<void> {
    for (let i = 0; i < entries.length; i += 100) {
      const puts = entries
        .slice(i, i + 100)
        .map(([key, value]) => `put ${quote(`${lab.prefix}/${key}`)} ${quote(value)}`);
      await lab.etcd.ctl(["txn"], { timeout: 10_000, input: `\n${puts.join("\n")}\n\n\n` });
    }
  }

  test.each(["tun", "kernel"])("neither stop, nor command, nor redirect a node of the %s plane", async (dataplane) => {
    // A lab for each: a reservation among the keys takes effect when the agent starts again. The nodes' own subnets are
    // none of the keys.
    const config = { Network: "10.244.0.0/16", SubnetMax: "10.244.99.0", Backend: { Type: "vxlan" } };
    lab = await Lab.create({ nodes: 2, pods: 1, config, args: [`--dataplane=${dataplane}`] });
    const node = lab.node(1);
    const marker = join(lab.directory, `pwned-${dataplane}`);
    const shell = [`$(touch ${marker})`, `\`touch ${marker}\``, `; touch ${marker} #`, `\n add table ip pwned\n`];
    const own = node.subnetEnv()["FLANNEL_SUBNET"]?.replace(/\.1\/24$/, "") ?? expect.fail();
    const routes = async (): Promise<string> => (await node.run(["ip", "route"])).stdout;
    const before = await routes();
    // Sorted: a table that is written anew is the last one.
    const rules = async (): Promise<string[]> => (await node.run(["nft", "list", "tables"])).stdout.split("\n").sort();
    const tables = await rules();
    const lease = (publicIp: unknown, more: object = {}): string =>
      JSON.stringify({
        PublicIP: publicIp,
        BackendType: "vxlan",
        BackendData: { VNI: 1, VtepMAC: MAC },
        ...more,
      });
    const good = lease("172.31.1.77");
    await putAll([
      ["subnets/0.0.0.0-0", good],
      ["subnets/0.0.0.0-1", good],
      ["subnets/128.0.0.0-1", good],
      ["subnets/127.0.0.0-8", good],
      ["subnets/172.31.0.0-16", good],
      ["subnets/172.31.0.1-32", good],
      ["subnets/10.244.0.0-16", good],
      [`subnets/${own}.0-25`, good],
      [`subnets/${own}.128-26`, good],
      ["subnets/10.244.240.0-24", lease(node.address)],
      ["subnets/10.244.241.0-24", lease("127.0.0.1")],
      ["subnets/10.244.242.0-24", lease("10.244.242.1")],
      ["subnets/10.244.243.0-24", lease("255.255.255.255")],
      ["subnets/10.244.244.0-24", lease({ toString: "1.2.3.4" })],
      ["subnets/10.244.245.0-24", lease("172.31.1.78", { BackendData: { VNI: 1, VtepMAC: "00:00:00:00:00:00" } })],
      ["subnets/10.244.246.0-24", "x".repeat(30_000)],
      ["subnets/10.244.247.0-24", "[".repeat(15_000)],
      ...shell.flatMap((text, i): [string, string][] => [
        [`subnets/${text.replaceAll("/", "")}`, good],
        [`subnets/10.244.${250 + i}.0-24`, lease(text, { NodeName: text, NodeID: text, BackendType: text })],
      ]),
      ...Array.from({ length: 3000 }, (_, i): [string, string] => [`subnets/junk-${i}`, "y"]),
      ...Array.from({ length: 1000 }, (_, i): [string, string] => [`elsewhere/${i}`, "z".repeat(100)]),
      ["subnets/10.244.199.0-24", lease("172.31.1.79")],
    ]);
    // The last key, a lease like any other, is routed, so all before it have been looked at.
    await until(async () => (await routes()).includes("10.244.199.0/24"));
    const added = (await routes()).split("\n").filter((line) => !before.includes(line));
    expect(added.map((line) => line.split(" ")[0])).toEqual(["10.244.199.0/24"]);
    expect(await rules()).toEqual(tables);
    expect(existsSync(marker)).toBe(false);
    expect((await node.http("/healthz")).status).toBe(200);
    expect((await node.http("/readyz")).status).toBe(200);
    await lab.pod(1, 1).netns.run(["ping", "-c", "3", "-i", "0.2", "-W", "1", lab.pod(2, 1).address]);
    const status = JSON.parse((await node.ctl(["status", "--json"])).stdout) as { problems: string[] };
    expect(status.problems.length).toBeLessThan(250);
    // 4000 keys of nonsense: neither a line nor memory for each.
    expect(node.logText().split("\n").length).toBeLessThan(2500);
    const rss = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${node.twilld?.pid}/status`, "utf8"))?.[1]);
    expect(rss).toBeLessThan(400_000);
    await lab.etcd.ctl(["del", "--prefix", "--", `${lab.prefix}/subnets/junk-`]);
    await lab.etcd.ctl(["del", "--prefix", "--", `${lab.prefix}/subnets/10.244.199.`]);
    await until(async () => !(await routes()).includes("10.244.199.0/24"));
  });
});

// etcdctl takes a line apart as Go's strconv.Unquote and a shell would: in double quotes with escapes.
function quote(text: string): string {
  return JSON.stringify(text);
}
