// Compiles checksum.wat into checksum-wasm-binary.ts: `node pkg/packet/generate-wasm.mjs`.
// checksum-wasm.test.ts holds that the committed file is current.

import { readFileSync, writeFileSync } from "node:fs";
import openWabt from "wabt";

/** The text of checksum-wasm-binary.ts as it should be. */
export async function checksumWasmSource() {
  const wabt = await openWabt();
  const text = readFileSync(new URL("checksum.wat", import.meta.url), "utf8");
  const module = wabt.parseWat("checksum.wat", text, { simd: true, threads: true });
  const { buffer } = module.toBinary({});
  module.destroy();
  const lines = Buffer.from(buffer)
    .toString("base64")
    .match(/.{1,100}/g);
  return [
    "// Made from checksum.wat by generate-wasm.mjs; not to be edited.",
    "",
    "/** A WebAssembly module, in base64. */",
    "export const CHECKSUM_WASM =",
    lines.map((line) => `  "${line}"`).join(" +\n") + ";",
    "",
  ].join("\n");
}

if (import.meta.main) {
  writeFileSync(new URL("checksum-wasm-binary.ts", import.meta.url), await checksumWasmSource());
}
