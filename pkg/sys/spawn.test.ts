import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SysError } from "./errors.ts";
import { spawnProgram } from "./spawn.ts";

const LIMITS = { env: process.env, timeoutMs: 15_000, mostOutput: 1 << 24 };
const sh = (script: string, input = "", limits = LIMITS) => spawnProgram("sh", ["-c", script], input, limits);

describe("spawnProgram", () => {
  test("hands on input, output and exit code", async () => {
    expect(await sh("cat; echo wrong >&2; exit 7", "häuser\n")).toEqual({
      code: 7,
      stdout: "häuser\n",
      stderr: "wrong\n",
      timedOut: false,
    });
  });

  test("arguments and the environment arrive as they are", async () => {
    const env = { ...process.env, TWILL_SPAWN_TEST: "a b=c" };
    const { stdout } = await spawnProgram("printenv", ["TWILL_SPAWN_TEST"], "", { ...LIMITS, env });
    expect(stdout).toBe("a b=c\n");
    const words = ["", "a b", "$HOME", "ü", "x".repeat(100_000)];
    const echoed = await spawnProgram("printf", ["%s\n", ...words], "", LIMITS);
    expect(echoed.stdout).toBe(words.map((word) => `${word}\n`).join(""));
  });

  test("more than a pipe holds goes through, both ways", async () => {
    const text = "0123456789abcdef".repeat(1 << 16);
    expect((await sh("cat", text)).stdout).toBe(text);
    expect((await sh("cat >&2", text)).stderr).toBe(text);
    expect((await sh("exit 0", text)).code).toBe(0);
  });

  test.each([
    ["no-such-program", [], "ENOENT"],
    ["true", ["x".repeat(1 << 18)], "E2BIG"], // MAX_ARG_STRLEN
  ])("%s %s: %s", async (file, args, code) => {
    const error = await spawnProgram(file, args, "", LIMITS).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SysError);
    expect(error).toMatchObject({ code });
  });

  test("what takes too long or prints too much is killed", async () => {
    expect(await spawnProgram("sleep", ["60"], "", { ...LIMITS, timeoutMs: 50 })).toMatchObject({
      code: undefined,
      timedOut: true,
    });
    expect(await spawnProgram("yes", [], "", { ...LIMITS, mostOutput: 100_000 })).toMatchObject({
      code: undefined,
      timedOut: false,
    });
  });

  test("what a killed program has started holds nobody up", async () => {
    const ended = await sh("sleep 60 & echo $!; wait", "", { ...LIMITS, timeoutMs: 200 });
    process.kill(Number(ended.stdout));
    expect(ended).toMatchObject({ code: undefined, timedOut: true });
  }, 10_000);

  test("signals are as a shell would leave them, though Node ignores SIGPIPE", async () => {
    expect(await sh("kill -PIPE $$; exit 0")).toMatchObject({ code: undefined });
  });

  test("many at once, and nothing is left: no descriptor, no zombie", async () => {
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    await sh("true");
    const before = descriptors();
    const all = await Promise.all(Array.from({ length: 40 }, (_, i) => sh(`echo ${i}; exit ${i}`)));
    expect(all.map(({ code, stdout }) => [code, stdout])).toEqual(all.map((_, i) => [i, `${i}\n`]));
    await expect(spawnProgram("no-such-program", [], "", LIMITS)).rejects.toThrow();
    expect(descriptors()).toBe(before);
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");
    const states = children
      .split(" ")
      .filter((pid) => pid !== "")
      .map((pid) => /\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1]);
    expect(states).not.toContain("Z");
  });
});
