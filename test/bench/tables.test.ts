import { expect, test } from "vitest";
import { sampleReport } from "./sample-report.ts";
import { factor, gateTable, resultTables } from "./tables.ts";

const report = sampleReport(
  [
    {
      configuration: "kernel-vxlan",
      figures: [
        { tcp1: 12, rttMean: 30 },
        { tcp1: 10, rttMean: 40 },
      ],
    },
    { configuration: "twill-gso", figures: [{ tcp1: 6, rttMean: 120, agentCpu: 0.2 }, { tcp1: 7 }] },
    { configuration: "kernel-vxlan", underlay: "wire-like", figures: [{ tcp1: 5 }] },
  ],
  { configurations: [{ id: "nebula", title: "nebula", unavailable: "nebula is not installed" }] },
);

test("medians with the ratio's median and spread; the baseline has none, what is missing shows a dash", () => {
  const [throughput, latency, cost, ...more] = resultTables(report, "offloads");
  expect(more).toEqual([]);
  expect(throughput?.title).toBe("TCP in Gbit/s; underlay with offloads");
  expect(throughput?.rows).toEqual([
    ["", "TCP 1 →", "ratio"],
    ["kernel-vxlan", "11.00", ""],
    ["twill-gso", "6.50", "0.60 (0.50-0.70)"],
    ["nebula", "not available: nebula is not installed"],
  ]);
  expect(latency?.rows[2]).toEqual(["twill-gso", "120", "4.00"]);
  expect(cost?.rows).toEqual([
    ["", "agents' CPU"],
    ["twill-gso", "0.200"],
    ["nebula", "not available: nebula is not installed"],
  ]);
});

test("the wire-like table has only what was measured there", () => {
  const [table, ...more] = resultTables(report, "wire-like");
  expect(more).toEqual([]);
  expect(table?.rows).toEqual([
    ["", "TCP 1 →"],
    ["kernel-vxlan", "5.00"],
  ]);
});

test("gates show target, median and whether it is met", () => {
  const table = gateTable([
    { title: "TCP", bound: "at least", target: 0.7, unit: "× kernel vxlan", value: 0.712, met: true },
    { title: "RTT", bound: "at most", target: 3.5, unit: "× kernel vxlan", value: undefined, met: false },
  ]);
  expect(table.rows.slice(1)).toEqual([
    ["TCP", "at least 0.70 × kernel vxlan", "0.71", "met"],
    ["RTT", "at most 3.50 × kernel vxlan", "not measured", "not met"],
  ]);
});

test("ratios have as many digits as say something", () => {
  expect([0.0134, 0.7, 3.5, 44.42, 212.6].map(factor)).toEqual(["0.013", "0.70", "3.50", "44.4", "213"]);
});
