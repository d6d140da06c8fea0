import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "../../test/netns/cni-host.ts";

let dir: string;
let program: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "twill-cni-"));
  program = bundle(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function start(env: Record<string, string>, input: string): { status: number | null; out: unknown; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { env, input, encoding: "utf8" });
  return { status, out: JSON.parse(stdout), stderr };
}

test("the program loads three modules of Node and nothing else: it starts before every pod", () => {
  const modules = [...readFileSync(program, "utf8").matchAll(/\brequire\("([^"]+)"\)/g)].map(([, name]) => name);
  expect(new Set(modules)).toEqual(new Set(["node:fs", "node:path", "node:util"]));
});

test("VERSION is answered with status 0, on standard output alone", () => {
  expect(start({ CNI_COMMAND: "VERSION" }, '{"cniVersion":"1.0.0"}')).toMatchObject({
    status: 0,
    out: { cniVersion: "1.0.0", supportedVersions: expect.arrayContaining(["0.3.1", "1.1.0"]) },
    stderr: "",
  });
});

test("a call without CNI's variables is an error in CNI's form with status 1", () => {
  expect(start({}, "")).toMatchObject({ status: 1, out: { code: 4 }, stderr: "" });
});
