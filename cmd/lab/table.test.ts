import { expect, test } from "vitest";
import { bitRate, lossLine, pingTable, table } from "./table.ts";

const matrix = {
  sources: ["node1", "pod1.1"],
  targets: ["pod1.1", "pod2.1"],
  results: [
    [
      { sent: 3, received: 3, rtt: 0.051 },
      { sent: 3, received: 2, rtt: 0.2 },
    ],
    [undefined, { sent: 3, received: 0, rtt: undefined }],
  ],
};

test("table makes columns as wide as their widest cell", () => {
  expect(
    table([
      ["A", "B"],
      ["long", "x"],
    ]),
  ).toBe("  A     B\n  long  x");
});

test("pingTable shows round trips, losses and no ping to oneself", () => {
  expect(pingTable(matrix, false).split("\n")).toEqual([
    "          pod1.1  pod2.1",
    "  node1     0.05    33 %",
    "  pod1.1       -   100 %",
  ]);
});

test("pingTable colours only where asked", () => {
  expect(pingTable(matrix, false)).not.toContain("\u001b");
  expect(pingTable(matrix, true)).toContain("\u001b[31m  33 %");
});

test("lossLine never rounds a loss away", () => {
  const many = { ...matrix, results: [Array.from({ length: 1000 }, () => ({ sent: 3, received: 3, rtt: 1 }))] };
  expect(lossLine(many)).toBe("0 % lost (3000 packets)");
  many.results[0]?.push({ sent: 3, received: 2, rtt: 1 });
  expect(lossLine(many)).toBe("1 % lost (1 of 3003 packets)");
});

test("bitRate changes the unit at 1 Gbit/s", () => {
  expect(bitRate(6_130_000_000)).toBe("6.13 Gbit/s");
  expect(bitRate(812_400_000)).toBe("812 Mbit/s");
});
