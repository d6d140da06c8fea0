// npm run mutations -- [--area NAME] [--only TEXT]: takes out the handling of each fault in turn, in a copy of the checkout,
// runs the fault's test there and demands that it turns red. Writes what it saw into docs/reliability.md, unless it ran only
// a part of an area. Exit codes: 0 all red, 1 not, 2 wrong arguments. It wants root, as the tests do.

import { parseArgs } from "node:util";
import { systemClock } from "../../pkg/base/clock.ts";
import { describeError } from "../../pkg/base/errors.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { writeSection } from "../reliability/document.ts";
import { AREAS } from "./areas.ts";
import { mutationTable, type Verdict } from "./mutation-table.ts";
import type { Mutation } from "./mutation.ts";
import { type Outcome, runTests } from "./run-tests.ts";
import { WorkingCopy } from "./working-copy.ts";

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const stop = new AbortController();
// A busy machine must not make a test red that is green; nor must one that waits for what never comes take for ever.
const asItIs = { mostMs: 60_000, signal: stop.signal };
const without = { mostMs: 30_000, signal: stop.signal };
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());

/** What becomes of each fault's test without its handling. Throws an Error where a test is not green as things are. */
async function judge(mutations: readonly Mutation[]): Promise<readonly Verdict[]> {
  using copy = new WorkingCopy(TOP);
  const tests = mutations.map(({ test }) => test);
  const before = await runTests(copy.directory, tests, asItIs);
  for (const [i, test] of tests.entries()) {
    let outcome = before[i];
    // One that was late because all ran at once gets another chance.
    if (!isGreen(outcome)) [outcome] = await runTests(copy.directory, [test], asItIs);
    if (!isGreen(outcome)) throw new Error(`not green as it is: ${test.file}: ${test.name}: ${outcome?.reason}`);
  }
  const verdicts: Verdict[] = [];
  for (const mutation of mutations) {
    const restore = copy.apply(mutation.edits);
    const began = systemClock.now();
    const [outcome] = await runTests(copy.directory, [mutation.test], without);
    restore();
    stop.signal.throwIfAborted();
    const red = (outcome?.failed ?? 0) > 0;
    const seconds = Math.round((systemClock.now() - began) / 1000);
    say(`${red ? "red " : "GREEN"}  ${mutation.fault} (${seconds} s)\n       ${outcome?.reason}`);
    verdicts.push({ mutation, red });
  }
  return verdicts;
}

function isGreen(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && outcome.passed > 0 && outcome.failed === 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { area: { type: "string" }, only: { type: "string" } } });
  const areas = Object.entries(AREAS).filter(([name]) => values.area === undefined || name === values.area);
  if (areas.length === 0) {
    process.stderr.write(`mutations: there is no area ${values.area}, only ${Object.keys(AREAS).join(", ")}\n`);
    return 2;
  }
  let green = 0;
  for (const [name, mutations] of areas) {
    const wanted = mutations.filter(({ fault }) => values.only === undefined || fault.includes(values.only));
    if (wanted.length === 0) continue;
    say(`\n${name}: ${wanted.length} faults`);
    const verdicts = await judge(wanted);
    green += verdicts.filter(({ red }) => !red).length;
    if (wanted.length === mutations.length) await writeSection(`mutations ${name}`, mutationTable(verdicts));
  }
  say(green === 0 ? "\nevery test turned red" : `\n${green} tests stayed green`);
  return green === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`mutations: ${describeError(error)}\n`);
  process.exitCode = 1;
}
