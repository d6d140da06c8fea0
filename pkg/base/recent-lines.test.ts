import { expect, test } from "vitest";
import { RecentLines } from "./recent-lines.ts";

test("keeps the last lines under their numbers", () => {
  const recent = new RecentLines(2);
  for (const text of ["a", "b", "c"]) recent.add(text);
  expect(recent.after(0)).toEqual([
    { sequence: 2, text: "b" },
    { sequence: 3, text: "c" },
  ]);
  expect(recent.after(2).map(({ text }) => text)).toEqual(["c"]);
  expect(recent.after(3)).toEqual([]);
});
