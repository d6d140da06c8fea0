import { afterEach, beforeEach, expect, test } from "vitest";
import { CODE } from "./error.ts";
import { FakeRuntime } from "./fake-runtime.ts";
import { runPlugin } from "./run.ts";

let runtime: FakeRuntime;
beforeEach(() => {
  runtime = new FakeRuntime();
});
afterEach(() => runtime.close());

test("VERSION answers at the version of the question, and without one too", () => {
  const supportedVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
  expect(runtime.run("VERSION", { stdin: '{"cniVersion":"0.4.0"}' }).out).toEqual({
    cniVersion: "0.4.0",
    supportedVersions,
  });
  expect(runtime.run("VERSION", { stdin: "" }).out).toEqual({ cniVersion: "1.1.0", supportedVersions });
});

test("an error carries the version of the netconf", () => {
  expect(runtime.run("ADD", { conf: { cniVersion: "0.3.1" } }).out).toMatchObject({ cniVersion: "0.3.1", code: 101 });
  expect(runtime.run("ADD", { stdin: "{" }).out).toMatchObject({ cniVersion: "1.1.0", code: CODE.decode });
});

test("standard input is not read while the environment is wrong", () => {
  const { stdout } = runPlugin(
    { CNI_COMMAND: "ADD" },
    () => {
      throw new Error("read");
    },
    { readPodNetwork: () => undefined, interfaceExists: () => false, warn: () => undefined },
  );
  expect(JSON.parse(stdout)).toMatchObject({
    code: CODE.badEnvironment,
    msg: expect.stringMatching(/^CNI_CONTAINERID, CNI_NETNS/),
  });
});
