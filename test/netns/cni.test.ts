// twill-cni as a container runtime uses it: the launcher, the bundle, the real bridge, host-local and portmap, real namespaces.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { writeAgentStatus } from "../../pkg/cni/agent-status.ts";
import { bundle, CniHost, type Json, PLUGINS, type PluginCall, whyNot } from "./cni-host.ts";

interface Result {
  readonly cniVersion: string;
  readonly interfaces: readonly { readonly name: string; readonly sandbox?: string }[];
  readonly ips: readonly { readonly address: string; readonly gateway: string; readonly interface: number }[];
}

const reason = whyNot();

describe.skipIf(reason)(`twill-cni${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let dist: string;
  let program: readonly string[];
  let host: CniHost;

  beforeAll(() => {
    dist = mkdtempSync(join(tmpdir(), "cni-dist-"));
    bundle(join(dist, "dist"));
    cpSync("bin/twill-cni", join(dist, "bin/twill-cni"));
    symlinkSync(resolve("node_modules"), join(dist, "node_modules"));
    // As install-cni makes it known to runtimes.
    symlinkSync(join(dist, "bin/twill-cni"), join(dist, "twill"));
    program = [join(dist, "twill")];
  });
  afterAll(() => rmSync(dist, { recursive: true, force: true }));
  beforeEach(() => {
    host = new CniHost(program);
    host.subnetEnv();
  });
  afterEach(() => host.close());

  /** ADD that must succeed. */
  async function add(call: PluginCall, conf: Json = host.netconf()): Promise<Result> {
    const { status, out, stderr } = await host.twill("ADD", conf, call);
    expect(out["msg"] ?? stderr, "ADD's error").toBe("");
    expect(status).toBe(0);
    return out as unknown as Result;
  }

  /** DEL that must succeed. */
  async function del(call: PluginCall, conf: Json = host.netconf()): Promise<void> {
    expect(await host.twill("DEL", conf, call)).toMatchObject({ status: 0, out: {} });
  }

  test("ADD gives a pod an address of the subnet, the MTU, and a way to its gateway; DEL takes all away", async () => {
    const netns = host.namespace();
    const result = await add({ netns });
    expect(result).toMatchObject({ cniVersion: "1.1.0", ips: [{ address: "10.5.49.2/24", gateway: "10.5.49.1" }] });
    expect(result.interfaces[result.ips[0]?.interface ?? -1]).toMatchObject({ name: "eth0", sandbox: netns });
    const [link] = JSON.parse(await host.inside(netns, "ip", "-j", "addr", "show", "eth0")) as Json[];
    expect(link).toMatchObject({ mtu: 1450, addr_info: [{ local: "10.5.49.2", prefixlen: 24 }, {}] });
    expect(await host.inside(netns, "ip", "route")).toMatch(/default via 10\.5\.49\.1 dev eth0.*\n.*10\.5\.0\.0\/16/);
    await host.inside(netns, "ping", "-c1", "-W2", "10.5.49.1");
    expect(host.leased()).toEqual(["10.5.49.2"]);
    expect(host.remembered()).toEqual(["c1:eth0.json"]);

    await del({ netns });
    expect(host.leased()).toEqual([]);
    expect(host.remembered()).toEqual([]);
    expect(await host.veths()).toEqual([]);
    await del({ netns });
  });

  test("two pods of a node reach each other at the full MTU", async () => {
    const [a, b] = [host.namespace(), host.namespace()];
    await add({ netns: a, container: "a" });
    await add({ netns: b, container: "b" });
    await host.inside(a, "ping", "-c1", "-W2", "-M", "do", "-s", String(1450 - 28), "10.5.49.3");
  });

  test("both families get an address and a gateway", async () => {
    host.subnetEnv("10.5.49.1/24", "FLANNEL_IPV6_NETWORK=fd05::/56\nFLANNEL_IPV6_SUBNET=fd05:0:0:1b::1/64\n");
    const netns = host.namespace();
    const { ips } = await add({ netns });
    expect(ips.map(({ address }) => address)).toEqual(["10.5.49.2/24", "fd05:0:0:1b::2/64"]);
    await host.inside(netns, "ping", "-6", "-c1", "-w5", "fd05:0:0:1b::1");
    await del({ netns });
    expect(host.leased()).toEqual([]);
  });

  for (const cniVersion of [undefined, "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]) {
    test(`a netconf with cniVersion ${cniVersion ?? "missing"} gets its own form of result`, async () => {
      const netns = host.namespace();
      const result: unknown = await add({ netns }, host.netconf({ cniVersion }));
      expect(result).toMatchObject({ cniVersion: cniVersion ?? "0.1.0" });
      const address = "10.5.49.2/24";
      if ((cniVersion ?? "0.1.0") < "0.3.0") expect(result).toMatchObject({ ip4: { ip: address } });
      else if (cniVersion?.startsWith("0.")) expect(result).toMatchObject({ ips: [{ version: "4", address }] });
      else expect(result).toMatchObject({ ips: [expect.not.objectContaining({ version: "4" })] });
      await del({ netns }, host.netconf({ cniVersion }));
      expect(host.leased()).toEqual([]);
    });
  }

  const ways = [
    { name: "an empty CNI_NETNS", prepare: () => undefined, call: { netns: "" } },
    { name: "a namespace that has gone", prepare: () => undefined, call: { netns: "/run/netns/gone" } },
    { name: "no saved file", prepare: () => rmSync(join(host.top, "twill"), { recursive: true }), call: {} },
    {
      name: "neither saved file nor subnet.env nor namespace",
      prepare: () => {
        rmSync(join(host.top, "twill"), { recursive: true });
        rmSync(join(host.top, "subnet.env"));
      },
      call: { netns: "" },
    },
    {
      name: "a saved file that is cut off",
      prepare: () => writeFileSync(join(host.top, "twill", "c1:eth0.json"), '{"deleg'),
      call: {},
    },
  ];
  for (const way of ways) {
    test(`DEL with ${way.name} frees the address, also the second time`, async () => {
      const netns = host.namespace();
      await add({ netns });
      expect(host.leased()).toEqual(["10.5.49.2"]);
      way.prepare();
      await del({ netns, ...way.call });
      expect(host.leased()).toEqual([]);
      expect(host.remembered()).toEqual([]);
      await del({ netns, ...way.call });
      if (!("netns" in way.call)) expect(await host.veths()).toEqual([]);
    });
  }

  // The runtime went after its umount and before its unlink.
  test("DEL where the namespace's file is left without a namespace frees the address; ADD and CHECK refuse it", async () => {
    const netns = host.namespace();
    const prevResult = await add({ netns });
    execFileSync("umount", [netns]);
    expect(existsSync(netns)).toBe(true);
    for (const [verb, conf] of [
      ["CHECK", host.netconf({ prevResult })],
      ["ADD", host.netconf()],
    ] as const) {
      expect(await host.twill(verb, conf, { netns })).toMatchObject({
        status: 1,
        out: { code: 4, msg: expect.stringContaining(`CNI_NETNS is "${netns}", which cannot be entered: `) },
      });
    }
    expect(host.leased()).toEqual(["10.5.49.2"]);
    await del({ netns }, host.netconf({ prevResult }));
    expect(host.leased()).toEqual([]);
    expect(host.remembered()).toEqual([]);
    await del({ netns });
  });

  test("DEL with the result of ADD, as a runtime passes it, is as good", async () => {
    const netns = host.namespace();
    const prevResult = await add({ netns });
    await del({ netns }, host.netconf({ prevResult }));
    expect(host.leased()).toEqual([]);
    expect(await host.veths()).toEqual([]);
  });

  test("two interfaces of a container come and go one by one", async () => {
    const netns = host.namespace();
    await add({ netns, ifname: "eth0" });
    // Only one of them can be the default gateway.
    await add({ netns, ifname: "eth1" }, host.netconf({ delegate: {} }));
    expect(host.remembered()).toEqual(["c1:eth0.json", "c1:eth1.json"]);
    await del({ netns, ifname: "eth0" });
    expect(host.remembered()).toEqual(["c1:eth1.json"]);
    expect(host.leased()).toEqual(["10.5.49.3"]);
    await host.inside(netns, "ping", "-c1", "-W2", "-I", "eth1", "10.5.49.1");
    await del({ netns, ifname: "eth1" });
    expect(host.leased()).toEqual([]);
  });

  test("ADD of an interface that exists fails and leaves it working", async () => {
    const netns = host.namespace();
    await add({ netns });
    rmSync(join(host.top, "twill"), { recursive: true });
    const { status, out } = await host.twill("ADD", host.netconf(), { netns });
    expect({ status, out }).toMatchObject({
      status: 1,
      out: { code: 4, msg: expect.stringMatching(/CNI_IFNAME is "eth0"/) },
    });
    await host.inside(netns, "ping", "-c1", "-W2", "10.5.49.1");
  });

  test("ADD after an unclean restart of the node succeeds, although the old address is still given out", async () => {
    await add({ netns: host.namespace() });
    await host.inside(host.netns, "ip", "link", "del", "cni0");
    const netns = host.namespace();
    await add({ netns });
    expect(host.leased()).toHaveLength(1);
    await host.inside(netns, "ping", "-c1", "-W2", "10.5.49.1");
  });

  test("ADD into something that is no namespace names CNI_NETNS", async () => {
    for (const netns of ["/run/netns/gone", "/etc/hostname"]) {
      expect(await host.twill("ADD", host.netconf(), { netns })).toMatchObject({
        status: 1,
        out: { code: 4, msg: expect.stringContaining(`CNI_NETNS is "${netns}", which cannot be entered: `) },
      });
    }
    expect(host.leased()).toEqual([]);
    expect(host.remembered()).toEqual([]);
  });

  test("20 pods at once get 20 addresses and all reach the gateway", async () => {
    const pods = Array.from({ length: 20 }, (_, i) => ({ netns: host.namespace(), container: `pod-${i}` }));
    const results = await Promise.all(pods.map((pod) => add(pod)));
    const addresses = results.map(({ ips }) => ips[0]?.address);
    expect(new Set(addresses).size).toBe(20);
    await Promise.all(pods.map(({ netns }) => host.inside(netns, "ping", "-c1", "-W5", "10.5.49.1")));
    await Promise.all(pods.map((pod) => del(pod)));
    expect(host.leased()).toEqual([]);
    expect(await host.veths()).toEqual([]);
  });

  test("a subnet without free addresses fails in host-local's words and leaves nothing behind", async () => {
    host.subnetEnv("10.5.49.1/30");
    await add({ netns: host.namespace(), container: "a" });
    const netns = host.namespace();
    const { status, out } = await host.twill("ADD", host.netconf(), { netns, container: "b" });
    expect({ status, out }).toMatchObject({
      status: 1,
      out: { msg: expect.stringMatching(/no IP addresses available/) },
    });
    expect(host.leased()).toEqual(["10.5.49.2"]);
    expect(host.remembered()).toEqual(["a:eth0.json"]);
    expect(await host.veths()).toHaveLength(1);
    expect(await host.inside(netns, "ip", "-o", "link")).not.toMatch(/eth0/);
  });

  test("CHECK passes after ADD and notices a lost address and a lost interface", async () => {
    const netns = host.namespace();
    const conf = host.netconf({ prevResult: await add({ netns }) });
    expect(await host.twill("CHECK", conf, { netns })).toMatchObject({ status: 0, out: {} });
    await host.inside(netns, "ip", "addr", "del", "10.5.49.2/24", "dev", "eth0");
    expect(await host.twill("CHECK", conf, { netns })).toMatchObject({
      status: 1,
      out: { msg: expect.stringMatching(/10\.5\.49\.2/) },
    });
    await host.inside(netns, "ip", "link", "del", "eth0");
    expect(await host.twill("CHECK", conf, { netns })).toMatchObject({
      status: 1,
      out: { code: 103, msg: `${netns} has lost its interface eth0` },
    });
  });

  test("STATUS and ADD follow what the agent says", async () => {
    const netns = host.namespace();
    const runDir = join(host.top, "run");
    writeAgentStatus(runDir, { state: "not-ready", message: "waiting for etcd at 10.0.0.1:2379" });
    const msg = "waiting for etcd at 10.0.0.1:2379";
    expect(await host.twill("STATUS", host.netconf())).toMatchObject({ status: 1, out: { code: 50, msg } });
    expect(await host.twill("ADD", host.netconf(), { netns })).toMatchObject({ status: 1, out: { code: 11, msg } });
    writeAgentStatus(runDir, { state: "ready", message: "ready" });
    expect(await host.twill("STATUS", host.netconf())).toEqual({ status: 0, out: {}, stderr: "" });
    await add({ netns });
  });

  test("GC frees what is not listed, and nothing else", async () => {
    const kept = host.namespace();
    await add({ netns: kept, container: "kept" });
    await add({ netns: host.namespace(), container: "stale" });
    const conf = host.netconf({ "cni.dev/valid-attachments": [{ containerID: "kept", ifname: "eth0" }] });
    expect(await host.twill("GC", conf)).toMatchObject({ status: 0, out: {} });
    expect(host.leased()).toEqual(["10.5.49.2"]);
    expect(host.remembered()).toEqual(["kept:eth0.json"]);
    await host.inside(kept, "ping", "-c1", "-W2", "10.5.49.1");
  });

  const mistakes = [
    { name: "no subnet.env", conf: { subnetFile: "/nowhere/subnet.env" }, code: 11, says: /has not written \/nowhere/ },
    {
      name: "no delegate binary",
      conf: { delegate: { type: "brigde" } },
      code: 101,
      says: /"brigde" in CNI_PATH \(\/usr\/lib\/cni\)/,
    },
    { name: "a delegate that is a list", conf: { delegate: [] }, code: 7, says: /"delegate" is \[\]/ },
    { name: "an unsupported version", conf: { cniVersion: "2.0.0" }, code: 1, says: /"2\.0\.0"/ },
    {
      name: "a data directory that is a file",
      conf: { dataDir: "/proc/version" },
      code: 5,
      says: /cannot read \/proc\/version/,
    },
  ];
  for (const mistake of mistakes) {
    test(`${mistake.name}: code ${mistake.code}, one sentence, nothing left behind`, async () => {
      const netns = host.namespace();
      const { status, out, stderr } = await host.twill("ADD", host.netconf(mistake.conf), { netns });
      expect({ status, code: out["code"], stderr }).toEqual({ status: 1, code: mistake.code, stderr: "" });
      expect(out["msg"]).toMatch(mistake.says);
      expect(out["msg"]).not.toMatch(/\n|node:|\.ts/);
      expect(host.leased()).toEqual([]);
      expect(await host.veths()).toEqual([]);
    });
  }

  test("a netconf that is not JSON is code 6, no environment at all code 4", async () => {
    const netns = host.namespace();
    expect(await host.twill("ADD", "{", { netns })).toMatchObject({ status: 1, out: { code: 6 } });
    const nothing = await host.inside(host.netns, "env", "-i", ...program).catch((error: Error) => error.message);
    expect(nothing).toMatch(/"code":4,"msg":"CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH not set; /);
  });

  test("the shipped conflist attaches a pod and publishes its port", async () => {
    const list = JSON.parse(readFileSync("deploy/cni/10-twill.conflist", "utf8")) as {
      name: string;
      cniVersion: string;
      plugins: Json[];
    };
    const netns = host.namespace();
    const bin = join(host.top, "bin");
    await host.inside(host.netns, "mkdir", bin);
    for (const plugin of ["bridge", "host-local", "portmap"]) symlinkSync(join(PLUGINS, plugin), join(bin, plugin));
    const portMappings = [{ hostPort: 8081, containerPort: 80, protocol: "tcp" }];

    // What a runtime does with a list: each plugin gets name, version and the result so far.
    const call = async (verb: string, plugin: Json, prevResult?: Json): Promise<Json> => {
      const common = { ...plugin, name: list.name, cniVersion: list.cniVersion, ...(prevResult && { prevResult }) };
      const ours = plugin["type"] === "twill";
      const conf = ours ? { ...host.netconf(), ...common } : { ...common, runtimeConfig: { portMappings } };
      const at = { netns, path: bin };
      const answer = ours
        ? await host.twill(verb, conf, at)
        : await host.plugin(String(plugin["type"]), verb, conf, at);
      expect(answer.out["msg"], `${verb} of ${String(plugin["type"])}`).toBeUndefined();
      expect(answer.status).toBe(0);
      return answer.out;
    };
    let result: Json | undefined;
    for (const plugin of list.plugins) result = await call("ADD", plugin, result);
    expect(result).toMatchObject({ cniVersion: "1.0.0", ips: [{ address: "10.5.49.2/24" }] });
    // portmap 1.1.1 looks for IPv6 rules also where no address is IPv6, so only ours is asked.
    await call("CHECK", list.plugins[0] ?? {}, result);

    const server = `require("net").createServer((s) => s.end(s.remoteAddress)).listen(80, () => console.log("up"))`;
    const child = host.start(netns, process.execPath, "-e", server);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    await host.inside(host.netns, "ip", "addr", "add", "192.0.2.1/32", "dev", "lo");
    const client = `require("net").connect(8081, "192.0.2.1").on("data", (d) => console.log(String(d)))`;
    expect(await host.inside(host.netns, process.execPath, "-e", client)).toMatch(/192\.0\.2\.1|10\.5\.49\.1/);

    for (const plugin of list.plugins.toReversed()) await call("DEL", plugin, result);
    expect(host.leased()).toEqual([]);
    expect(await host.veths()).toEqual([]);
    expect(await host.inside(host.netns, "iptables-save", "-t", "nat")).not.toMatch(/8081/);
  });
});
