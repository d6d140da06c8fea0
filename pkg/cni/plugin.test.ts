import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError } from "../base/errors.ts";
import { CODE } from "./error.ts";
import { FakeRuntime } from "./fake-runtime.ts";

const RESULT = { cniVersion: "1.0.0", interfaces: [{ name: "eth0" }], ips: [{ address: "10.5.1.2/24", interface: 0 }] };

let runtime: FakeRuntime;
beforeEach(() => {
  runtime = new FakeRuntime();
});
afterEach(() => runtime.close());

// --- ADD

test("ADD saves what it delegates before it delegates, and answers with the delegate's result", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  const { code, out } = runtime.run("ADD");
  expect(code).toBe(0);
  expect(out).toEqual(RESULT);
  expect(runtime.calls()).toMatchObject([
    { how: `ADD c1 eth0|${runtime.netns}`, conf: { name: "cbr0", cniVersion: "1.0.0", mtu: 1450 } },
  ]);
  expect(runtime.files()).toEqual(["c1:eth0.json"]);
});

test("ADD at 1.1.0 calls an older delegate at 1.0.0 and answers at 1.1.0", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  const { out } = runtime.run("ADD", { conf: { cniVersion: "1.1.0" } });
  expect(out).toEqual({ ...RESULT, cniVersion: "1.1.0" });
  expect(runtime.calls()[0]?.conf["cniVersion"]).toBe("1.0.0");
});

test("ADD without a cniVersion delegates without one and answers in the oldest form", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", { cniVersion: "0.1.0", ip4: { ip: "10.5.1.2/24" } });
  const { out } = runtime.run("ADD", { conf: { cniVersion: undefined } });
  expect(out).toEqual({ cniVersion: "0.1.0", ip4: { ip: "10.5.1.2/24" } });
  expect(runtime.calls()[0]?.conf).not.toHaveProperty("cniVersion");
});

test("ADD in a chain hands on the result before it", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  const { out } = runtime.run("ADD", { conf: { prevResult: { cniVersion: "1.0.0", interfaces: [{ name: "lo" }] } } });
  expect(out).toMatchObject({ interfaces: [{ name: "lo" }, { name: "eth0" }], ips: [{ interface: 1 }] });
});

test("ADD passes the delegate's own error on, after the delegate was told to undo", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.error", { code: 117, msg: "no addresses available", details: "range 0" });
  const { code, out } = runtime.run("ADD");
  expect(code).toBe(117);
  expect(out).toEqual({ cniVersion: "1.0.0", code: 117, msg: "no addresses available", details: "range 0" });
  expect(runtime.calls().map(({ how }) => how)).toEqual([
    `ADD c1 eth0|${runtime.netns}`,
    `DEL c1 eth0|${runtime.netns}`,
  ]);
  expect(runtime.files()).toEqual([]);
});

test("ADD keeps its file when undoing fails too, and tells the first error", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.error", { code: 117, msg: "first" });
  runtime.answer("bridge", "DEL.error", { code: 118, msg: "second" });
  expect(runtime.run("ADD")).toMatchObject({ code: 117, msg: "first" });
  expect(runtime.files()).toEqual(["c1:eth0.json"]);
  expect(runtime.warnings).toEqual([expect.stringMatching(/^cannot undo the failed ADD, the next DEL will: second$/)]);
});

test("ADD undoes when the delegate succeeds with nonsense", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", "done!");
  expect(runtime.run("ADD")).toMatchObject({ code: CODE.decode, msg: expect.stringMatching(/"bridge" answered with/) });
  expect(runtime.calls().map(({ how }) => how.slice(0, 3))).toEqual(["ADD", "DEL"]);
  expect(runtime.files()).toEqual([]);
});

test("ADD refuses an interface that exists and touches nothing", () => {
  runtime.install("bridge");
  runtime.interfaces = ["eth0"];
  expect(runtime.run("ADD")).toMatchObject({
    code: CODE.badEnvironment,
    msg: expect.stringMatching(/CNI_IFNAME is "eth0"/),
  });
  expect(runtime.calls()).toEqual([]);
  expect(runtime.files()).toEqual([]);
});

test("ADD first clears what an earlier ADD of the same interface left, and goes on when it cannot", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  runtime.run("ADD", { conf: { delegate: { bridge: "before-the-reboot" } } });
  runtime.answer("bridge", "DEL.error", { code: 5, msg: "busy" });
  expect(runtime.run("ADD")).toMatchObject({ code: 0 });
  expect(runtime.calls().map(({ how }) => how)).toEqual([
    `ADD c1 eth0|${runtime.netns}`,
    "DEL c1 eth0|",
    `ADD c1 eth0|${runtime.netns}`,
  ]);
  expect(runtime.calls()[1]?.conf).toMatchObject({ bridge: "before-the-reboot" });
  expect(runtime.warnings).toEqual(["cannot clear what an earlier ADD left: busy"]);
});

test("ADD names a delegate that is not installed, where it looked and what to install", () => {
  const { code, msg } = runtime.run("ADD");
  expect(code).toBe(CODE.delegateMissing);
  expect(msg).toMatch(/"bridge" in CNI_PATH \(.*empty:.*bin\); .*apt install containernetworking-plugins/);
  expect(runtime.files()).toEqual([]);
});

test("ADD tells of a delegate that fails without CNI's words, with what it printed", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.error", "panic: oh\n");
  expect(runtime.run("ADD")).toMatchObject({
    code: CODE.delegateFailed,
    msg: 'ADD by the CNI plugin "bridge" ended with exit status 1: panic: oh',
  });
});

test("ADD says so when the delegate shares no version with us", () => {
  runtime.install("bridge", ["9.0.0"]);
  expect(runtime.run("ADD")).toMatchObject({
    code: CODE.incompatibleVersion,
    msg: expect.stringMatching(/supports 9\.0\.0/),
  });
});

test("ADD asks to come again while subnet.env is missing", () => {
  runtime.install("bridge");
  runtime.subnetEnv = () => undefined;
  const { code, msg } = runtime.run("ADD");
  expect(code).toBe(CODE.tryAgainLater);
  expect(msg).toBe(
    `twilld has not written ${runtime.top}/subnet.env yet; is it running? see "systemctl status twilld" and "journalctl -u twilld"`,
  );
  expect(runtime.calls()).toEqual([]);
});

test("ADD points at the two settings when twilld is ready and yet the file is missing", () => {
  runtime.install("bridge");
  runtime.subnetEnv = () => undefined;
  runtime.agent("ready", "all is well");
  expect(runtime.run("ADD")).toMatchObject({ code: CODE.tryAgainLater, msg: expect.stringMatching(/--subnet-file/) });
});

const refusing = [
  { state: "not-ready", add: CODE.tryAgainLater, status: CODE.unavailable },
  { state: "limited", add: CODE.tryAgainLater, status: CODE.limited },
  { state: "conflict", add: CODE.conflict, status: CODE.limited },
] as const;
for (const c of refusing) {
  test(`while the agent is ${c.state}, ADD fails with ${c.add} and STATUS with ${c.status}, in the agent's words`, () => {
    runtime.install("bridge");
    runtime.agent(c.state, "node-7 holds our subnet; run twillctl doctor");
    const msg = "node-7 holds our subnet; run twillctl doctor";
    expect(runtime.run("ADD")).toMatchObject({ code: c.add, msg });
    expect(runtime.run("STATUS", { conf: { cniVersion: "1.1.0" } })).toMatchObject({ code: c.status, msg });
    expect(runtime.calls()).toEqual([]);
  });
}

test("ADD names a broken subnet.env and a broken status file", () => {
  runtime.install("bridge");
  runtime.subnetEnv = () => {
    throw new ConfigError(["/x/subnet.env: FLANNEL_MTU missing"]);
  };
  expect(runtime.run("ADD")).toMatchObject({ code: CODE.decode, msg: "/x/subnet.env: FLANNEL_MTU missing" });
  mkdirSync(join(runtime.top, "run"));
  writeFileSync(join(runtime.top, "run", "cni-status.json"), "{");
  expect(runtime.run("ADD")).toMatchObject({ code: CODE.decode, msg: expect.stringMatching(/cni-status\.json/) });
});

test("an unexpected failure is still a CNI error of one line", () => {
  runtime.install("bridge");
  runtime.subnetEnv = () => {
    throw new TypeError("x is not a function");
  };
  expect(runtime.run("ADD")).toMatchObject({ code: CODE.internal, msg: "x is not a function" });
});

// --- DEL

test("DEL replays what was saved, without subnet.env and whatever the netconf says by now", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  runtime.run("ADD", { conf: { delegate: { bridge: "br7" } } });
  runtime.subnetEnv = () => undefined;
  runtime.agent("conflict", "conflict");
  expect(runtime.run("DEL", { conf: { delegate: { type: "other" } } })).toMatchObject({ code: 0 });
  expect(runtime.calls()[1]).toMatchObject({
    how: `DEL c1 eth0|${runtime.netns}`,
    conf: { type: "bridge", bridge: "br7" },
  });
  expect(runtime.files()).toEqual([]);
});

test("DEL of one interface leaves the other one of the container", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  runtime.run("ADD");
  runtime.run("ADD", { env: { CNI_IFNAME: "eth1" } });
  runtime.run("DEL");
  expect(runtime.files()).toEqual(["c1:eth1.json"]);
});

test("DEL keeps its file when the delegate fails, so that the next one can try again", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  runtime.run("ADD");
  runtime.answer("bridge", "DEL.error", { code: 5, msg: "busy" });
  expect(runtime.run("DEL")).toMatchObject({ code: 5, msg: "busy" });
  expect(runtime.files()).toEqual(["c1:eth0.json"]);
});

test("DEL hands a namespace that has gone on as none", () => {
  runtime.install("bridge");
  const unmounted = join(runtime.top, "unmounted");
  writeFileSync(unmounted, "");
  for (const netns of ["", "/proc/0/ns/net", join(runtime.top, "gone"), unmounted]) {
    expect(runtime.run("DEL", { env: { CNI_NETNS: netns } })).toMatchObject({ code: 0 });
  }
  expect(runtime.calls().map(({ how }) => how)).toEqual(Array.from({ length: 4 }, () => "DEL c1 eth0|"));
});

const lost = [
  { name: "with subnet.env", prepare: () => undefined, prevResult: undefined, subnet: "10.5.1.0/24" },
  {
    name: "without subnet.env, from the result of ADD",
    prepare: () => (runtime.subnetEnv = () => undefined),
    prevResult: { ...RESULT, ips: [{ address: "10.5.77.2/24" }] },
    subnet: "10.5.77.0/24",
  },
  {
    name: "without either",
    prepare: () => (runtime.subnetEnv = () => undefined),
    prevResult: undefined,
    subnet: "192.0.2.0/24",
  },
];
for (const c of lost) {
  test(`DEL of what was never saved, ${c.name}, still frees by the netconf`, () => {
    runtime.install("bridge");
    c.prepare();
    expect(runtime.run("DEL", { conf: { prevResult: c.prevResult, ipam: { dataDir: "/d" } } })).toMatchObject({
      code: 0,
    });
    expect(runtime.calls()).toMatchObject([
      {
        how: `DEL c1 eth0|${runtime.netns}`,
        conf: { name: "cbr0", ipam: { dataDir: "/d", ranges: [[{ subnet: c.subnet }]] } },
      },
    ]);
  });
}

test("DEL goes by the netconf where the saved file is broken, and removes it", () => {
  runtime.install("bridge");
  mkdirSync(join(runtime.top, "data"));
  writeFileSync(join(runtime.top, "data", "c1:eth0.json"), "{");
  expect(runtime.run("DEL")).toMatchObject({ code: 0 });
  expect(runtime.calls().map(({ how }) => how)).toEqual([`DEL c1 eth0|${runtime.netns}`]);
  expect(runtime.warnings).toEqual([expect.stringMatching(/c1:eth0\.json.*going by the netconf/)]);
  expect(runtime.files()).toEqual([]);
});

test("DEL of what cannot have been added succeeds, and says why it did nothing", () => {
  expect(runtime.run("DEL")).toMatchObject({ code: 0 });
  runtime.install("bridge");
  expect(runtime.run("DEL", { conf: { delegate: { ipam: {} } } })).toMatchObject({ code: 0 });
  expect(runtime.calls()).toEqual([]);
  expect(runtime.warnings).toEqual([
    expect.stringMatching(/^nothing to delete: cannot find the CNI plugin "bridge"/),
    expect.stringMatching(/^nothing to delete: .*must not have "ipam"/),
  ]);
});

test("DEL of what was never saved tells when the delegate itself fails", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "DEL.error", { code: 5, msg: "disk" });
  expect(runtime.run("DEL")).toMatchObject({ code: 5, msg: "disk" });
});
