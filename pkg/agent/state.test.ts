import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { seededRandom } from "../base/backoff.ts";
import { MemoryLogger } from "../base/logger.ts";
import { type State, StateFile } from "./state.ts";

let dir: string;
let log: MemoryLogger;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "state-"));
  log = new MemoryLogger();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function open(seed = 1): StateFile {
  return new StateFile(dir, { log, random: seededRandom(seed) });
}

const ROW = { key: "subnets/10.5.1.0-24", value: "{}", createRevision: "5", modRevision: "9", leaseId: "7587870" };
const CLUSTER = { network: "{}", ownKey: ROW.key, expiresAt: 1_767_225_600_000, revision: "12", rows: [ROW] };

test("what was saved is loaded, mode 0600 and nothing else in the directory", () => {
  const file = open();
  const state: State = { ...file.load(), cluster: CLUSTER };
  file.save(state);
  expect(open(2).load()).toEqual(state);
  expect(statSync(file.path).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(["state.json"]);
  expect(JSON.parse(readFileSync(file.path, "utf8"))).toMatchObject({ version: 1 });
  expect(log.lines).toEqual([]);
});

test("a first start makes an identity: a UUID and an own unicast MAC for each family", () => {
  const { nodeId, vtepMac, cluster } = open().load();
  expect(nodeId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(vtepMac[4]).toMatch(/^.[26ae]:/);
  expect(vtepMac[6]).toMatch(/^.[26ae]:/);
  expect(vtepMac[4]).not.toBe(vtepMac[6]);
  expect(cluster).toBeUndefined();
  expect(open().load().nodeId).not.toBe(nodeId);
});

const broken = [
  { name: "half a file", text: '{"version":1,"nodeId":"a' },
  { name: "an empty file", text: "" },
  { name: "a list", text: "[]" },
  { name: "another version", text: '{"version":2}' },
  { name: "a bad MAC", text: '{"version":1,"nodeId":"a","vtepMac":{"4":"x","6":"02:00:00:00:00:01"}}' },
  {
    name: "a MAC of a group",
    text: '{"version":1,"nodeId":"a","vtepMac":{"4":"ff:ff:ff:ff:ff:ff","6":"02:00:00:00:00:01"}}',
  },
  {
    name: "a MAC of zeros",
    text: '{"version":1,"nodeId":"a","vtepMac":{"4":"02:00:00:00:00:01","6":"00:00:00:00:00:00"}}',
  },
  {
    name: "an empty node id",
    text: '{"version":1,"nodeId":"","vtepMac":{"4":"02:00:00:00:00:01","6":"02:00:00:00:00:01"}}',
  },
  {
    name: "a bad row",
    text: JSON.stringify({
      version: 1,
      nodeId: "a",
      vtepMac: { 4: "02:00:00:00:00:01", 6: "02:00:00:00:00:02" },
      cluster: { ...CLUSTER, rows: [{ ...ROW, modRevision: 9 }] },
    }),
  },
  ...[
    { name: "a revision", cluster: { ...CLUSTER, revision: "x" } },
    { name: "a row's revision", cluster: { ...CLUSTER, rows: [{ ...ROW, modRevision: "" }] } },
    { name: "a row's lease", cluster: { ...CLUSTER, rows: [{ ...ROW, leaseId: "0x1" }] } },
  ].map(({ name, cluster }) => ({
    name: `${name} that is no number`,
    text: JSON.stringify({
      version: 1,
      nodeId: "a",
      vtepMac: { 4: "02:00:00:00:00:01", 6: "02:00:00:00:00:02" },
      cluster,
    }),
  })),
];
for (const c of broken) {
  test(`${c.name} is told, kept as a copy and replaced`, () => {
    const file = open();
    writeFileSync(file.path, c.text);
    const state = file.load();
    expect(state.nodeId).toHaveLength(36);
    expect(log.sentences("warn")).toEqual(["cannot read the state of the last run, starting as a new node"]);
    expect(log.lines[0]?.fields["path"]).toBe(file.path);
    expect(readFileSync(`${file.path}.corrupt`, "utf8")).toBe(c.text);
    file.save(state);
    expect(open().load()).toEqual(state);
  });
}

test("a save that fails is told once and again when it works", () => {
  rmSync(dir, { recursive: true });
  writeFileSync(dir, "in the way");
  const file = open();
  const state: State = { nodeId: "a", vtepMac: file.load().vtepMac, cluster: undefined };
  log.lines.length = 0;
  file.save(state);
  file.save({ ...state, nodeId: "b" });
  expect(log.sentences("warn")).toEqual(["cannot save the state, a restart would forget it"]);
  expect(file.problem).toContain(file.path);
  rmSync(dir);
  mkdirSync(dir);
  file.save(state);
  expect(log.sentences("info")).toEqual(["state saved again"]);
  expect(file.problem).toBeUndefined();
});

test("a state that did not change is not written again", () => {
  const file = open();
  const state = file.load();
  file.save(state);
  rmSync(file.path);
  file.save(state);
  expect(existsSync(file.path)).toBe(false);
});
