import { execFile, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Control, type Left, RefusedError } from "../../pkg/api/control.ts";
import { type ApiServer, serveApi } from "../../pkg/api/server.ts";
import type { LogLevels, Setting } from "../../pkg/api/setting.ts";
import { MemoryLogger } from "../../pkg/base/logger.ts";
import { RecentLines } from "../../pkg/base/recent-lines.ts";
import { VERSION } from "../../pkg/base/version.ts";
import { until } from "../../test/until.ts";
import { EXIT } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { run } from "./run.ts";
import { ownLease, sample } from "./sample.ts";

let dir = "";
let socket = "";
let stop = new AbortController();
let current = sample;
let left: Left = { subnets: ["10.5.52.0/24"], problems: [] };
let logLevels: LogLevels = { level: "info", startedWith: "info" };
const asked = new EventEmitter();
let out = "";
let err = "";
const terminal = {
  stdout: { write: (text: string) => void (out += text) },
  stderr: { write: (text: string) => void (err += text) },
};

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "twillctl-"));
  socket = join(dir, "twilld.sock");
  stop = new AbortController();
  current = sample;
  left = { subnets: ["10.5.52.0/24"], problems: [] };
  logLevels = { level: "info", startedWith: "info" };
  out = err = "";
});

afterEach(() => {
  stop.abort();
  rmSync(dir, { recursive: true, force: true });
});

async function serve(recentLog = new RecentLines(10)): Promise<ApiServer> {
  const source: Control = {
    status: () => {
      asked.emit("status");
      return current;
    },
    leases: () => [ownLease],
    leave: () => Promise.resolve(left),
    reserve: (subnets, publicIps) => Promise.resolve(`${subnets.join("&")} for ${publicIps.join("&")}`),
    unreserve: () => Promise.reject(new RefusedError("10.5.9.0/24 is not reserved: nobody has it")),
  };
  const settings = (): Setting[] => [
    { name: "log-level", value: logLevels.level, source: "default", from: "" },
    { name: "iface", value: "eth0", source: "flag", from: "--iface" },
  ];
  return serveApi({ socket, source, settings, logLevels, recentLog, log: new MemoryLogger(), signal: stop.signal });
}

/** Ends the agent that `serve` has started, and starts it again with these log lines once that was noticed. */
async function restarted(server: ApiServer, recentLog?: RecentLines): Promise<void> {
  stop.abort();
  await server.done;
  await until(() => err !== "");
  stop = new AbortController();
  current = { ...sample, startedAt: sample.startedAt + 60_000 };
  await serve(recentLog);
}

function linesOf(...texts: readonly string[]): RecentLines {
  const lines = new RecentLines(10);
  for (const text of texts) lines.add(text);
  return lines;
}

test("status of a ready node ends with 0, of another with 1", async () => {
  await serve();
  expect(await run(["status", "--socket", socket], {}, terminal)).toBe(EXIT.ok);
  expect(out).toMatch(/^node-a is ready\n/);
  expect(err).toBe("");
  current = { ...sample, ready: false };
  expect(await run(["status", "--socket", socket], {}, terminal)).toBe(EXIT.notReady);
});

test("--json is the snapshot with every digit of its counters, before or behind the command", async () => {
  await serve();
  current = { ...sample, lease: undefined };
  expect(await run(["--json", "status"], { TWILL_SOCKET: socket }, terminal)).toBe(EXIT.ok);
  expect(out).toContain('"rx_packets": 9007199254740993,\n');
  const plain = JSON.parse(out) as Record<string, unknown>;
  expect(Object.keys(plain)).toEqual([
    "version",
    "node",
    "startedAt",
    "ready",
    "problems",
    "network",
    "underlay",
    "lease",
    "dataplane",
    "etcd",
    "peers",
    "troubles",
  ]);
  expect(plain["lease"]).toBeNull();
  out = "";
  expect(await run(["leases", "-json"], { TWILL_SOCKET: socket }, terminal)).toBe(EXIT.ok);
  expect(JSON.parse(out)).toEqual({ leases: [ownLease] });
});

test("leases is a table", async () => {
  await serve();
  expect(await run(["leases", `--socket=${socket}`], { TWILL_SOCKET: "/nowhere" }, terminal)).toBe(EXIT.ok);
  expect(out).toContain("10.5.52.0/24  node-a (this node)  192.0.2.11  vxlan");
});

test("that there are no peers is said only by a node that has read the leases", async () => {
  await serve();
  for (const [lease, says] of [
    [ownLease, "No peers: no other node holds a lease.\n"],
    [undefined, "No peer is known: the leases of the others are read once this node has its own.\n"],
  ] as const) {
    current = { ...sample, lease, peers: [] };
    for (const command of ["status", "peers", "probe", "top"]) {
      out = "";
      await run([command, "--socket", socket], {}, terminal);
      expect({ command, says: out.slice(-says.length) }).toEqual({ command, says });
    }
  }
});

test("leave tells what was given back; what could not be cleaned up goes to stderr, with 1", async () => {
  await serve();
  expect(await run(["leave", "--socket", socket], {}, terminal)).toBe(EXIT.ok);
  expect(out).toBe("This node has left the cluster and given back 10.5.52.0/24. twilld ends.\n");
  left = { subnets: [], problems: ["cannot delete the link twill.1: no permission"] };
  out = "";
  expect(await run(["leave", "--socket", socket], {}, terminal)).toBe(EXIT.refused);
  expect(out).toBe("This node has left the cluster. twilld ends.\n");
  expect(err).toBe("twillctl: cannot delete the link twill.1: no permission\n");
});

test("reserve hands on both families; a refusal is a sentence, with 1", async () => {
  await serve();
  const args = ["reserve", "10.5.9.0/24,fd05:0:0:9::/64", "192.0.2.9,2001:db8::9", "--json", "--socket", socket];
  expect(await run(args, {}, terminal)).toBe(EXIT.ok);
  expect(JSON.parse(out)).toEqual({ key: "10.5.9.0/24&fd05:0:0:9::/64 for 192.0.2.9&2001:db8::9" });
  expect(await run(["unreserve", "10.5.9.0/24", "--socket", socket], {}, terminal)).toBe(EXIT.refused);
  expect(err).toBe("twillctl: 10.5.9.0/24 is not reserved: nobody has it\n");
});

test("log-level tells the level, and sets it until the agent is started again", async () => {
  await serve();
  expect(await run(["log-level", "--socket", socket], {}, terminal)).toBe(EXIT.ok);
  expect(await run(["log-level", "debug", "--socket", socket], {}, terminal)).toBe(EXIT.ok);
  expect(out).toBe("info, by default\ntwilld logs debug from now on; started again, it logs info.\n");
  expect(logLevels.level).toBe("debug");
  expect(await run(["log-level", "loud", "--socket", socket], {}, terminal)).toBe(EXIT.usage);
  expect(err).toBe('twillctl: "loud" is no log level: give debug, info, warn, error\n');
});

test("a log level that there is not is a wrong command line, whether an agent runs or not", async () => {
  expect(await run(["log-level", "loud", "--socket", socket], {}, terminal)).toBe(EXIT.usage);
  expect(err).toBe('twillctl: "loud" is no log level: give debug, info, warn, error\n');
});

test("top shows what is dropped, and no other counter that grows", async () => {
  await serve();
  const dropped = once(asked, "status");
  const running = run(["top", "--json", "--socket", socket], {}, terminal);
  await dropped;
  const counters = { rx_packets: 9_007_199_254_740_999n, rx_merged: 5n, tx_blocked: 6n, rx_bad_vni: 7n };
  current = { ...sample, dataplane: { name: "tun", rung: "gso", mtus: [1450], counters } };
  expect(await running).toBe(EXIT.ok);
  expect(JSON.parse(out)).toMatchObject({ drops: { rx_bad_vni: expect.any(Number) as number } });
  expect(Object.keys((JSON.parse(out) as { drops: object }).drops)).toEqual(["rx_bad_vni"]);
});

test("config show tells each value and where it came from", async () => {
  await serve();
  expect(await run(["config", "show", "--socket", socket], {}, terminal)).toBe(EXIT.ok);
  expect(out).toBe("SETTING    VALUE  FROM     BY\nlog-level  info   default\niface      eth0   flag     --iface\n");
});

test("a command without its arguments is told what it needs", async () => {
  expect(await run(["reserve", "10.5.9.0/24"], {}, terminal)).toBe(EXIT.usage);
  expect(err).toContain("twillctl: reserve needs SUBNET and PUBLIC-IP: twillctl reserve SUBNET PUBLIC-IP\n");
});

test("colours only on a terminal, and not against NO_COLOR", async () => {
  await serve();
  const screen = { ...terminal, stdout: { ...terminal.stdout, isTTY: true, columns: 100 } };
  await run(["status"], { TWILL_SOCKET: socket }, screen);
  expect(out).toContain("\u001b[32m");
  out = "";
  await run(["status"], { TWILL_SOCKET: socket, NO_COLOR: "1" }, screen);
  await run(["status"], { TWILL_SOCKET: socket }, terminal);
  expect(out).not.toContain("\u001b");
});

test("without an agent one sentence and 3", async () => {
  expect(await run(["status"], { TWILL_SOCKET: socket }, terminal)).toBe(EXIT.unreachable);
  expect(out).toBe("");
  expect(err).toBe(
    `twillctl: no agent runs here: there is no ${socket}; start twilld, or give its socket by --socket\n`,
  );
});

test("leases takes the flags of etcd with --etcd alone", async () => {
  await serve();
  const argv = ["leases", "--etcd-endpoints=http://192.0.2.1:2379"];
  expect(await run(argv, { TWILL_SOCKET: socket }, terminal)).toBe(EXIT.usage);
  expect(err).toBe("twillctl: --etcd-endpoints says which etcd, but the agent is asked: add --etcd\n");
  expect(await run(["leases"], { TWILL_SOCKET: socket, TWILL_ETCD_ENDPOINTS: "http://192.0.2.1:2379" }, terminal)).toBe(
    EXIT.ok,
  );
});

test("ui needs one agent that answers, and a port that is one", async () => {
  expect(await run(["ui", "--socket", socket, "--socket", `${socket}2`], {}, terminal)).toBe(EXIT.unreachable);
  expect(err).toBe(
    `twillctl: no agent runs here: there is no ${socket}; start twilld, or give its socket by --socket\n`,
  );
  err = "";
  expect(await run(["ui", "--port=65536"], {}, terminal)).toBe(EXIT.usage);
  expect(err).toBe('twillctl: --port is "65536": give a number from 0 to 65535\n');
});

const NAMES = COMMANDS.map(({ name }) => name).join(", ");

const usage = [
  { argv: [], says: [`no command is given: give one of ${NAMES}`] },
  { argv: ["statsu"], says: ['unknown command "statsu": did you mean status?'] },
  { argv: ["reboot"], says: [`unknown command "reboot": give one of ${NAMES}`] },
  { argv: ["toString"], says: [`unknown command "toString": give one of ${NAMES}`] },
  { argv: ["config"], says: ["config needs another word: give one of config show, config check, config set"] },
  { argv: ["config", "chekc"], says: ["config needs another word: give one of config show, config check, config set"] },
  { argv: ["status", "--force"], says: ["status takes no flag --force"] },
  { argv: ["status", "node-b"], says: ['status takes no argument "node-b"'] },
  { argv: ["--jsn", "--socket", "x", "leases"], says: ["unknown flag --jsn: did you mean --json?"] },
  {
    argv: ["status", "--json=maybe", "--socket"],
    says: ['--json is "maybe": give true or false', "--socket needs a value: write --socket=value"],
  },
];

for (const { argv, says } of usage) {
  test(`usage: ${argv.join(" ") || "(nothing)"}`, async () => {
    expect(await run(argv, {}, terminal)).toBe(EXIT.usage);
    expect(err.split("\n")).toEqual([
      ...says.map((line) => `twillctl: ${line}`),
      "twillctl --help tells what there is.",
      "",
    ]);
    expect(out).toBe("");
  });
}

test("every command has a help text of its own that fits 100 columns", async () => {
  for (const { name } of COMMANDS) {
    out = "";
    expect(await run([...name.split(" "), "--help"], {}, terminal)).toBe(EXIT.ok);
    expect(out).toMatch(new RegExp(`^Usage: twillctl ${name}`));
    expect(out.split("\n").filter((line) => line.length > 100)).toEqual([]);
  }
});

test("--watch shows a command again and again until it is told to stop, with --json a line each", async () => {
  await serve();
  const ctrlC = new AbortController();
  const write = (text: string): void => {
    out += text;
    if (out.split("\n").length > 2) ctrlC.abort();
  };
  const screen = { ...terminal, stdout: { write }, signal: ctrlC.signal };
  expect(await run(["status", "--watch", "--json"], { TWILL_SOCKET: socket }, screen)).toBe(EXIT.ok);
  const lines = out.trimEnd().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as { node: { name: string } }).node.name)).toEqual(["node-a", "node-a"]);
});

test("--watch goes on when the agent is restarted, and tells once that it was away", async () => {
  const server = await serve();
  const ctrlC = new AbortController();
  const screen = { ...terminal, signal: ctrlC.signal };
  const watching = run(["status", "--watch", "--json"], { TWILL_SOCKET: socket }, screen);
  await until(() => out !== "");
  await restarted(server);
  await until(() => out.includes(String(current.startedAt)));
  ctrlC.abort();
  expect(await watching).toBe(EXIT.ok);
  expect(err).toMatch(/^twillctl: [^\n]*(no agent runs here|closed the connection)[^\n]*\n$/);
});

test.each([
  { has: "fewer lines", lines: ["three"] },
  { has: "as many lines", lines: ["three", "four"] },
  { has: "more lines", lines: ["three", "four", "five"] },
])("logs --follow goes on with the lines of an agent that was restarted and $has", async ({ lines }) => {
  const server = await serve(linesOf("one", "two"));
  const ctrlC = new AbortController();
  const screen = { ...terminal, signal: ctrlC.signal };
  const following = run(["logs", "--follow", "--json"], { TWILL_SOCKET: socket }, screen);
  await until(() => out === "one\ntwo\n");
  await restarted(server, linesOf(...lines));
  await until(() => out.includes(lines.at(-1) ?? ""));
  ctrlC.abort();
  expect(await following).toBe(EXIT.ok);
  expect(out).toBe(`one\ntwo\n${lines.join("\n")}\n`);
});

test("logs --follow shows every line that comes, once, and asks for lines alone", async () => {
  let statuses = 0;
  const count = (): number => statuses++;
  asked.on("status", count);
  const lines = linesOf("one");
  await serve(lines);
  const ctrlC = new AbortController();
  const screen = { ...terminal, signal: ctrlC.signal };
  const following = run(["logs", "--follow", "--json"], { TWILL_SOCKET: socket }, screen);
  await until(() => out === "one\n");
  lines.add("two");
  await until(() => out.includes("two"));
  // More than are kept between two looks.
  for (let i = 3; i < 20; i++) lines.add(String(i));
  await until(() => out.includes("19"));
  ctrlC.abort();
  expect(await following).toBe(EXIT.ok);
  asked.off("status", count);
  expect(out).toBe(`one\ntwo\n${Array.from({ length: 10 }, (_, i) => `${i + 10}\n`).join("")}`);
  expect(statuses).toBe(0);
});

test("a time that no timer can keep is refused before anything is recorded", async () => {
  for (const seconds of ["2147484", "5000000", "0"]) {
    err = "";
    expect(await run(["capture", "x.pcap", `--seconds=${seconds}`], { TWILL_SOCKET: socket }, terminal)).toBe(
      EXIT.usage,
    );
    expect(err).toBe(`twillctl: --seconds is "${seconds}": give a number from 1 to 2147483\n`);
  }
  expect(await run(["capture", "x.pcap", "--seconds=2147483"], { TWILL_SOCKET: socket }, terminal)).toBe(
    EXIT.unreachable,
  );
});

test("without an agent at the start nothing is waited for", async () => {
  for (const argv of [
    ["status", "--watch"],
    ["logs", "--follow"],
  ])
    expect(await run(argv, { TWILL_SOCKET: socket }, terminal)).toBe(EXIT.unreachable);
});

test("--help fits 100 columns and tells commands and exit codes", async () => {
  expect(await run(["-h"], {}, terminal)).toBe(EXIT.ok);
  const lines = out.split("\n");
  expect(lines.filter((line) => line.length > 100)).toEqual([]);
  expect(lines).toContain("Usage: twillctl [--socket PATH] [--json] COMMAND");
  for (const start of [
    ...COMMANDS.map(({ name }) => `  ${name}`),
    "  --socket PATH",
    "  0  ",
    "  1  ",
    "  2  ",
    "  3  ",
  ])
    expect(lines.filter((line) => line.startsWith(start))).toHaveLength(1);
});

test("--version", async () => {
  expect(await run(["--version"], {}, terminal)).toBe(EXIT.ok);
  expect(out).toBe(`twillctl ${VERSION}\n`);
});

let bundleDir = "";
beforeAll(async () => {
  bundleDir = mkdtempSync(join(tmpdir(), "twillctl-bundle-"));
  await build({
    entryPoints: [new URL("main.ts", import.meta.url).pathname],
    bundle: true,
    platform: "node",
    target: "node22",
    format: "cjs",
    outfile: join(bundleDir, "twillctl.cjs"),
    logLevel: "error",
  });
});
afterAll(() => rmSync(bundleDir, { recursive: true, force: true }));

test("the bundle is a program: prints, ends with its code, and stands a closed pipe", async () => {
  await serve();
  const bundle = join(bundleDir, "twillctl.cjs");
  const { stdout } = await promisify(execFile)(process.execPath, [bundle, "leases", "--socket", socket, "--json"]);
  expect(JSON.parse(stdout)).toEqual({ leases: [ownLease] });
  current = { ...sample, ready: false };
  const failed: unknown = await promisify(execFile)(process.execPath, [bundle, "status", "--socket", socket]).catch(
    (error: unknown) => error,
  );
  expect(failed).toMatchObject({ code: EXIT.notReady, stderr: "" });
  const piped = `"$0" "$1" --help | true; "$0" "$1" leases --socket "$2" | true`;
  const { stderr } = await promisify(execFile)("sh", ["-c", piped, process.execPath, bundle, socket]);
  expect(stderr).toBe("");
});

test("the bundle keeps its exit code without a reader of stderr, and has one sentence for a full disk", async () => {
  const bundle = join(bundleDir, "twillctl.cjs");
  const unread = spawn(process.execPath, [bundle, "foo"], { stdio: ["ignore", "ignore", "pipe"] });
  unread.stderr.destroy();
  expect(await once(unread, "exit")).toEqual([EXIT.usage, null]);
  const full = `"$0" "$1" --help >/dev/full; echo $?`;
  expect(await promisify(execFile)("sh", ["-c", full, process.execPath, bundle])).toEqual({
    stdout: `${EXIT.refused}\n`,
    stderr: "twillctl: cannot write to standard output: ENOSPC: no space left on device, write\n",
  });
});
