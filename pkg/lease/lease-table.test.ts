import { expect, test } from "vitest";
import { type Prefix, parsePrefix } from "../addr/prefix.ts";
import { MemoryLogger } from "../base/logger.ts";
import { readLeaseRow } from "./lease-row.ts";
import { LeaseTable, type LeaseRow, MOST_LEASES } from "./lease-table.ts";
import type { Lease } from "./lease.ts";

const p = (text: string): Prefix => parsePrefix(text) ?? expect.fail(text);

function value(ip: string, extra: object = {}): string {
  return JSON.stringify({ PublicIP: ip, PublicIPv6: null, BackendType: "host-gw", ...extra });
}

let revision = 100;
function row(key: string, text: string, fields: Partial<LeaseRow> = {}): LeaseRow {
  const at = String(++revision);
  return { key, value: text, createRevision: at, modRevision: at, leaseId: "7", ...fields };
}

function leaseOf(row: LeaseRow): Lease {
  return readLeaseRow(row)?.value?.lease.value ?? expect.fail(row.key);
}

function setUp(...rows: LeaseRow[]) {
  const log = new MemoryLogger();
  const table = new LeaseTable(log);
  let changes = 0;
  table.onChange(() => (changes += 1));
  table.applySnapshot(rows, "200");
  return {
    table,
    log,
    keys: () => table.leases.map((lease) => lease.key),
    peers: () => table.peers.map((lease) => lease.key),
    put: (entry: LeaseRow) => table.applyChanges([{ kind: "put", entry }], entry.modRevision),
    drop: (key: string) => table.applyChanges([{ kind: "delete", key }], String(++revision)),
    changes: () => changes,
  };
}

const A = "subnets/10.5.1.0-24";
const B = "subnets/10.5.2.0-24";

test("a snapshot fills the table, other keys are passed over without a word", () => {
  const { table, log, keys } = setUp(
    row("config", "{}"),
    row(B, value("192.0.2.2")),
    row("twill/nodes/192.0.2.2", "x"),
    row(A, value("192.0.2.1")),
  );
  expect(keys()).toEqual([A, B]);
  expect(table.revision).toBe("200");
  expect(log.sentences("warn")).toEqual([]);
  expect(log.lines).toMatchObject([
    { sentence: "peer joined", fields: { subnet: "10.5.2.0/24", publicIp: "192.0.2.2", backend: "host-gw" } },
    { sentence: "peer joined", fields: { subnet: "10.5.1.0/24" } },
  ]);
});

test("peers join, change and leave", () => {
  const { log, put, drop, peers, changes } = setUp(row(A, value("192.0.2.1")));
  put(row(B, value("192.0.2.2")));
  put(row(B, value("192.0.2.3"), { createRevision: String(revision) }));
  drop(B);
  drop(B);
  expect(peers()).toEqual([A]);
  expect(log.lines.slice(1).map((line) => [line.sentence, line.fields["publicIp"]])).toEqual([
    ["peer joined", "192.0.2.2"],
    ["peer changed", "192.0.2.3"],
    ["peer left", "192.0.2.3"],
  ]);
  expect(changes()).toBe(4);
});

test("a renewal is no news, but its revision and lease are kept", () => {
  const first = row(A, value("192.0.2.1"));
  const { table, log, put, changes } = setUp(first);
  put({ ...first, modRevision: "999", leaseId: "8" });
  expect(table.leases).toMatchObject([{ modRevision: "999", leaseId: "8" }]);
  expect(log.lines.length).toBe(1);
  expect(changes()).toBe(1);
});

test("a snapshot is compared by attributes: what changed unseen is told", () => {
  const first = row(A, value("192.0.2.1"));
  const { table, log } = setUp(first, row(B, value("192.0.2.2")));
  table.applySnapshot([{ ...first, value: value("192.0.2.9"), modRevision: "300" }], "300");
  expect(log.lines.slice(2).map((line) => line.sentence)).toEqual(["peer left", "peer changed"]);
});

test("a malformed entry costs one warning and no other lease", () => {
  const bad = [row("subnets/hello", value("192.0.2.3")), row("subnets/10.5.3.0-24", "{"), row("subnets-meta/x", "x")];
  const good = row(A, value("192.0.2.1"));
  const { table, log, keys } = setUp(good, ...bad);
  table.applySnapshot([good, ...bad], "201");
  expect(keys()).toEqual([A]);
  expect(log.lines.filter((line) => line.level === "warn").map((line) => line.fields["reason"])).toEqual([
    'lease key "subnets/hello" is not of the form 10.5.52.0-24 or 10.5.49.0-24&fd05:0:0:1b::-64',
    'the value of lease "subnets/10.5.3.0-24" is not valid JSON',
    'lease key "subnets-meta/x" begins with "subnets", where flannel expects nothing but leases: delete it',
  ]);
  expect(table.problems.length).toBe(3);
  const again = { ...(bad[1] ?? expect.fail()), modRevision: "999" };
  table.applyChanges([{ kind: "put", entry: again }], "999");
  expect(log.sentences("warn").length).toBe(4);
  table.applySnapshot([good], "1000");
  expect(table.problems).toEqual([]);
});

test("a value that becomes malformed leaves what was known before, as long as the key has the same life", () => {
  const first = row(A, value("192.0.2.1"));
  const { table, put, keys, changes } = setUp(first);
  put({ ...first, value: "{", modRevision: "300" });
  expect(keys()).toEqual([A]);
  expect(table.leases[0]?.modRevision).toBe(first.modRevision);
  expect(table.problems.length).toBe(1);
  expect(changes()).toBe(1);
  put({ ...first, value: "{", modRevision: "301", createRevision: "301" });
  expect(keys()).toEqual([]);
  put({ ...first, modRevision: "302", createRevision: "301" });
  expect(keys()).toEqual([A]);
  expect(table.problems).toEqual([]);
});

test("of overlapping leases the earlier one is routed, and a sentence names both", () => {
  const late = row("subnets/10.5.0.0-16", value("192.0.2.3", { NodeName: "late" }), { createRevision: "90" });
  const { table, log, peers, drop, put } = setUp(
    row(A, value("192.0.2.1", { NodeName: "early" }), { createRevision: "50" }),
    late,
  );
  expect(peers()).toEqual([A]);
  expect(table.leases.length).toBe(2);
  expect(table.problems).toEqual([
    `leases ${A}, 10.5.1.0/24 of node early (192.0.2.1), and subnets/10.5.0.0-16, 10.5.0.0/16 of node late (192.0.2.3), ` +
      "overlap: the latter came later and is not routed",
  ]);
  expect(log.sentences("warn")).toEqual(["lease not routed"]);
  drop(A);
  expect(peers()).toEqual(["subnets/10.5.0.0-16"]);
  put(row(A, value("192.0.2.1")));
  expect(peers()).toEqual(["subnets/10.5.0.0-16"]);
});

test("peers by age: the oldest first, and of the same age by their keys", () => {
  const own = row("subnets/10.5.9.0-24", value("192.0.2.9"), { createRevision: "1" });
  const C = "subnets/10.5.3.0-24";
  const D = "subnets/10.5.4.0-24";
  const { table, put, drop } = setUp(
    own,
    row(A, value("192.0.2.1"), { createRevision: "100" }),
    row(B, value("192.0.2.2"), { createRevision: "20" }),
    row(C, value("192.0.2.3"), { createRevision: "9" }),
    row(D, value("192.0.2.4"), { createRevision: "20" }),
  );
  table.setOwn(leaseOf(own));
  const byAge = (): string[] => table.peersByAge.map((lease) => lease.key);
  expect(byAge()).toEqual([C, B, D, A]);
  drop(C);
  put(row(C, value("192.0.2.3"), { createRevision: "300" }));
  expect(byAge()).toEqual([B, D, A, C]);
  expect(table.peers.map((lease) => lease.key)).toEqual([A, B, C, D]);
});

test("dual-stack leases overlap in either family", () => {
  const six = row("ipv6-subnets/fd05:0:0:1b::-64", value("192.0.2.2"), { createRevision: "1" });
  const { peers } = setUp(
    row("subnets/10.5.1.0-24&fd05:0:0:1b::-64", value("192.0.2.1"), { createRevision: "2" }),
    six,
  );
  expect(peers()).toEqual(["ipv6-subnets/fd05:0:0:1b::-64"]);
});

test("our own lease is no peer, and nothing that overlaps it or has our address is routed", () => {
  const own = row(A, value("192.0.2.1"));
  const { table, log, peers, put } = setUp(row("subnets/10.5.1.128-25", value("192.0.2.2"), { createRevision: "1" }));
  table.setOwn(leaseOf(own));
  put(own);
  put(row(B, value("192.0.2.1")));
  expect(peers()).toEqual([]);
  expect(table.problems).toEqual([
    `our own lease ${A} and lease subnets/10.5.1.128-25, 10.5.1.128/25 of node 192.0.2.2, overlap: the latter is not routed`,
    `lease ${B}, 10.5.2.0/24 of node 192.0.2.1, has our own public address: it is not routed`,
  ]);
  expect(log.sentences("info")).toEqual(["peer joined", "peer joined"]);
  table.setOwn(undefined);
  expect(peers()).toEqual(["subnets/10.5.1.128-25", B]);
});

test("a lease outside the network is not routed: it would draw other traffic", () => {
  const { table, peers } = setUp(
    row(A, value("192.0.2.1")),
    row("subnets/8.8.8.0-24", value("192.0.2.2")),
    row("ipv6-subnets/fd05::-64", value("192.0.2.3")),
  );
  table.setNetwork({ 4: p("10.5.0.0/16") });
  expect(peers()).toEqual([A]);
  expect(table.problems.join("\n")).toContain(
    "subnets/8.8.8.0-24, 8.8.8.0/24 of node 192.0.2.2, lies outside the network 10.5.0.0/16",
  );
  expect(table.problems.join("\n")).toContain("the network, which has no IPv6");
  table.setNetwork({ 4: p("0.0.0.0/1"), 6: p("fd05::/16") });
  expect(peers().length).toBe(3);
});

test("rows give the same table again, the last good value of a malformed one included", () => {
  const first = row(A, value("192.0.2.1"));
  const { table, put } = setUp(first, row(B, value("192.0.2.2")));
  put({ ...first, value: "{", modRevision: "300" });
  const copy = new LeaseTable(new MemoryLogger());
  copy.applySnapshot(table.rows, table.revision);
  expect(copy.leases).toEqual(table.leases);
});

test("a listener that left hears nothing", () => {
  const table = new LeaseTable(new MemoryLogger());
  let heard = 0;
  const leave = table.onChange(() => (heard += 1));
  table.applySnapshot([row(A, value("192.0.2.1"))], "1");
  leave();
  table.applySnapshot([], "2");
  expect(heard).toBe(1);
});

test("of very many leases the oldest are kept, with one warning, and a later list may bring the others", () => {
  const rows = Array.from({ length: MOST_LEASES + 100 }, (_, i) =>
    row(`subnets/10.${i >> 14}.${(i >> 6) & 255}.${(i & 63) * 4}-30`, value("192.0.2.9"), {
      createRevision: String(1e6 - i),
    }),
  );
  const { table, log, put } = setUp(...rows);
  expect(table.leases).toHaveLength(MOST_LEASES);
  // The last of the rows is the oldest, and the first the youngest.
  expect(table.leases.map(({ key }) => key)).toContain(rows.at(-1)?.key);
  expect(table.leases.map(({ key }) => key)).not.toContain(rows[0]?.key);
  expect(log.sentences("warn")).toEqual(["too many leases, some are ignored"]);
  expect(table.problems).toEqual([expect.stringContaining(`more than ${MOST_LEASES} leases`)]);
  put(row(A, value("192.0.2.1")));
  expect(table.leases).toHaveLength(MOST_LEASES);
  expect(log.sentences("warn")).toHaveLength(1);
  table.applySnapshot(rows.slice(0, 3), "300");
  expect(table.leases).toHaveLength(3);
  expect(table.problems).toEqual([]);
});

test("leases inside each other by the ten thousand are judged in no time, in any order", () => {
  const small = Array.from({ length: 20_000 }, (_, i) =>
    row(`subnets/10.5.${i >> 7}.${(i & 127) * 2}-31`, value("192.0.2.2")),
  );
  const large = [8, 9, 10, 11, 12, 13, 14, 15].map((n) =>
    row(`subnets/10.${n === 8 ? 0 : 5 & (0xff << (16 - n))}.0.0-${n}`, value("192.0.2.3")),
  );
  const start = performance.now();
  const { table } = setUp(...small, ...large);
  expect(table.peers).toHaveLength(small.length);
  table.applySnapshot([...large, ...small], "300");
  table.applySnapshot(
    large.map((entry) => ({ ...entry, createRevision: "1" })),
    "301",
  );
  expect(table.peers).toHaveLength(1);
  const again = setUp(...large.map((entry) => ({ ...entry, createRevision: "1" })), ...small);
  expect(again.peers()).toHaveLength(1);
  expect(performance.now() - start).toBeLessThan(10_000);
});

test("keys that make no sense cost bounded memory and bounded text", () => {
  const rows = Array.from({ length: 5000 }, (_, i) => row(`subnets/${"x".repeat(1000)}${i}`, "$(reboot)"));
  const { table, log } = setUp(...rows);
  expect(log.sentences("warn")).toHaveLength(1000);
  expect(table.problems).toHaveLength(101);
  expect(table.problems.at(-1)).toBe("there are 900 more problems with leases");
  expect(table.problems.every((problem) => problem.length < 250)).toBe(true);
});

test("a lease on everything, which overlaps our own, does not cut off those that come later", () => {
  const own = row(A, value("192.0.2.1"));
  const { table, put, peers } = setUp(own, row("subnets/10.0.0.0-8", value("192.0.2.66")));
  table.setOwn(leaseOf(own));
  put(row(B, value("192.0.2.2")));
  expect(peers()).toEqual([B]);
  expect(table.problems).toEqual([expect.stringContaining("overlap: the latter is not routed")]);
});

test("what a store without its history misses stays until it is dropped, and yields to whatever is there", () => {
  const C = "subnets/10.5.3.0-24";
  const { table, keys, peers, put, drop } = setUp(
    row(A, value("192.0.2.1")),
    row(B, value("192.0.2.2")),
    row(C, value("192.0.2.3")),
  );
  table.keepMissing();
  table.applySnapshot([], "2");
  expect(peers()).toEqual([A, B, C]);
  // Their revisions are no longer those of the old store: a new lease counts as the older one whatever its number.
  const inB = row("subnets/10.5.2.0-25", value("192.0.2.9"), { createRevision: "9999", modRevision: "9999" });
  put(inB);
  expect(peers()).toEqual([A, inB.key, C].toSorted());
  put(row(A, value("192.0.2.1"), { createRevision: "3", modRevision: "3" }));
  table.applySnapshot([row(A, value("192.0.2.1"), { createRevision: "3", modRevision: "3" }), inB], "10000");
  expect(keys()).toEqual([A, B, inB.key, C].toSorted());
  drop(B);
  expect(keys()).toEqual([A, inB.key, C].toSorted());
  table.dropMissing();
  expect(keys()).toEqual([A, inB.key].toSorted());
  table.applySnapshot([], "10001");
  expect(keys()).toEqual([]);
});
