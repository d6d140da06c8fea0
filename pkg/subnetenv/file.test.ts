import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatPrefix } from "../addr/prefix.ts";
import { MemoryLogger } from "../base/logger.ts";
import { previousSubnet, readSubnetEnv, writeSubnetEnv } from "./file.ts";
import { parseSubnetEnv } from "./subnet-env.ts";

const TEXT = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.49.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "subnetenv-"));
  path = join(dir, "run", "subnet.env");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("writing makes the directory, sets the modes in spite of the umask, and leaves nothing else", () => {
  expect(writeSubnetEnv(path, parseSubnetEnv(TEXT))).toBe(true);
  expect(readFileSync(path, "utf8")).toBe(TEXT);
  expect(statSync(path).mode & 0o777).toBe(0o644);
  expect(statSync(join(dir, "run")).mode & 0o777).toBe(0o755);
  expect(readdirSync(join(dir, "run"))).toEqual(["subnet.env"]);
});

test("a file that already says so is left alone", () => {
  writeSubnetEnv(path, parseSubnetEnv(TEXT));
  const before = statSync(path).ino;
  expect(writeSubnetEnv(path, parseSubnetEnv(TEXT))).toBe(false);
  expect(statSync(path).ino).toBe(before);
});

test("a changed file is put back, a deleted one too", () => {
  const env = parseSubnetEnv(TEXT);
  writeSubnetEnv(path, env);
  writeFileSync(path, TEXT.replace("1450", "1500"));
  expect(writeSubnetEnv(path, env)).toBe(true);
  expect(readFileSync(path, "utf8")).toBe(TEXT);
  rmSync(path);
  expect(writeSubnetEnv(path, env)).toBe(true);
  expect(readSubnetEnv(path)).toEqual(env);
});

test("a place that cannot be written is one sentence that names the file", () => {
  writeFileSync(join(dir, "run"), "a file where the directory should be");
  expect(() => writeSubnetEnv(path, parseSubnetEnv(TEXT))).toThrow(`cannot read ${path}`);
  mkdirSync(join(dir, "d", "subnet.env", "x"), { recursive: true });
  expect(() => readSubnetEnv(join(dir, "d", "subnet.env"))).toThrow(/^cannot read .*subnet\.env$/);
});

test("a missing file is no error, a broken one names itself and every problem", () => {
  expect(readSubnetEnv(path)).toBeUndefined();
  mkdirSync(join(dir, "run"));
  writeFileSync(path, TEXT.replace("FLANNEL_MTU=1450\n", "").replace("true", "maybe"));
  expect(() => readSubnetEnv(path)).toThrow(`${path}: FLANNEL_MTU missing; FLANNEL_IPMASQ is "maybe"`);
});

test("the previous subnet is found in a file that lacks everything else", () => {
  mkdirSync(join(dir, "run"));
  writeFileSync(path, "FLANNEL_SUBNET=10.5.49.1/24\nFLANNEL_IPV6_SUBNET=fd05:0:0:1b::1/64\n");
  const log = new MemoryLogger();
  const previous = previousSubnet(path, log);
  expect(previous[4] && formatPrefix(previous[4])).toBe("10.5.49.0/24");
  expect(previous[6] && formatPrefix(previous[6])).toBe("fd05:0:0:1b::/64");
  expect(log.lines).toEqual([]);
});

test("no file means no previous subnet; garbage means none and one warning that names the file", () => {
  const log = new MemoryLogger();
  expect(previousSubnet(path, log)).toEqual({});
  expect(log.lines).toEqual([]);
  mkdirSync(join(dir, "run"));
  writeFileSync(path, "FLANNEL_SUBNET=everything\n");
  expect(previousSubnet(path, log)).toEqual({});
  expect(log.lines).toMatchObject([{ level: "warn", fields: { file: path } }]);
});
