import { CHECKSUM_WASM } from "./checksum-wasm-binary.ts";
import { sumWords } from "./checksum.ts";

/** The folded sum of `length` bytes at `at`, as sumWords computes it. HOT PATH. */
export type Sum = (at: number, length: number) => number;

/**
 * A sum over `memory` in place, for payload: in WebAssembly with SIMD some five times faster than sumWords (1398 bytes:
 * 35 ns). At most 1 MB at once. Falls back to sumWords where this processor or runtime has no WebAssembly SIMD.
 */
export function memorySum(memory: WebAssembly.Memory, wasm: Uint8Array = Buffer.from(CHECKSUM_WASM, "base64")): Sum {
  if (WebAssembly.validate(wasm)) {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { arena: { memory } });
    return exports["sum"] as Sum;
  }
  const bytes = new Uint8Array(memory.buffer);
  return (at, length) => sumWords(bytes, at, at + length);
}
