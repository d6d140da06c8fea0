import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CODE } from "./error.ts";
import { DEBIAN_12, FakeRuntime } from "./fake-runtime.ts";

const RESULT = { cniVersion: "1.0.0", interfaces: [{ name: "eth0" }], ips: [{ address: "10.5.1.2/24", interface: 0 }] };

let runtime: FakeRuntime;
beforeEach(() => {
  runtime = new FakeRuntime();
});
afterEach(() => runtime.close());

// --- CHECK

test("CHECK calls the delegate with the saved netconf and the result in its version", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  runtime.run("ADD", { conf: { cniVersion: "1.1.0" } });
  runtime.interfaces = ["eth0"];
  const prevResult = { ...RESULT, cniVersion: "1.1.0", interfaces: [{ name: "eth0", mtu: 1450 }] };
  expect(runtime.run("CHECK", { conf: { cniVersion: "1.1.0", prevResult } })).toMatchObject({ code: 0 });
  expect(runtime.calls()[1]).toMatchObject({
    how: `CHECK c1 eth0|${runtime.netns}`,
    conf: { cniVersion: "1.0.0", prevResult: RESULT },
  });
});

test("CHECK refuses an unknown container, an old netconf, and a netconf without result", () => {
  runtime.install("bridge");
  runtime.interfaces = ["eth0"];
  const prevResult = RESULT;
  expect(runtime.run("CHECK", { conf: { prevResult } })).toMatchObject({
    code: CODE.unknownContainer,
    msg: expect.stringMatching(/container c1 has no attachment eth0: no .*c1:eth0\.json/),
  });
  expect(runtime.run("CHECK", { conf: { cniVersion: "0.3.1", prevResult } })).toMatchObject({
    code: CODE.incompatibleVersion,
  });
  expect(runtime.run("CHECK")).toMatchObject({ code: CODE.badConfig, msg: expect.stringMatching(/prevResult/) });
});

test("CHECK sees that the interface is gone, and passes the delegate's verdict on", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  runtime.run("ADD");
  expect(runtime.run("CHECK", { conf: { prevResult: RESULT } })).toMatchObject({ code: CODE.checkFailed });
  runtime.interfaces = ["eth0"];
  runtime.answer("bridge", "CHECK.error", { code: 130, msg: "route missing" });
  expect(runtime.run("CHECK", { conf: { prevResult: RESULT } })).toMatchObject({ code: 130, msg: "route missing" });
});

// --- STATUS

const V110 = { cniVersion: "1.1.0" };

test("STATUS is silent when all is well, also where no agent of ours has said anything", () => {
  runtime.install("bridge");
  expect(runtime.run("STATUS", { conf: V110 })).toEqual({ code: 0, msg: "", out: {} });
  runtime.agent("ready", "ready");
  expect(runtime.run("STATUS", { conf: V110 })).toMatchObject({ code: 0 });
});

test("STATUS is 50 without subnet.env or delegate, and refuses older netconfs", () => {
  expect(runtime.run("STATUS", { conf: V110 })).toMatchObject({
    code: CODE.unavailable,
    msg: expect.stringMatching(/"bridge"/),
  });
  runtime.install("bridge");
  runtime.subnetEnv = () => undefined;
  expect(runtime.run("STATUS", { conf: V110 })).toMatchObject({
    code: CODE.unavailable,
    msg: expect.stringMatching(/subnet\.env/),
  });
  expect(runtime.run("STATUS")).toMatchObject({
    code: CODE.incompatibleVersion,
    msg: 'STATUS needs cniVersion 1.1.0; the netconf has "1.0.0"',
  });
});

test("STATUS asks a delegate that knows the verb", () => {
  runtime.install("bridge", [...DEBIAN_12, "1.1.0"]);
  runtime.answer("bridge", "STATUS.error", { code: 50, msg: "no addresses" });
  expect(runtime.run("STATUS", { conf: V110 })).toMatchObject({ code: 50, msg: "no addresses" });
});

// --- GC

test("GC deletes what is saved for this network and not listed, without a namespace", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  runtime.run("ADD", { env: { CNI_CONTAINERID: "keep" } });
  runtime.run("ADD", { env: { CNI_CONTAINERID: "keep", CNI_IFNAME: "eth1" } });
  runtime.run("ADD", { env: { CNI_CONTAINERID: "stale" } });
  runtime.run("ADD", { env: { CNI_CONTAINERID: "foreign" }, conf: { name: "other" } });
  runtime.forget();
  const valid = [{ containerID: "keep", ifname: "eth0" }];
  expect(runtime.run("GC", { conf: { ...V110, "cni.dev/valid-attachments": valid } })).toMatchObject({ code: 0 });
  expect(runtime.calls().map(({ how }) => how)).toEqual(["DEL keep eth1|", "DEL stale eth0|"]);
  expect(runtime.files()).toEqual(["foreign:eth0.json", "keep:eth0.json"]);
});

test("GC goes on after a failure and names all of them", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  for (const id of ["a", "b"]) runtime.run("ADD", { env: { CNI_CONTAINERID: id } });
  mkdirSync(join(runtime.top, "data", "x:eth0.json"));
  runtime.answer("bridge", "DEL.error", { code: 5, msg: "busy" });
  const { code, msg } = runtime.run("GC", { conf: { ...V110, "cni.dev/valid-attachments": [] } });
  expect(code).toBe(CODE.gcFailed);
  expect(msg).toMatch(/^cannot collect everything: a eth0: busy; b eth0: busy; x eth0: cannot read .*x:eth0\.json/);
});

test("GC frees what a file that cannot be decoded may stand for, says which file, and removes it", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  for (const id of ["a", "c", "keep"]) runtime.run("ADD", { env: { CNI_CONTAINERID: id } });
  for (const id of ["b", "keep"]) writeFileSync(join(runtime.top, "data", `${id}:eth0.json`), "{");
  runtime.forget();
  const conf = { ...V110, "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] };
  // The delegate fails first: then the file stays for the next GC, as that of any attachment does.
  runtime.answer("bridge", "DEL.error", { code: 5, msg: "busy" });
  expect(runtime.run("GC", { conf })).toMatchObject({
    code: CODE.gcFailed,
    msg: "cannot collect everything: a eth0: busy; b eth0: busy; c eth0: busy",
  });
  rmSync(join(runtime.top, "answers", "bridge", "DEL.error"));
  runtime.forget();
  expect(runtime.run("GC", { conf })).toMatchObject({ code: 0 });
  expect(runtime.calls()).toMatchObject([
    { how: "DEL a eth0|" },
    { how: "DEL b eth0|", conf: { name: "cbr0", ipam: { type: "host-local" } } },
    { how: "DEL c eth0|" },
  ]);
  expect(runtime.files()).toEqual(["keep:eth0.json"]);
  const told = expect.stringMatching(/^cannot decode .*b:eth0\.json: .*; going by the netconf$/);
  expect(runtime.warnings).toEqual([told, told]);
});

test("GC with null for a list, as libcni writes it after a reboot, deletes everything of this network", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  runtime.run("ADD");
  expect(runtime.run("GC", { conf: { ...V110, "cni.dev/valid-attachments": null } })).toMatchObject({ code: 0 });
  expect(runtime.files()).toEqual([]);
});

test("GC without a list of what to keep deletes nothing", () => {
  runtime.install("bridge");
  runtime.answer("bridge", "ADD.json", RESULT);
  runtime.run("ADD");
  expect(runtime.run("GC", { conf: V110 })).toMatchObject({ code: CODE.badConfig });
  expect(runtime.files()).toEqual(["c1:eth0.json"]);
});

test("GC is handed on to a delegate that knows the verb", () => {
  runtime.install("bridge", [...DEBIAN_12, "1.1.0"]);
  const valid = [{ containerID: "keep", ifname: "eth0" }];
  runtime.run("GC", { conf: { ...V110, "cni.dev/valid-attachments": valid } });
  expect(runtime.calls()).toMatchObject([
    { how: "GC  |", conf: { type: "bridge", "cni.dev/valid-attachments": valid } },
  ]);
});
