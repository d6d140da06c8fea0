import { expect, test } from "vitest";
import { type Screen, table } from "./screen.ts";

const file: Screen = { width: undefined, colours: false, now: 0 };

test("columns are as wide as their widest cell, and lines have no trailing space", () => {
  const rows = [
    [{ text: "10.5.52.0/24" }, { text: "node-a" }, { text: "" }],
    [{ text: "10.5.9.0/24" }, { text: "b" }, { text: "failed" }],
  ];
  expect(table(["SUBNET", "NODE", "STATE"], rows, file)).toBe(
    "SUBNET        NODE    STATE\n" + //
      "10.5.52.0/24  node-a\n" +
      "10.5.9.0/24   b       failed\n",
  );
});

test("on a terminal the widest column is cut until the lines fit", () => {
  const rows = [
    [{ text: "10.5.9.0/24" }, { text: "failed: the neighbour entry cannot be set since the link is down" }],
  ];
  const text = table(["SUBNET", "STATE"], rows, { ...file, width: 40 });
  expect(text).toBe("SUBNET       STATE\n10.5.9.0/24  failed: the neighbour entr…\n");
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(40);
});

test("colours do not count as width", () => {
  const rows = [[{ text: "a", colour: "green" as const }, { text: "b" }]];
  expect(table(["LONG", "X"], rows, { ...file, colours: true })).toBe(
    "\u001b[2mLONG\u001b[0m  \u001b[2mX\u001b[0m\n\u001b[32ma\u001b[0m     b\n",
  );
});

test("what comes from other nodes cannot drive the terminal", () => {
  const rows = [[{ text: "evil\u001b]0;title\u0007\u009b31m\nnode\u202e" }]];
  expect(table(["NODE"], rows, file)).toBe("NODE\nevil?]0;title??31m?node?\n");
});
