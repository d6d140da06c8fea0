import fc from "fast-check";
import { expect, test } from "vitest";
import { type Prefix, overlaps, parsePrefix, prefixOf } from "../addr/prefix.ts";
import { PrefixIndex } from "./prefix-index.ts";

const p = (text: string): Prefix => parsePrefix(text) ?? expect.fail(text);

test("finds what contains a prefix, what it contains, and the same one", () => {
  const index = new PrefixIndex();
  for (const text of ["10.0.0.0/8", "10.5.0.0/16", "10.5.1.0/24", "10.6.0.0/16", "fd05::/16"]) index.add(p(text), text);
  expect([...index.overlapping(p("10.5.0.0/16"))].sort()).toEqual(["10.0.0.0/8", "10.5.0.0/16", "10.5.1.0/24"]);
  expect([...index.overlapping(p("192.0.2.0/24"))]).toEqual([]);
  index.delete(p("10.5.0.0/16"), "10.5.0.0/16");
  index.delete(p("10.7.0.0/16"), "was never there");
  expect([...index.overlapping(p("10.5.1.128/25"))].sort()).toEqual(["10.0.0.0/8", "10.5.1.0/24"]);
});

test("agrees with comparing each with each", () => {
  const prefix = fc
    .tuple(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 24, max: 32 }))
    .map(([host, length]) => prefixOf({ family: 4, value: 0x0a05_0000n + BigInt(host) }, length));
  fc.assert(
    fc.property(fc.array(prefix), fc.array(fc.nat(20)), prefix, (all, gone, asked) => {
      const index = new PrefixIndex();
      for (const [i, one] of all.entries()) index.add(one, String(i));
      for (const i of gone) if (all[i]) index.delete(all[i], String(i));
      const expected = [...all.keys()].filter((i) => !gone.includes(i) && overlaps(all[i] ?? asked, asked)).map(String);
      expect([...index.overlapping(asked)].sort()).toEqual(expected.sort());
    }),
  );
});
