// Every patch of `npm run mutations` still fits the sources, and the test that it names is there. That the tests turn red is
// the program's to show; it takes minutes.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { AREAS } from "./areas.ts";
import { applyEdit } from "./mutation.ts";

describe.each(Object.entries(AREAS))("%s", (_, mutations) => {
  test.each(mutations)("$fault: $handling", ({ edits, test: { file, name, writtenIn } }) => {
    const texts = new Map<string, string>();
    for (const edit of edits) {
      const text = texts.get(edit.file) ?? readFileSync(edit.file, "utf8");
      texts.set(edit.file, applyEdit(text, edit));
    }
    for (const [path, text] of texts) expect(text, path).not.toBe(readFileSync(path, "utf8"));
    const written = readFileSync(writtenIn ?? file, "utf8");
    // A test of a table has its own name and the table's sentence, one behind the other.
    for (const part of name.split(": ")) expect(written).toContain(part);
  });
});

test("an edit that does not fit is refused", () => {
  const edit = { file: "a.ts", find: "b", replace: "$&" };
  expect(applyEdit("abc", edit)).toBe("a$&c");
  expect(() => applyEdit("abcb", edit)).toThrow("a.ts has 2 places, not one, that say: b");
  expect(() => applyEdit("ac", edit)).toThrow("a.ts has 0 places");
});
