// npm run fuzz -- [--minutes N] [--seed S] [--target NAME]: changed inputs for every target in turn. The first input that a
// target does not stand is made small, written into the corpus and told, with exit code 1.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import fc from "fast-check";
import { systemClock } from "../../pkg/base/clock.ts";
import { corpusDirectory, inputs, readCorpus } from "./inputs.ts";
import { TARGETS } from "./targets.ts";

const ROUND = 5000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    target: { type: "string" },
  },
});
const minutes = Number(values.minutes);
const firstSeed = Number(values.seed);
const names = Object.keys(TARGETS).filter((name) => values.target === undefined || name === values.target);
if (!(minutes > 0) || !Number.isInteger(firstSeed) || names.length === 0) {
  console.error(`usage: npm run fuzz -- [--minutes N] [--seed S] [--target ${Object.keys(TARGETS).join("|")}]`);
  process.exit(2);
}

const end = systemClock.now() + minutes * 60_000;
const runs = new Map(names.map((name) => [name, 0]));
for (let seed = firstSeed; systemClock.now() < end; seed++) {
  for (const name of names) round(name, seed);
}
console.log(`no failures, seeds from ${firstSeed}; inputs:`);
for (const [name, count] of runs) console.log(`  ${name.padEnd(16)}${count}`);

function round(name: string, seed: number): void {
  const target = TARGETS[name]?.();
  if (!target) throw new RangeError(`there is no target ${name}`);
  const property = fc.property(inputs([...readCorpus(name).values()]), target);
  const result = fc.check(property, { seed, numRuns: ROUND });
  runs.set(name, (runs.get(name) ?? 0) + result.numRuns);
  if (!result.failed) return;
  const [input = new Uint8Array()] = result.counterexample ?? [];
  const hash = createHash("sha256").update(input).digest("hex").slice(0, 12);
  const path = join(corpusDirectory(name), name === "packet" ? `found-${hash}.hex` : `found-${hash}`);
  writeFileSync(path, name === "packet" ? `${Buffer.from(input).toString("hex")}\n` : input);
  console.error(`${name}, seed ${seed}: ${String(result.errorInstance)}\nwritten to ${path}`);
  process.exit(1);
}
