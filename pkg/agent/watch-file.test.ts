import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MemoryLogger } from "../base/logger.ts";
import { watchFile } from "./watch-file.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "watch-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("a file that is deleted, written or replaced is noticed, its neighbours are not", async () => {
  const path = join(dir, "deep", "subnet.env");
  const stop = new AbortController();
  const changed = vi.fn<() => void>();
  const log = new MemoryLogger();
  const ended = watchFile(path, changed, { signal: stop.signal, log });

  writeFileSync(join(dir, "deep", "other"), "x");
  writeFileSync(join(dir, "deep", "new"), "x");
  await new Promise((resolve) => setImmediate(resolve));
  expect(changed).not.toHaveBeenCalled();

  for (const change of [
    () => writeFileSync(path, "x"),
    () => renameSync(join(dir, "deep", "new"), path),
    () => rmSync(path),
  ]) {
    changed.mockClear();
    change();
    await vi.waitFor(() => expect(changed).toHaveBeenCalled());
  }
  stop.abort();
  await ended;
  expect(log.lines).toEqual([]);
});

test("a directory that cannot be watched is one warning", async () => {
  writeFileSync(join(dir, "file"), "");
  const log = new MemoryLogger();
  const path = join(dir, "file", "subnet.env");
  await watchFile(path, () => undefined, { signal: new AbortController().signal, log });
  expect(log.lines).toMatchObject([{ level: "warn", fields: { path } }]);
});
