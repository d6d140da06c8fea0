// npm run mutations -- [--area NAME] [--only TEXT] [--missing] [--quick]: takes out the handling of each fault in turn, in a copy of
// the checkout, runs the fault's test there and demands that it turns red. --only takes faults that have TEXT in their name,
// --missing those that are not known to be red, --quick those whose tests need no lab. Writes what it saw into docs/reliability.md, beside what earlier runs saw of
// the others. Exit codes: 0 all red, 1 not, 2 wrong arguments. It wants root, as the tests do.

import { parseArgs } from "node:util";
import { systemClock } from "../../pkg/base/clock.ts";
import { describeError } from "../../pkg/base/errors.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { writeSection } from "../reliability/document.ts";
import { AREAS } from "./areas.ts";
import { mutationTable } from "./mutation-table.ts";
import type { Mutation } from "./mutation.ts";
import { type Outcome, runTests } from "./run-tests.ts";
import { type Verdict, Verdicts } from "./verdicts.ts";
import { WorkingCopy } from "./working-copy.ts";

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const stop = new AbortController();
// A busy machine must not make a test red that is green; nor must one that waits for what never comes take for ever.
const asItIs = { mostMs: 60_000, signal: stop.signal };
const without = { mostMs: 30_000, signal: stop.signal };
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());

/** What becomes of the fault's test as things are, and then without the handling. */
async function judge(copy: WorkingCopy, mutation: Mutation, known: Outcome | undefined): Promise<[Verdict, string]> {
  const run = async (limits: typeof asItIs): Promise<Outcome | undefined> => {
    const [outcome] = await runTests(copy.directory, [mutation.test], limits);
    stop.signal.throwIfAborted();
    return outcome;
  };
  // One that was late because all ran at once gets another chance.
  const before = isGreen(known) ? known : await run(asItIs);
  if (!isGreen(before)) return ["broken", before?.reason ?? ""];
  const restore = copy.apply(mutation.edits);
  const after = await run(without);
  restore();
  return [after && after.failed > 0 ? "red" : "green", after?.reason ?? ""];
}

function isGreen(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && outcome.passed > 0 && outcome.failed === 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      area: { type: "string" },
      only: { type: "string" },
      missing: { type: "boolean" },
      quick: { type: "boolean" },
    },
  });
  const areas = Object.entries(AREAS).filter(([name]) => values.area === undefined || name === values.area);
  if (areas.length === 0) {
    process.stderr.write(`mutations: there is no area ${values.area}, only ${Object.keys(AREAS).join(", ")}\n`);
    return 2;
  }
  using copy = new WorkingCopy(TOP);
  const verdicts = Verdicts.load();
  for (const [area, mutations] of areas) {
    const wanted = mutations.filter(
      (each) =>
        (values.only === undefined || each.fault.includes(values.only)) &&
        !(values.missing === true && verdicts.get(each) === "red") &&
        !(values.quick === true && each.test.file.startsWith("test/netns/")),
    );
    if (wanted.length === 0) continue;
    say(`\n${area}: ${wanted.length} faults`);
    const tests = wanted.map(({ test }) => test);
    const before = await runTests(copy.directory, tests, asItIs);
    for (const [i, mutation] of wanted.entries()) {
      const began = systemClock.now();
      const [verdict, reason] = await judge(copy, mutation, before[i]);
      const seconds = Math.round((systemClock.now() - began) / 1000);
      say(`${verdict === "red" ? "red" : verdict.toUpperCase()}  ${mutation.fault} (${seconds} s)\n       ${reason}`);
      verdicts.set(mutation, verdict);
      await verdicts.save(Object.values(AREAS).flat());
      await writeSection(
        `mutations ${area}`,
        mutationTable(mutations, (each) => verdicts.get(each)),
      );
    }
  }
  const left = areas.flatMap(([, mutations]) => mutations.filter((each) => verdicts.get(each) !== "red"));
  for (const { fault } of left) say(`not known to be red: ${fault}`);
  if (left.length === 0) say("every test is red without the handling");
  return left.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`mutations: ${describeError(error)}\n`);
  process.exitCode = 1;
}
