import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockDir } from "./lock-dir.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lock-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("the directory is made and belongs to one holder at a time", () => {
  const state = join(dir, "a", "b");
  const release = lockDir(state, "--state-dir", 4711);
  expect(() => lockDir(state, "--state-dir", 4712)).toThrow(
    `another twilld (pid 4711) uses ${state}: stop it, or give each its own --state-dir`,
  );
  release();
  const again = lockDir(state, "--state-dir", 4712);
  expect(readFileSync(join(state, "lock"), "utf8")).toBe("4712\n");
  again();
});

test("a lock file left over by a dead process is no obstacle", () => {
  writeFileSync(join(dir, "lock"), "1\n");
  lockDir(dir, "--state-dir", 2)();
});

test("the lock of a process that was killed is free at once", async () => {
  const module = fileURLToPath(new URL("lock-dir.ts", import.meta.url));
  const code = `import { lockDir } from ${JSON.stringify(module)};
    lockDir(${JSON.stringify(dir)}, "--run-dir", process.pid); console.log("locked"); setInterval(() => {}, 1000);`;
  const child: ChildProcess = spawn(process.execPath, ["--input-type=module-typescript", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  if (!child.stdout) throw new Error("no pipe to the child");
  await once(child.stdout, "data");
  expect(() => lockDir(dir, "--state-dir", 1)).toThrow(`(pid ${child.pid})`);
  child.kill("SIGKILL");
  await exited;
  lockDir(dir, "--state-dir", 1)();
});

test("a directory that cannot be made is named with the flag to change", () => {
  writeFileSync(join(dir, "file"), "");
  expect(() => lockDir(join(dir, "file", "state"), "--state-dir", 1)).toThrow(/cannot use the directory .*--state-dir/);
});
