import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseInterfaceAddr, parsePrefix } from "../addr/prefix.ts";
import { ConfigError } from "../base/errors.ts";
import { type AgentState, writeAgentStatus } from "./agent-status.ts";
import type { PodNetwork } from "./delegate-conf.ts";
import { CODE } from "./error.ts";
import type { JsonObject } from "./json.ts";
import { runPlugin } from "./run.ts";

// The delegates are shell scripts that write down how they were called and answer from a file `<VERB>.json`, or fail
// with the file `<VERB>.error`.

const DEBIAN_12 = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"];
const RESULT = { cniVersion: "1.0.0", interfaces: [{ name: "eth0" }], ips: [{ address: "10.5.1.2/24", interface: 0 }] };

let top: string;
let warnings: string[];
let interfaces: string[];
let subnetEnv: () => PodNetwork | undefined;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "plugin-"));
  warnings = [];
  interfaces = [];
  const network = parsePrefix("10.5.0.0/16");
  const subnet = parseInterfaceAddr("10.5.1.1/24");
  if (!network || !subnet) throw new Error("a fixture does not parse");
  subnetEnv = () => ({ network: { 4: [network] }, subnet: { 4: subnet }, mtu: 1450, ipMasq: true });
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function install(type: string, versions: readonly string[] = DEBIAN_12): void {
  const dir = join(top, "answers", type);
  mkdirSync(dir, { recursive: true });
  mkdirSync(join(top, "bin"), { recursive: true });
  writeFileSync(join(dir, "VERSION.json"), JSON.stringify({ cniVersion: "1.0.0", supportedVersions: versions }));
  const script = `#!/bin/sh
stdin=$(cat)
if [ "$CNI_COMMAND" != VERSION ]; then
  printf '%s %s %s|%s\\t%s\\n' "$CNI_COMMAND" "$CNI_CONTAINERID" "$CNI_IFNAME" "$CNI_NETNS" "$stdin" >>'${join(top, "calls")}'
fi
cd '${dir}'
if [ -e "$CNI_COMMAND.error" ]; then cat "$CNI_COMMAND.error"; exit 1; fi
if [ -e "$CNI_COMMAND.json" ]; then cat "$CNI_COMMAND.json"; fi
`;
  writeFileSync(join(top, "bin", type), script);
  chmodSync(join(top, "bin", type), 0o755);
}

function answer(type: string, file: string, content: unknown): void {
  writeFileSync(join(top, "answers", type, file), typeof content === "string" ? content : JSON.stringify(content));
}

/** What the delegates were asked, without VERSION: "ADD c1 eth0|netns", and the netconf. */
function calls(): { readonly how: string; readonly conf: JsonObject }[] {
  if (!existsSync(join(top, "calls"))) return [];
  const lines = readFileSync(join(top, "calls"), "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [how = "", stdin = ""] = line.split("\t");
    return { how, conf: JSON.parse(stdin) as JsonObject };
  });
}

function files(): string[] {
  return existsSync(join(top, "data")) ? readdirSync(join(top, "data")).sort() : [];
}

interface Asked {
  readonly conf?: object;
  readonly env?: Record<string, string>;
  readonly stdin?: string;
}

async function run(verb: string, asked: Asked = {}): Promise<{ code: number; msg: string; out: JsonObject }> {
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: "c1",
    CNI_NETNS: top,
    CNI_IFNAME: "eth0",
    CNI_PATH: `${join(top, "empty")}:${join(top, "bin")}`,
    ...asked.env,
  };
  const paths = { subnetFile: join(top, "subnet.env"), dataDir: join(top, "data"), runDir: join(top, "run") };
  const stdin = asked.stdin ?? JSON.stringify({ name: "cbr0", cniVersion: "1.0.0", ...paths, ...asked.conf });
  const { stdout, error } = await runPlugin(env, () => stdin, {
    readPodNetwork: () => subnetEnv(),
    interfaceExists: (_netns, ifname) => Promise.resolve(interfaces.includes(ifname)),
    warn: (sentence) => warnings.push(sentence),
  });
  const out = (stdout === "" ? {} : JSON.parse(stdout)) as JsonObject;
  return { code: error?.code ?? 0, msg: error ? String(out["msg"]) : "", out };
}

const agent = (state: AgentState, message: string): void => writeAgentStatus(join(top, "run"), { state, message });

// --- ADD

test("ADD saves what it delegates before it delegates, and answers with the delegate's result", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  const { code, out } = await run("ADD");
  expect(code).toBe(0);
  expect(out).toEqual(RESULT);
  expect(calls()).toMatchObject([
    { how: `ADD c1 eth0|${top}`, conf: { name: "cbr0", cniVersion: "1.0.0", mtu: 1450 } },
  ]);
  expect(files()).toEqual(["c1:eth0.json"]);
});

test("ADD at 1.1.0 calls an older delegate at 1.0.0 and answers at 1.1.0", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  const { out } = await run("ADD", { conf: { cniVersion: "1.1.0" } });
  expect(out).toEqual({ ...RESULT, cniVersion: "1.1.0" });
  expect(calls()[0]?.conf["cniVersion"]).toBe("1.0.0");
});

test("ADD without a cniVersion delegates without one and answers in the oldest form", async () => {
  install("bridge");
  answer("bridge", "ADD.json", { cniVersion: "0.1.0", ip4: { ip: "10.5.1.2/24" } });
  const { out } = await run("ADD", { conf: { cniVersion: undefined } });
  expect(out).toEqual({ cniVersion: "0.1.0", ip4: { ip: "10.5.1.2/24" } });
  expect(calls()[0]?.conf).not.toHaveProperty("cniVersion");
});

test("ADD in a chain hands on the result before it", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  const { out } = await run("ADD", { conf: { prevResult: { cniVersion: "1.0.0", interfaces: [{ name: "lo" }] } } });
  expect(out).toMatchObject({ interfaces: [{ name: "lo" }, { name: "eth0" }], ips: [{ interface: 1 }] });
});

test("ADD passes the delegate's own error on, after the delegate was told to undo", async () => {
  install("bridge");
  answer("bridge", "ADD.error", { code: 117, msg: "no addresses available", details: "range 0" });
  const { code, out } = await run("ADD");
  expect(code).toBe(117);
  expect(out).toEqual({ cniVersion: "1.0.0", code: 117, msg: "no addresses available", details: "range 0" });
  expect(calls().map(({ how }) => how)).toEqual([`ADD c1 eth0|${top}`, `DEL c1 eth0|${top}`]);
  expect(files()).toEqual([]);
});

test("ADD keeps its file when undoing fails too, and tells the first error", async () => {
  install("bridge");
  answer("bridge", "ADD.error", { code: 117, msg: "first" });
  answer("bridge", "DEL.error", { code: 118, msg: "second" });
  expect(await run("ADD")).toMatchObject({ code: 117, msg: "first" });
  expect(files()).toEqual(["c1:eth0.json"]);
  expect(warnings).toEqual([expect.stringMatching(/^cannot undo the failed ADD, the next DEL will: second$/)]);
});

test("ADD undoes when the delegate succeeds with nonsense", async () => {
  install("bridge");
  answer("bridge", "ADD.json", "done!");
  expect(await run("ADD")).toMatchObject({ code: CODE.decode, msg: expect.stringMatching(/"bridge" answered with/) });
  expect(calls().map(({ how }) => how.slice(0, 3))).toEqual(["ADD", "DEL"]);
  expect(files()).toEqual([]);
});

test("ADD refuses an interface that exists and touches nothing", async () => {
  install("bridge");
  interfaces = ["eth0"];
  expect(await run("ADD")).toMatchObject({
    code: CODE.badEnvironment,
    msg: expect.stringMatching(/CNI_IFNAME is "eth0"/),
  });
  expect(calls()).toEqual([]);
  expect(files()).toEqual([]);
});

test("ADD names a delegate that is not installed, where it looked and what to install", async () => {
  const { code, msg } = await run("ADD");
  expect(code).toBe(CODE.delegateMissing);
  expect(msg).toMatch(/"bridge" in CNI_PATH \(.*empty:.*bin\); .*apt install containernetworking-plugins/);
  expect(files()).toEqual([]);
});

test("ADD tells of a delegate that fails without CNI's words, with what it printed", async () => {
  install("bridge");
  answer("bridge", "ADD.error", "panic: oh\n");
  expect(await run("ADD")).toMatchObject({
    code: CODE.delegateFailed,
    msg: 'ADD by the CNI plugin "bridge" ended with exit status 1: panic: oh',
  });
});

test("ADD says so when the delegate shares no version with us", async () => {
  install("bridge", ["9.0.0"]);
  expect(await run("ADD")).toMatchObject({
    code: CODE.incompatibleVersion,
    msg: expect.stringMatching(/supports 9\.0\.0/),
  });
});

test("ADD asks to come again while subnet.env is missing", async () => {
  install("bridge");
  subnetEnv = () => undefined;
  const { code, msg } = await run("ADD");
  expect(code).toBe(CODE.tryAgainLater);
  expect(msg).toBe(
    `twilld has not written ${top}/subnet.env yet; is it running? see "systemctl status twilld" and "journalctl -u twilld"`,
  );
  expect(calls()).toEqual([]);
});

test("ADD points at the two settings when twilld is ready and yet the file is missing", async () => {
  install("bridge");
  subnetEnv = () => undefined;
  agent("ready", "all is well");
  expect(await run("ADD")).toMatchObject({ code: CODE.tryAgainLater, msg: expect.stringMatching(/--subnet-file/) });
});

const refusing = [
  { state: "not-ready", add: CODE.tryAgainLater, status: CODE.unavailable },
  { state: "limited", add: CODE.tryAgainLater, status: CODE.limited },
  { state: "conflict", add: CODE.conflict, status: CODE.limited },
] as const;
for (const c of refusing) {
  test(`while the agent is ${c.state}, ADD fails with ${c.add} and STATUS with ${c.status}, in the agent's words`, async () => {
    install("bridge");
    agent(c.state, "node-7 holds our subnet; run twillctl doctor");
    const msg = "node-7 holds our subnet; run twillctl doctor";
    expect(await run("ADD")).toMatchObject({ code: c.add, msg });
    expect(await run("STATUS", { conf: { cniVersion: "1.1.0" } })).toMatchObject({ code: c.status, msg });
    expect(calls()).toEqual([]);
  });
}

test("ADD names a broken subnet.env and a broken status file", async () => {
  install("bridge");
  subnetEnv = () => {
    throw new ConfigError(["/x/subnet.env: FLANNEL_MTU missing"]);
  };
  expect(await run("ADD")).toMatchObject({ code: CODE.decode, msg: "/x/subnet.env: FLANNEL_MTU missing" });
  mkdirSync(join(top, "run"));
  writeFileSync(join(top, "run", "cni-status.json"), "{");
  expect(await run("ADD")).toMatchObject({ code: CODE.decode, msg: expect.stringMatching(/cni-status\.json/) });
});

test("an unexpected failure is still a CNI error of one line", async () => {
  install("bridge");
  subnetEnv = () => {
    throw new TypeError("x is not a function");
  };
  expect(await run("ADD")).toMatchObject({ code: CODE.internal, msg: "x is not a function" });
});

// --- DEL

test("DEL replays what was saved, without subnet.env and whatever the netconf says by now", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  await run("ADD", { conf: { delegate: { bridge: "br7" } } });
  subnetEnv = () => undefined;
  agent("conflict", "conflict");
  expect(await run("DEL", { conf: { delegate: { type: "other" } } })).toMatchObject({ code: 0 });
  expect(calls()[1]).toMatchObject({ how: `DEL c1 eth0|${top}`, conf: { type: "bridge", bridge: "br7" } });
  expect(files()).toEqual([]);
});

test("DEL of one interface leaves the other one of the container", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  await run("ADD");
  await run("ADD", { env: { CNI_IFNAME: "eth1" } });
  await run("DEL");
  expect(files()).toEqual(["c1:eth1.json"]);
});

test("DEL keeps its file when the delegate fails, so that the next one can try again", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  await run("ADD");
  answer("bridge", "DEL.error", { code: 5, msg: "busy" });
  expect(await run("DEL")).toMatchObject({ code: 5, msg: "busy" });
  expect(files()).toEqual(["c1:eth0.json"]);
});

test("DEL hands a namespace that has gone on as none", async () => {
  install("bridge");
  for (const netns of ["", "/proc/0/ns/net", join(top, "gone")]) {
    expect(await run("DEL", { env: { CNI_NETNS: netns } })).toMatchObject({ code: 0 });
  }
  expect(calls().map(({ how }) => how)).toEqual(["DEL c1 eth0|", "DEL c1 eth0|", "DEL c1 eth0|"]);
});

const lost = [
  { name: "with subnet.env", prepare: () => undefined, prevResult: undefined, subnet: "10.5.1.0/24" },
  {
    name: "without subnet.env, from the result of ADD",
    prepare: () => (subnetEnv = () => undefined),
    prevResult: { ...RESULT, ips: [{ address: "10.5.77.2/24" }] },
    subnet: "10.5.77.0/24",
  },
  {
    name: "without either",
    prepare: () => (subnetEnv = () => undefined),
    prevResult: undefined,
    subnet: "192.0.2.0/24",
  },
];
for (const c of lost) {
  test(`DEL of what was never saved, ${c.name}, still frees by the netconf`, async () => {
    install("bridge");
    c.prepare();
    expect(await run("DEL", { conf: { prevResult: c.prevResult, ipam: { dataDir: "/d" } } })).toMatchObject({
      code: 0,
    });
    expect(calls()).toMatchObject([
      { how: `DEL c1 eth0|${top}`, conf: { name: "cbr0", ipam: { dataDir: "/d", ranges: [[{ subnet: c.subnet }]] } } },
    ]);
  });
}

test("DEL goes by the netconf where the saved file is broken, and removes it", async () => {
  install("bridge");
  mkdirSync(join(top, "data"));
  writeFileSync(join(top, "data", "c1:eth0.json"), "{");
  expect(await run("DEL")).toMatchObject({ code: 0 });
  expect(calls().map(({ how }) => how)).toEqual([`DEL c1 eth0|${top}`]);
  expect(warnings).toEqual([expect.stringMatching(/c1:eth0\.json.*going by the netconf/)]);
  expect(files()).toEqual([]);
});

test("DEL of what cannot have been added succeeds, and says why it did nothing", async () => {
  expect(await run("DEL")).toMatchObject({ code: 0 });
  install("bridge");
  expect(await run("DEL", { conf: { delegate: { ipam: {} } } })).toMatchObject({ code: 0 });
  expect(calls()).toEqual([]);
  expect(warnings).toEqual([
    expect.stringMatching(/^nothing to delete: cannot find the CNI plugin "bridge"/),
    expect.stringMatching(/^nothing to delete: .*must not have "ipam"/),
  ]);
});

test("DEL of what was never saved tells when the delegate itself fails", async () => {
  install("bridge");
  answer("bridge", "DEL.error", { code: 5, msg: "disk" });
  expect(await run("DEL")).toMatchObject({ code: 5, msg: "disk" });
});

// --- CHECK

test("CHECK calls the delegate with the saved netconf and the result in its version", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  await run("ADD", { conf: { cniVersion: "1.1.0" } });
  interfaces = ["eth0"];
  const prevResult = { ...RESULT, cniVersion: "1.1.0", interfaces: [{ name: "eth0", mtu: 1450 }] };
  expect(await run("CHECK", { conf: { cniVersion: "1.1.0", prevResult } })).toMatchObject({ code: 0 });
  expect(calls()[1]).toMatchObject({ how: `CHECK c1 eth0|${top}`, conf: { cniVersion: "1.0.0", prevResult: RESULT } });
});

test("CHECK refuses an unknown container, an old netconf, and a netconf without result", async () => {
  install("bridge");
  interfaces = ["eth0"];
  const prevResult = RESULT;
  expect(await run("CHECK", { conf: { prevResult } })).toMatchObject({
    code: CODE.unknownContainer,
    msg: expect.stringMatching(/container c1 has no attachment eth0: no .*c1:eth0\.json/),
  });
  expect(await run("CHECK", { conf: { cniVersion: "0.3.1", prevResult } })).toMatchObject({
    code: CODE.incompatibleVersion,
  });
  expect(await run("CHECK")).toMatchObject({ code: CODE.badConfig, msg: expect.stringMatching(/prevResult/) });
});

test("CHECK sees that the interface is gone, and passes the delegate's verdict on", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  await run("ADD");
  expect(await run("CHECK", { conf: { prevResult: RESULT } })).toMatchObject({ code: CODE.checkFailed });
  interfaces = ["eth0"];
  answer("bridge", "CHECK.error", { code: 130, msg: "route missing" });
  expect(await run("CHECK", { conf: { prevResult: RESULT } })).toMatchObject({ code: 130, msg: "route missing" });
});

// --- STATUS

const V110 = { cniVersion: "1.1.0" };

test("STATUS is silent when all is well, also where no agent of ours has said anything", async () => {
  install("bridge");
  expect(await run("STATUS", { conf: V110 })).toEqual({ code: 0, msg: "", out: {} });
  agent("ready", "ready");
  expect(await run("STATUS", { conf: V110 })).toMatchObject({ code: 0 });
});

test("STATUS is 50 without subnet.env or delegate, and refuses older netconfs", async () => {
  expect(await run("STATUS", { conf: V110 })).toMatchObject({
    code: CODE.unavailable,
    msg: expect.stringMatching(/"bridge"/),
  });
  install("bridge");
  subnetEnv = () => undefined;
  expect(await run("STATUS", { conf: V110 })).toMatchObject({
    code: CODE.unavailable,
    msg: expect.stringMatching(/subnet\.env/),
  });
  expect(await run("STATUS")).toMatchObject({
    code: CODE.incompatibleVersion,
    msg: 'STATUS needs cniVersion 1.1.0; the netconf has "1.0.0"',
  });
});

test("STATUS asks a delegate that knows the verb", async () => {
  install("bridge", [...DEBIAN_12, "1.1.0"]);
  answer("bridge", "STATUS.error", { code: 50, msg: "no addresses" });
  expect(await run("STATUS", { conf: V110 })).toMatchObject({ code: 50, msg: "no addresses" });
});

// --- GC

test("GC deletes what is saved for this network and not listed, without a namespace", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  await run("ADD", { env: { CNI_CONTAINERID: "keep" } });
  await run("ADD", { env: { CNI_CONTAINERID: "keep", CNI_IFNAME: "eth1" } });
  await run("ADD", { env: { CNI_CONTAINERID: "stale" } });
  await run("ADD", { env: { CNI_CONTAINERID: "foreign" }, conf: { name: "other" } });
  rmSync(join(top, "calls"));
  const valid = [{ containerID: "keep", ifname: "eth0" }];
  expect(await run("GC", { conf: { ...V110, "cni.dev/valid-attachments": valid } })).toMatchObject({ code: 0 });
  expect(calls().map(({ how }) => how)).toEqual(["DEL keep eth1|", "DEL stale eth0|"]);
  expect(files()).toEqual(["foreign:eth0.json", "keep:eth0.json"]);
});

test("GC goes on after a failure and names all of them", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  for (const id of ["a", "b"]) await run("ADD", { env: { CNI_CONTAINERID: id } });
  writeFileSync(join(top, "data", "x:eth0.json"), "{");
  answer("bridge", "DEL.error", { code: 5, msg: "busy" });
  const { code, msg } = await run("GC", { conf: { ...V110, "cni.dev/valid-attachments": [] } });
  expect(code).toBe(CODE.gcFailed);
  expect(msg).toMatch(/^cannot collect everything: a eth0: busy; b eth0: busy; x eth0: cannot decode .*x:eth0\.json/);
});

test("GC without a list of what to keep deletes nothing", async () => {
  install("bridge");
  answer("bridge", "ADD.json", RESULT);
  await run("ADD");
  expect(await run("GC", { conf: V110 })).toMatchObject({ code: CODE.badConfig });
  expect(files()).toEqual(["c1:eth0.json"]);
});

test("GC is handed on to a delegate that knows the verb", async () => {
  install("bridge", [...DEBIAN_12, "1.1.0"]);
  const valid = [{ containerID: "keep", ifname: "eth0" }];
  await run("GC", { conf: { ...V110, "cni.dev/valid-attachments": valid } });
  expect(calls()).toMatchObject([{ how: "GC  |", conf: { type: "bridge", "cni.dev/valid-attachments": valid } }]);
});

// --- VERSION and the frame

test("VERSION answers at the version of the question, and without one too", async () => {
  const supportedVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
  expect((await run("VERSION", { stdin: '{"cniVersion":"0.4.0"}' })).out).toEqual({
    cniVersion: "0.4.0",
    supportedVersions,
  });
  expect((await run("VERSION", { stdin: "" })).out).toEqual({ cniVersion: "1.1.0", supportedVersions });
});

test("an error carries the version of the netconf", async () => {
  expect((await run("ADD", { conf: { cniVersion: "0.3.1" } })).out).toMatchObject({ cniVersion: "0.3.1", code: 101 });
  expect((await run("ADD", { stdin: "{" })).out).toMatchObject({ cniVersion: "1.1.0", code: CODE.decode });
});

test("standard input is not read while the environment is wrong", async () => {
  const { stdout } = await runPlugin(
    { CNI_COMMAND: "ADD" },
    () => {
      throw new Error("read");
    },
    { readPodNetwork: () => undefined, interfaceExists: () => Promise.resolve(false), warn: () => undefined },
  );
  expect(JSON.parse(stdout)).toMatchObject({
    code: CODE.badEnvironment,
    msg: expect.stringMatching(/^CNI_CONTAINERID, CNI_NETNS/),
  });
});
