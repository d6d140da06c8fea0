// `npm run soak`: much data over every rung of the offload ladder, compared bit by bit. A run of the full size writes
// docs/soak.md; a smaller one, by TRANSFER_MB, writes dist/soak.md.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { format } from "prettier";
import { systemClock } from "../../../pkg/base/clock.ts";
import { describeError } from "../../../pkg/base/errors.ts";
import { VERSION } from "../../../pkg/base/version.ts";
import { RUNGS } from "../../../pkg/dataplane/tun/offload.ts";
import { obstacles } from "../../../pkg/lab/preflight.ts";
import { TOP } from "../../../pkg/lab/programs.ts";
import { describeCheckout, describeMachine } from "../machine.ts";
import { soakDocument } from "./document.ts";
import { type RungReport, soakPassed, type SoakReport } from "./report.ts";
import { soakRung } from "./rung.ts";

const FULL_MB = 10_000;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function run(megabytes: number): Promise<SoakReport> {
  const date = new Date(systemClock.wall()).toISOString();
  const checkout = await describeCheckout();
  const rungs: RungReport[] = [];
  for (const rung of RUNGS) rungs.push(await soakRung(rung, megabytes * 1e6, say));
  return { date, ...checkout, version: VERSION, machine: await describeMachine(), bytes: megabytes * 1e6, rungs };
}

async function main(): Promise<number> {
  const given = process.env["TRANSFER_MB"];
  const megabytes = Number(given ?? FULL_MB);
  if (!Number.isInteger(megabytes) || megabytes < 1) {
    process.stderr.write(`soak: TRANSFER_MB is "${given}": give a whole number of megabytes\n`);
    return 2;
  }
  const problems = await obstacles({ tun: true });
  for (const problem of problems) process.stderr.write(`soak: ${problem}\n`);
  if (problems.length > 0) return 1;
  const report = await run(megabytes);
  const file = join(TOP, megabytes >= FULL_MB ? "docs/soak.md" : "dist/soak.md");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, await format(soakDocument(report), { parser: "markdown", printWidth: 120 }));
  say(`wrote ${file}`);
  return soakPassed(report) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`soak: ${describeError(error)}\n`);
  process.exitCode = 1;
}
