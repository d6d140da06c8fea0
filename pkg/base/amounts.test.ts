import { expect, test } from "vitest";
import { bytes, span } from "./amounts.ts";

const spans = [
  { ms: -5, text: "0 s" },
  { ms: 400, text: "0 s" },
  { ms: 59_000, text: "59 s" },
  { ms: 60_000, text: "1 min" },
  { ms: 11_531_000, text: "3 h 12 min" },
  { ms: 86_405_000, text: "1 d" },
  { ms: 190_000_000, text: "2 d 4 h" },
];

for (const { ms, text } of spans) test(`${ms} ms are ${text}`, () => expect(span(ms)).toBe(text));

const amounts = [
  { count: 0n, text: "0 B" },
  { count: 999n, text: "999 B" },
  { count: 1000n, text: "1.0 kB" },
  { count: 9_949n, text: "9.9 kB" },
  { count: 9_950n, text: "10 kB" },
  { count: 999_499n, text: "999 kB" },
  { count: 999_500n, text: "1.0 MB" },
  { count: 2n ** 64n - 1n, text: "18 EB" },
];

for (const { count, text } of amounts) test(`${count} bytes are ${text}`, () => expect(bytes(count)).toBe(text));
