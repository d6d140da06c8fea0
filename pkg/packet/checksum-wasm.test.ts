import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { memorySum } from "./checksum-wasm.ts";
import { sumWords } from "./checksum.ts";
import { checksumWasmSource } from "./generate-wasm.mjs";
import { naiveSum } from "../../test/naive-sum.ts";

const memory = new WebAssembly.Memory({ initial: 17, maximum: 17, shared: true });
const bytes = new Uint8Array(memory.buffer);
const sum = memorySum(memory);
const plain = memorySum(memory, new Uint8Array([0])); // not a module: what a runtime without SIMD makes of ours

test("the committed module is what checksum.wat compiles to", async () => {
  const committed = readFileSync(new URL("checksum-wasm-binary.ts", import.meta.url), "utf8");
  expect(committed, "run: node pkg/packet/generate-wasm.mjs").toBe(await checksumWasmSource());
});

test("the sum in WebAssembly is not the fallback", () => {
  expect(sum.toString()).toContain("[native code]");
  expect(plain.toString()).toContain("sumWords");
});

for (const [name, sumOf] of [
  ["WebAssembly", sum],
  ["the fallback", plain],
] as const) {
  test(`${name} equals the naive sum for every length to 200 at every alignment to 16`, () => {
    for (let i = 0; i < 256; i++) bytes[i] = i * 151 + (i >>> 3);
    for (let at = 0; at < 16; at++) {
      for (let length = 0; length <= 200; length++) {
        const want = naiveSum(bytes, at, at + length);
        if (sumOf(at, length) !== want) expect(sumOf(at, length), `${length} bytes at ${at}`).toBe(want);
      }
    }
  });

  test(`${name} equals the naive sum for random bytes of up to 70000`, () => {
    fc.assert(
      fc.property(fc.nat({ max: 70_000 }), fc.nat({ max: 64 }), fc.integer(), (length, at, seed) => {
        let word = seed;
        for (let i = 0; i < length; i++) {
          word = (Math.imul(word, 1_103_515_245) + 12_345) | 0;
          bytes[at + i] = word >>> 16;
        }
        expect(sumOf(at, length)).toBe(naiveSum(bytes, at, at + length));
      }),
      { numRuns: 60 },
    );
  });

  test(`${name} does not overflow on a megabyte of ones`, () => {
    bytes.fill(0xff);
    expect(sumOf(0, 1 << 20)).toBe(sumWords(bytes, 0, 1 << 20));
    expect(sumOf(1, 65_535)).toBe(sumWords(bytes, 1, 65_536));
  });

  test(`${name} reads nothing outside its bytes`, () => {
    bytes.fill(0xa5);
    bytes.fill(0, 1000, 1131);
    expect(sumOf(1000, 131)).toBe(0);
    const last = bytes.length;
    expect(sumOf(last - 131, 131)).toBe(naiveSum(bytes, last - 131, last)); // would trap beyond the end
  });
}
