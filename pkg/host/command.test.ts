import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { Commands } from "./command.ts";
import { executeBySpawn } from "./execute.ts";
import { HostError } from "./host.ts";

let dir = "";
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "twill-command-"))));
afterEach(() => rm(dir, { recursive: true }));

describe.each([
  ["by Node's spawn", new Commands()],
  ["by posix_spawn", new Commands(undefined, undefined, executeBySpawn(process.env))],
])("%s", (_, commands) => {
  test("run gives the exit code and both outputs", async () => {
    expect(await commands.run("cat", [], "text")).toEqual({ code: 0, stdout: "text", stderr: "" });
    const { code, stderr } = await commands.run("cat", [join(dir, "none")], "unread");
    expect(code).toBe(1);
    expect(stderr).toContain("No such file or directory");
  });

  test("run hands arguments over as they are", async () => {
    const args = ["a b", "$HOME", "`id`", "; exit 3", '"'];
    const { stdout } = await commands.run("printf", ["%s\n", ...args]);
    expect(stdout.split("\n")).toEqual([...args, ""]);
  });

  test("a tool that is missing is named", async () => {
    await expect(commands.run("twill-no-such-tool", [])).rejects.toThrow(HostError);
    await expect(commands.run("twill-no-such-tool", [])).rejects.toThrow(/^twill-no-such-tool is not installed$/);
  });

  test("arguments that are too many are an error of that tool", async () => {
    await expect(commands.run("printf", ["x".repeat(1 << 20)])).rejects.toThrow(/^cannot run printf$/);
  });
});

const commands = new Commands();

test("read drops the last newline and knows missing files", async () => {
  const path = join(dir, "file");
  await writeFile(path, "1\n2\n");
  expect(await commands.read(path)).toBe("1\n2");
  expect(await commands.read(join(dir, "none"))).toBeUndefined();
});

test("write creates no file", async () => {
  await expect(commands.write(join(dir, "none"), "1")).rejects.toThrow(/^No such file or directory$/);
});
