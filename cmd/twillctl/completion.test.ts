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
  expect(await bash("--json", "config", "")).toEqual(["show", "check", "set"]);
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
}

test.skipIf(!installed("fish"))("fish completes commands, their second words and their flags", async () => {
  const text = await script("fish");
  const fish = async (line: string): Promise<string[]> => {
    const ask = `${text}\ncomplete -C '${line}'`;
    const { stdout, stderr } = await promisify(execFile)("fish", ["--no-config", "-c", ask]);
    expect(stderr).toBe("");
    return stdout.split("\n").flatMap((row) => row.split("\t")[0] || []);
  };
  expect(await fish("twillctl st")).toEqual(["status"]);
  expect(await fish("twillctl config ")).toEqual(["check", "set", "show"]);
  expect(await fish("twillctl status --wa")).toEqual(["--watch"]);
});

test.skipIf(!installed("zsh"))("zsh completes as bash does", async () => {
  const ask = `autoload -Uz compinit; compinit -u -D
${await script("zsh")}
emulate sh -c 'COMP_WORDS=(twillctl config ""); COMP_CWORD=2; _twillctl'; print -l $COMPREPLY`;
  const { stdout, stderr } = await promisify(execFile)("zsh", ["-f", "-c", ask]);
  expect([stdout, stderr]).toEqual(["show\ncheck\nset\n", ""]);
});

function installed(shell: string): boolean {
  try {
    execFileSync(shell, ["-c", "true"]);
    return true;
  } catch {
    return false;
  }
}
