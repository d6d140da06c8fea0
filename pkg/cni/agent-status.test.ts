import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { agentStatusPath, readAgentStatus, writeAgentStatus } from "./agent-status.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "agent-status-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("what was written is read back, with the time of the clock in UTC", () => {
  const clock = new FakeClock();
  writeAgentStatus(join(dir, "run"), { state: "limited", message: "the lease is lost" }, clock);
  expect(readAgentStatus(join(dir, "run"))).toEqual({
    state: "limited",
    message: "the lease is lost",
    updatedAt: new Date(clock.wall()).toISOString(),
  });
});

test("anybody may read the file, and it is one line of JSON", () => {
  writeAgentStatus(dir, { state: "ready", message: "ready" });
  expect(statSync(agentStatusPath(dir)).mode & 0o777).toBe(0o644);
  expect(readFileSync(agentStatusPath(dir), "utf8")).toMatch(/^\{"state":"ready",.*"updatedAt":".*Z"\}\n$/);
});

test("no file means no status", () => {
  expect(readAgentStatus(dir)).toBeUndefined();
});

const broken = [
  { name: "half a line", text: '{"state":"rea', says: /cannot decode .*cni-status\.json; restart twilld/ },
  { name: "an unknown state", text: '{"state":"happy","message":"","updatedAt":""}', says: /is not an agent status/ },
  { name: "no message", text: '{"state":"ready","updatedAt":""}', says: /is not an agent status/ },
  { name: "null", text: "null", says: /is not an agent status/ },
];
for (const c of broken) {
  test(`${c.name} is refused with a sentence that names the file`, () => {
    writeFileSync(agentStatusPath(dir), c.text);
    expect(() => readAgentStatus(dir)).toThrow(c.says);
  });
}

test("a file that cannot be read is an error, not a missing status", () => {
  mkdirSync(agentStatusPath(dir));
  expect(() => readAgentStatus(dir)).toThrow(/cannot read .*cni-status\.json/);
});
