import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
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
  const clock = new FakeClock();
  const ended = watchFile(path, changed, { signal: stop.signal, clock, log });

  writeFileSync(join(dir, "deep", "other"), "x");
  writeFileSync(join(dir, "deep", "new"), "x");
  await new Promise((resolve) => setImmediate(resolve));
  expect(changed).not.toHaveBeenCalled();

  for (const change of [
    () => writeFileSync(path, "x"),
    () => renameSync(join(dir, "deep", "new"), path),
    () => rmSync(path),
  ]) {
    change();
    await vi.waitFor(async () => {
      await clock.advance(1_000);
      expect(changed).toHaveBeenCalled();
    });
    changed.mockClear();
  }
  stop.abort();
  await ended;
  expect(clock.pending).toBe(0);
  expect(log.lines).toEqual([]);
});

test("a directory that cannot be watched is one warning", async () => {
  writeFileSync(join(dir, "file"), "");
  const log = new MemoryLogger();
  const path = join(dir, "file", "subnet.env");
  const stop = new AbortController();
  const clock = new FakeClock();
  const ended = watchFile(path, () => undefined, { signal: stop.signal, clock, log });
  await clock.advance(5_000);
  stop.abort();
  await ended;
  expect(log.lines).toMatchObject([{ level: "warn", fields: { path } }]);
});

test("a file whose whole directory is replaced is noticed within a second, again and again", async () => {
  const path = join(dir, "run", "subnet.env");
  const stop = new AbortController();
  const clock = new FakeClock();
  const changed = vi.fn<() => void>(() => {
    mkdirSync(join(dir, "run"), { recursive: true });
    writeFileSync(path, "ours");
  });
  const ended = watchFile(path, changed, { signal: stop.signal, clock, log: new MemoryLogger() });
  changed();
  await clock.advance(5_000);
  for (let round = 0; round < 3; round++) {
    changed.mockClear();
    rmSync(join(dir, "run"), { recursive: true });
    await clock.advance(2_000);
    expect(changed).toHaveBeenCalled();
    expect(existsSync(path)).toBe(true);
    await clock.advance(5_000);
  }
  changed.mockClear();
  await clock.advance(10_000);
  expect(changed).not.toHaveBeenCalled();
  stop.abort();
  await ended;
});

test("many changes in a second are told at once and then once more", async () => {
  const path = join(dir, "subnet.env");
  const stop = new AbortController();
  const clock = new FakeClock();
  const changed = vi.fn<() => void>();
  const ended = watchFile(path, changed, { signal: stop.signal, clock, log: new MemoryLogger() });
  for (let i = 0; i < 20; i++) {
    writeFileSync(path, String(i));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await vi.waitFor(() => expect(changed).toHaveBeenCalled());
  expect(changed).toHaveBeenCalledTimes(1);
  await clock.advance(10_000);
  expect(changed).toHaveBeenCalledTimes(2);
  stop.abort();
  await ended;
});
