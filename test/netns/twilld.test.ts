// What twilld says when something about its host, its flags or etcd is wrong: one sentence each, no stack trace, and the
// documented exit code.

import { existsSync, mkdtempSync, readFileSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { TWILLD } from "../../pkg/lab/programs.ts";
import { until } from "../until.ts";
import { notRoot, rootTitle } from "./netns.ts";

const TWILLCTL = join(import.meta.dirname, "../../bin/twillctl");
const STACK = /\n\s+at .*:\d+/;

describe.skipIf(notRoot)(rootTitle("twilld in trouble"), () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create();
  });
  afterAll(() => lab?.close());

  // Runs twilld on a node of its own until it ends by itself.
  async function outcome(options: {
    readonly wrap?: readonly string[];
    readonly args?: readonly string[];
    readonly before?: (node: Node) => Promise<void>;
  }): Promise<{ status: number | null; text: string }> {
    const node = await lab.addNode();
    await options.before?.(node);
    const argv = [...(options.wrap ?? []), ...node.commandLine(options.args)];
    const { status, stdout, stderr } = await node.netns.capture(argv, { timeout: 15_000 });
    const text = stdout + stderr;
    expect(text).not.toMatch(STACK);
    expect(existsSync(node.subnetFile)).toBe(false);
    return { status, text };
  }

  test("an unknown flag and a wrong value are both told, with exit code 2", async () => {
    const { status, text } = await outcome({ args: ["--etcd-endpoint=x", "--public-ip=10.0.0"] });
    expect(text).toContain("twilld: unknown flag --etcd-endpoint: did you mean --etcd-endpoints?\n");
    expect(text).toMatch(/^twilld: --public-ip is "10\.0\.0": /m);
    expect(status).toBe(2);
  });

  test("no /dev/net/tun", async () => {
    const wrap = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"];
    const { status, text } = await outcome({ wrap });
    expect(text).toContain("there is no /dev/net/tun: load the tun module (modprobe tun)");
    expect(status).toBe(3);
  });

  test("no permission", async () => {
    const wrap = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
    const { status, text } = await outcome({ wrap });
    expect(text).toContain("no permission to create the TUN device twill.1: run twilld as root or with CAP_NET_ADMIN");
    expect(status).toBe(3);
  });

  test("the UDP port is taken", async () => {
    const before = async (node: Node): Promise<void> => {
      const link = `ip link add vx0 type vxlan id 9 local ${node.address} dev eth0 dstport 8472 nolearning`;
      await node.run(link.split(" "));
      await node.run(["ip", "link", "set", "vx0", "up"]);
    };
    const { status, text } = await outcome({ before });
    expect(text).toMatch(/UDP port 8472 on [\d.]+ is taken: .*ip -d link show type vxlan/);
    expect(status).toBe(3);
  });

  test("the directory it was started in is deleted", async () => {
    const directory = mkdtempSync(join(tmpdir(), "twill-gone-"));
    const node = await lab.addNode({ program: ["env", "-C", directory, TWILLD] });
    await node.start();
    await node.ready();
    rmdirSync(directory);
    // What was open stays open; a data plane opened anew starts a thread.
    const opened = (): number => node.logText().split("data plane open").length - 1;
    expect(opened()).toBe(1);
    await node.run(["ip", "link", "delete", "twill.1"]);
    await until(() => opened() === 2);
    await node.ready();
    await node.stop();
  });

  test("a state directory that another twilld uses", async () => {
    const first = await lab.addNode();
    await first.start();
    await first.ready();
    const { status, text } = await outcome({ args: [`--state-dir=${first.stateDir}`] });
    expect(text).toContain(`another twilld (pid ${first.twilld?.pid}) uses ${first.stateDir}: stop it, or give each`);
    expect(status).toBe(1); // the other one may be about to stop: starting again can help
    await first.stop();
  });

  test("no etcd: it says which, once, goes on trying, and stops when it is told to", async () => {
    const node = await lab.addNode({ args: ["--etcd-endpoints=http://127.0.0.1:9"] });
    const daemon = await node.start();
    await until(() => node.logText().includes("127.0.0.1:9"));
    await sleep(systemClock, 3000);
    const sentences = node
      .logText()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(new Set(sentences).size).toBe(sentences.length);
    expect(node.logText()).not.toMatch(STACK);
    expect((await node.http("/healthz")).status).toBe(200);
    const ready = await node.http("/readyz");
    expect([ready.status, ready.body]).toEqual([503, expect.stringContaining("127.0.0.1:9")]);
    const start = systemClock.now();
    expect(await daemon.stop()).toMatchObject({ status: 0 });
    expect(systemClock.now() - start).toBeLessThan(2500);
  });

  test("a network config that is missing, then wrong, then right", async () => {
    const other = await Lab.create({ config: "none" });
    try {
      const node = await other.addNode();
      await node.start();
      const says = (text: string | RegExp): Promise<void> =>
        until(() => (typeof text === "string" ? node.logText().includes(text) : text.test(node.logText())));
      await says("/coreos.com/network/config");
      await other.putConfig('{"Network": "10.5.0.0/16", ');
      await says(/not valid JSON|cannot be read as JSON|is not JSON/i);
      await other.putConfig({ Network: "10.5.0.0/99", Backend: { Type: "vxlan" } });
      await says("10.5.0.0/99");
      await other.putConfig({ Network: "10.5.0.0/16", SubnetLen: 15, Backend: { Type: "vxlan" } });
      await says(/SubnetLen/);
      await other.putConfig({ Network: "10.5.0.0/16", Backend: { Type: "udp" } });
      await says(/udp/);
      expect((await node.http("/readyz")).status).toBe(503);
      expect(existsSync(node.subnetFile)).toBe(false);
      await other.putConfig({ Network: "10.5.0.0/16", Backend: { Type: "vxlan" } });
      await node.ready();
      expect(node.subnetEnv()["FLANNEL_NETWORK"]).toBe("10.5.0.0/16");
      expect(node.logText()).not.toMatch(STACK);
    } finally {
      await other.close();
    }
  });

  test("SIGTERM leaves lease, device, routes and subnet.env; the next run takes them over", async () => {
    const [a, b] = [await lab.addNode(), await lab.addNode()];
    await a.start();
    await b.start();
    await a.ready();
    await b.ready();
    const route = async (): Promise<string> => (await a.run(["ip", "route", "show", "dev", "twill.1"])).stdout;
    const subnetB = b.subnetEnv()["FLANNEL_SUBNET"]?.replace(".1/24", ".0/24") ?? "";
    await until(async () => (await route()).includes(subnetB));
    const before = await lab.etcd.list("/coreos.com/network/subnets/");
    const env = readFileSync(a.subnetFile, "utf8");
    await a.stop();
    expect(await lab.etcd.list("/coreos.com/network/subnets/")).toEqual(before);
    expect(await route()).toContain(subnetB);
    expect(readFileSync(a.subnetFile, "utf8")).toBe(env);
    await a.start();
    await a.ready();
    expect(await lab.etcd.list("/coreos.com/network/subnets/")).toEqual(before);
  });

  test("twillctl tells what the agent knows, for people and for programs", async () => {
    const node = await lab.addNode();
    const down = await node.netns.capture([TWILLCTL, "--socket", node.socket, "status"]);
    expect([down.status, down.stderr]).toEqual([3, expect.stringContaining(node.socket)]);
    await node.start();
    await node.ready();
    const { stdout } = await node.ctl(["status", "--json"]);
    const status = JSON.parse(stdout) as { ready: boolean; lease: { subnets: string[] }; peers: unknown[] };
    expect(status.ready).toBe(true);
    expect(status.lease.subnets).toEqual([node.subnetEnv()["FLANNEL_SUBNET"]?.replace(".1/24", ".0/24")]);
    const table = await node.ctl(["leases"]);
    expect(table.stdout).toContain(node.name);
  });
});
