// Inputs for the fuzz targets: what the corpus holds, changed in some places. The corpus has examples of everything that
// is accepted and of what was once found wrong; a failing input is added to it and so stays a test for good.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";

/** Where a target's examples lie; those of packets are written in hex. */
export function corpusDirectory(target: string): string {
  return join(import.meta.dirname, "corpus", target);
}

export function readCorpus(target: string): ReadonlyMap<string, Uint8Array> {
  const dir = corpusDirectory(target);
  return new Map(
    readdirSync(dir)
      .toSorted()
      .map((name) => {
        const bytes = readFileSync(join(dir, name));
        return [
          name,
          name.endsWith(".hex") ? Buffer.from(bytes.toString("latin1").replaceAll(/\s/g, ""), "hex") : bytes,
        ];
      }),
  );
}

// What readers of JSON, addresses, keys and shell variables may stumble over.
const WORDS = [
  '"',
  "'",
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "\\",
  "\\u0000",
  "\u0000",
  "\n",
  "\r\n",
  "=",
  "&",
  "/",
  "-",
  ".",
  "null",
  "true",
  "1e999",
  "-0",
  "NaN",
  "4294967296",
  "9007199254740993",
  "0x10",
  "00",
  "__proto__",
  "constructor",
  "0.0.0.0",
  "127.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:1.2.3.4",
  "ff02::1",
  "fe80::1%eth0",
  "10.5.0.0/33",
  "$(reboot)",
  "`reboot`",
  "; reboot",
  "../../etc",
  "\u202e",
  "\ud800",
  "é",
  "x".repeat(5000),
  "[".repeat(5000),
].map((word) => Buffer.from(word));

interface Change {
  readonly at: number;
  readonly remove: number;
  readonly insert: Uint8Array;
}

/** Changed examples of the corpus, and now and then any bytes at all. */
export function inputs(corpus: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const piece = fc
    .tuple(fc.constantFrom(...corpus), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(60))
    .map(([from, at, length]): Uint8Array => from.subarray(Math.floor(at * from.length)).subarray(0, length));
  const change: fc.Arbitrary<Change> = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.oneof(fc.constant(0), fc.nat(4), fc.nat(40)),
    insert: fc.oneof(fc.constantFrom(...WORDS), fc.uint8Array({ maxLength: 4 }), piece, fc.constant(new Uint8Array())),
  });
  const changed = fc
    .tuple(fc.constantFrom(...corpus), fc.array(change, { minLength: 1, maxLength: 6 }))
    .map(([from, changes]) => changes.reduce(apply, from));
  return fc.oneof({ weight: 20, arbitrary: changed }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) });
}

function apply(bytes: Uint8Array, { at, remove, insert }: Change): Uint8Array {
  const start = Math.floor(at * bytes.length);
  return new Uint8Array(Buffer.concat([bytes.subarray(0, start), insert, bytes.subarray(start + remove)]));
}
