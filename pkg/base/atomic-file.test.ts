import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeFileAtomic } from "./atomic-file.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "atomic-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("directories are made and modes are as asked, in spite of the umask", () => {
  const path = join(dir, "a", "b", "file");
  const umask = process.umask(0o077);
  try {
    writeFileAtomic(path, "one", { mode: 0o644, dirMode: 0o755 });
  } finally {
    process.umask(umask);
  }
  expect(readFileSync(path, "utf8")).toBe("one");
  expect(statSync(path).mode & 0o777).toBe(0o644);
  expect(statSync(join(dir, "a")).mode & 0o777).toBe(0o755);
  expect(statSync(join(dir, "a", "b")).mode & 0o777).toBe(0o755);
});

test("the old file is replaced by a new one, and nothing else is left behind", () => {
  const path = join(dir, "file");
  writeFileSync(path, "old, and longer");
  const before = statSync(path).ino;
  writeFileAtomic(path, "new", { mode: 0o600, dirMode: 0o755 });
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(statSync(path).ino).not.toBe(before);
  expect(readdirSync(dir)).toEqual(["file"]);
});

test("what a killed writer left behind is not in the way", () => {
  const path = join(dir, "file");
  writeFileSync(`${path}.0.tmp`, "half");
  writeFileAtomic(path, "whole", { mode: 0o600, dirMode: 0o755 });
  expect(readFileSync(path, "utf8")).toBe("whole");
});

test("a failed rename throws the system's error and removes the temporary file", () => {
  const path = join(dir, "taken");
  mkdirSync(path);
  writeFileSync(join(path, "x"), "");
  expect(() => writeFileAtomic(path, "x", { mode: 0o600, dirMode: 0o755 })).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(readdirSync(dir)).toEqual(["taken"]);
});
