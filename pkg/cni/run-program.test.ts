import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "./run-program.ts";

const ENV = { PATH: "/usr/bin:/bin", GREETING: "grüß", UNSET: undefined };
const sh = (script: string, input = ""): ReturnType<typeof runProgram> => runProgram("sh", ["-c", script], ENV, input);

test("a program reads its input, writes both outputs and ends with a status", () => {
  expect(sh("cat; echo oh >&2; exit 3", "ein Täßchen")).toEqual({
    status: 3,
    signal: null,
    stdout: "ein Täßchen",
    stderr: "oh\n",
  });
});

test("it gets the environment that is given and no other", () => {
  expect(sh("env").stdout.trim().split("\n").toSorted()).toEqual(
    expect.arrayContaining(["GREETING=grüß", "PATH=/usr/bin:/bin"]),
  );
  expect(sh('echo "${UNSET-no} ${HOME-no}"').stdout).toBe("no no\n");
});

test("no output is too long, and input that nobody reads is no error", () => {
  const much = "x".repeat(3_000_000);
  expect(sh("cat", much).stdout).toBe(much);
  expect(sh("exit 0", much)).toMatchObject({ status: 0, stdout: "" });
});

test("a signal that ended it is told by name", () => {
  expect(sh("kill -TERM $$")).toMatchObject({ status: null, signal: "SIGTERM" });
});

test.each([
  ["/nowhere/program", "ENOENT"],
  ["/etc/passwd", "EACCES"],
])("%s cannot be started: %s", (file, code) => {
  expect(() => runProgram(file, [], ENV, "")).toThrow(expect.objectContaining({ name: "StartError", code }));
});

test("Node says nothing about it to the runtime's log", () => {
  const module = JSON.stringify(join(import.meta.dirname, "run-program.ts"));
  const script = `import(${module}).then(({ runProgram }) => process.exit(runProgram("true", [], process.env, "").status))`;
  const { status, stderr } = spawnSync(process.execPath, ["-e", script], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
