import { expect, test } from "vitest";
import { markdownTable, textTable } from "./text-table.ts";

const ALIGNS = ["left", "right", "left"] as const;

test("columns are as wide as their widest cell, and a row that ends early keeps its sentence whole", () => {
  const rows = [
    ["", "TCP", "ratio"],
    ["kernel vxlan", "12.35", ""],
    ["twill", "8.52", "0.70"],
    ["nebula", "not available: nebula is not installed"],
  ];
  expect(textTable(rows, ALIGNS)).toBe(
    [
      "                  TCP  ratio",
      "  kernel vxlan  12.35",
      "  twill          8.52  0.70",
      "  nebula        not available: nebula is not installed",
    ].join("\n"),
  );
});

test("Markdown has a rule below the heading, escapes bars and fills short rows", () => {
  expect(
    markdownTable(
      [
        ["", "TCP", "ratio"],
        ["a|b", "1"],
      ],
      ALIGNS,
    ),
  ).toBe("|  | TCP | ratio |\n| --- | ---: | --- |\n| a\\|b | 1 |  |");
});
