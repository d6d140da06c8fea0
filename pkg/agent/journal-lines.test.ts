import { closeSync, fstatSync, openSync } from "node:fs";
import { expect, test } from "vitest";
import { journalLine, leadsToJournal } from "./journal-lines.ts";

test.each([
  { level: "info", fields: { subnet: "10.5.2.0/24", mtu: 1450 }, line: "<6>ready subnet=10.5.2.0/24 mtu=1450\n" },
  { level: "warn", fields: { reason: "no etcd:\nit is away" }, line: '<4>ready reason="no etcd:\\nit is away"\n' },
  { level: "error", fields: { err: 'a "b"', at: "a=b" }, line: '<3>ready err="a \\"b\\"" at="a=b"\n' },
  { level: "debug", fields: { list: ["a", "b"], none: "" }, line: '<7>ready list=["a","b"] none=""\n' },
])("$line", ({ level, fields, line }) => {
  expect(journalLine(`${JSON.stringify({ level, time: "2026-01-01", ...fields, msg: "ready" })}\n`)).toBe(line);
});

test("the journal is known by device and inode", () => {
  const fd = openSync("/dev/null", "w");
  const { dev, ino } = fstatSync(fd);
  expect(leadsToJournal(fd, { JOURNAL_STREAM: `${dev}:${ino}` })).toBe(true);
  expect(leadsToJournal(fd, { JOURNAL_STREAM: `${dev}:${ino + 1}` })).toBe(false);
  expect(leadsToJournal(fd, {})).toBe(false);
  expect(leadsToJournal(undefined, { JOURNAL_STREAM: `${dev}:${ino}` })).toBe(false);
  closeSync(fd);
});
