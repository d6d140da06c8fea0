import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { EXIT } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { run } from "./run.ts";

async function script(shell: string): Promise<string> {
  let out = "";
  const terminal = { stdout: { write: (text: string) => void (out += text) }, stderr: { write: () => undefined } };
  expect(await run(["completion", shell], {}, terminal)).toBe(EXIT.ok);
  return out;
}

async function bash(...words: string[]): Promise<string[]> {
  const line = ["twillctl", ...words].map((word) => `'${word}'`).join(" ");
  const ask = `${await script("bash")}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length}; _twillctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await promisify(execFile)("bash", ["-c", ask]);
  return stdout.split("\n").filter((word) => word !== "");
}

test("bash completes commands, their second words and their flags", async () => {
  expect(await bash("")).toEqual([...new Set(COMMANDS.map(({ name }) => name.split(" ")[0]))]);
  expect(await bash("st")).toEqual(["status"]);
  expect(await bash("--json", "config", "")).toEqual(["check", "set"]);
  expect(await bash("leases", "--et")).toContain("--etcd-endpoints");
  expect(await bash("status", "--w")).toEqual(["--watch"]);
  expect(await bash("config", "check", "--fo")).toEqual([]);
});

for (const shell of ["zsh", "fish"]) {
  test(`${shell} is told of every command and flag`, async () => {
    const text = await script(shell);
    for (const { name } of COMMANDS) expect(text).toContain(name.split(" ")[0]);
    expect(text).toContain("etcd-endpoints");
  });

  test.skipIf(!installed(shell))(`${shell} can read it`, async () => {
    const child = promisify(execFile)(shell, ["-n", "/dev/stdin"]);
    child.child.stdin?.end(await script(shell));
    expect((await child).stderr).toBe("");
  });
}

function installed(shell: string): boolean {
  try {
    execFileSync(shell, ["-c", "true"]);
    return true;
  } catch {
    return false;
  }
}
