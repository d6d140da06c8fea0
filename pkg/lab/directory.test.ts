import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  isLeftOver,
  labNames,
  labsDirectory,
  type LabState,
  makeLabDirectory,
  readState,
  removeLab,
  removeLeftOvers,
  writeState,
} from "./directory.ts";
import { isAlive, processId } from "./proc.ts";

const own = process.env["TMPDIR"];
let place = "";
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "twill-directory-"));
  process.env["TMPDIR"] = place;
});
afterEach(() => {
  if (own === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = own;
  rmSync(place, { recursive: true });
});

function stateOf(name: string, changes: Partial<LabState>): LabState {
  return {
    name,
    owner: processId(process.pid) ?? { pid: 0, start: 0 },
    holder: undefined,
    entry: undefined,
    mount: undefined,
    processes: [],
    etcdEndpoint: "http://172.31.0.1:2379",
    etcdPrefix: "/coreos.com/network",
    nodes: [],
    pods: [],
    ...changes,
  };
}

test("a lab's state is read back, and its name is taken while it is there", () => {
  const state = stateOf("a", { nodes: [{ name: "node1", address: "172.31.1.1", directory: "/x/node1" }] });
  writeState(makeLabDirectory("a"), state);
  expect(readState("a")).toEqual(JSON.parse(JSON.stringify(state)));
  expect(isLeftOver("a")).toBe(false);
  expect(() => makeLabDirectory("a")).toThrow(`a lab named a is already running (process ${process.pid})`);
});

test("a dead owner's processes and directory are cleared away, a living owner's stay", async () => {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const id = processId(child.pid ?? 0);
  if (!id) throw new Error("the child has no process id");
  const dead = { pid: process.pid, start: 1 };
  writeState(makeLabDirectory("dead"), stateOf("dead", { owner: dead, processes: [id] }));
  writeState(makeLabDirectory("living"), stateOf("living", {}));
  expect(await removeLeftOvers()).toEqual(["dead"]);
  expect(isAlive(id)).toBe(false);
  expect(labNames()).toEqual(["living"]);
});

test("a directory without a state is left over once it is old", () => {
  const directory = makeLabDirectory("a");
  expect(isLeftOver("a")).toBe(false);
  const longAgo = new Date(Date.UTC(2001, 0, 1));
  utimesSync(directory, longAgo, longAgo);
  expect(isLeftOver("a")).toBe(true);
});

test("the directory of all labs goes with the last of them", async () => {
  makeLabDirectory("a");
  expect(await removeLab("b")).toBe(false);
  expect(await removeLab("a")).toBe(true);
  expect(existsSync(labsDirectory())).toBe(false);
  expect(labNames()).toEqual([]);
});

test("a directory of labs that somebody else put there is not used", () => {
  symlinkSync("/", labsDirectory());
  const complaint = `${labsDirectory()} belongs to somebody else: remove it, or set TMPDIR to a directory of your own`;
  expect(() => labNames()).toThrow(complaint);
  expect(() => readState("a")).toThrow(complaint);
  expect(() => makeLabDirectory("a")).toThrow(complaint);
});
