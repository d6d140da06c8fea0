import { expect, test } from "vitest";
import { MemoryLogger } from "../base/logger.ts";
import { PeerLog } from "./peer-log.ts";

test("a peer is told of once per reason and once when it heals", () => {
  const log = new MemoryLogger();
  const peers = new PeerLog(log);
  const rounds = [
    { state: { failed: "no MAC" }, lines: 1 },
    { state: { failed: "no MAC" }, lines: 1 },
    { state: { failed: "no route" }, lines: 2 },
    { state: "in-sync", lines: 3 },
    { state: "in-sync", lines: 3 },
    { state: { failed: "no MAC" }, lines: 4 },
  ] as const;
  for (const { state, lines } of rounds) {
    const failed = peers.note(new Map([["subnets/10.5.2.0-24", state]]));
    expect(failed).toEqual(state === "in-sync" ? [] : [state.failed]);
    expect(log.lines).toHaveLength(lines);
  }
  expect(log.lines.map((line) => line.level)).toEqual(["warn", "warn", "info", "warn"]);
});

test("a peer that left and comes back broken is told of again, and its leaving is no healing", () => {
  const log = new MemoryLogger();
  const peers = new PeerLog(log);
  const broken = new Map([["subnets/10.5.2.0-24", { failed: "no MAC" }]]);
  peers.note(broken);
  peers.note(new Map());
  peers.note(broken);
  expect(log.lines.map((line) => line.level)).toEqual(["warn", "warn"]);
});
