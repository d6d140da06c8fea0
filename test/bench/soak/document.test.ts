import { expect, test } from "vitest";
import { soakDocument } from "./document.ts";
import type { RungReport, SoakReport } from "./report.ts";

const RUNG: RungReport = {
  rung: "gso",
  transfers: [{ way: "twill → kernel", family: 4, faults: "good", bytes: 1e10, seconds: 21.34, intact: true }],
  agents: [
    {
      node: "node1",
      seconds: 120,
      rssEarly: 101.2,
      rssEnd: 102.4,
      rssMost: 105.8,
      minor: 6,
      major: 0,
      packets: 15_250_000,
      trouble: { tx_blocked: 3 },
    },
  ],
  checksumErrors: 0,
};

const report = (rungs: readonly RungReport[]): SoakReport => ({
  date: "2026-01-02T03:04:05.000Z",
  commit: "0123456789ab",
  modified: false,
  version: "0.1.0",
  machine: {
    cpu: "a CPU",
    cores: 2,
    arch: "x64",
    memoryGb: 4,
    kernel: "6.18",
    node: "v24",
    iperf3: "3.12",
    root: true,
  },
  bytes: 1e10,
  rungs,
});

test("what was carried and what the agents took", () => {
  const text = soakDocument(report([RUNG]));
  expect(text).toContain("| twill → kernel | IPv4 | good | 10 GB | 21.3 | identical |");
  expect(text).toContain("| node1 | 120 | 15.3 million | 101 / 102 / 106 | 3.0 | 0 | tx_blocked 3 |");
  expect(text).toContain("everything came as it was sent");
});

test("what went wrong is said at the top and in its row", () => {
  const [transfer] = RUNG.transfers;
  if (!transfer) throw new Error("no transfer");
  const text = soakDocument(report([{ ...RUNG, transfers: [{ ...transfer, intact: false }] }]));
  expect(text).toContain("**something was lost or changed**");
  expect(text).toContain("| **different** |");
  expect(soakDocument(report([{ ...RUNG, checksumErrors: 1 }]))).toContain("**something was lost or changed**");
});

test("a rung that this kernel does not have", () => {
  const unavailable: RungReport = {
    rung: "tunnel-gso",
    unavailable: "too old",
    transfers: [],
    agents: [],
    checksumErrors: 0,
  };
  expect(soakDocument(report([unavailable, RUNG]))).toContain("## tunnel-gso\n\nNot tried: too old.");
});
