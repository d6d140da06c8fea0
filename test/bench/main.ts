import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Screen } from "../../cmd/lab/progress.ts";
import { ConfigError, describeError } from "../../pkg/base/errors.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { obstacles } from "../../pkg/lab/preflight.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { type Command, parseArguments, type RunCommand } from "./arguments.ts";
import { CONFIGURATIONS } from "./configurations.ts";
import { checkGates } from "./gates.ts";
import { MEASURES } from "./measures.ts";
import { openTestbeds } from "./open-testbeds.ts";
import { duration, Progress } from "./progress.ts";
import type { Report } from "./report.ts";
import { DOCS, writeDocuments, writeResults } from "./results.ts";
import { estimate, schedule } from "./schedule.ts";
import { sit } from "./sitting.ts";
import { gateTable, resultTables, type Table } from "./tables.ts";
import { textTable } from "./text-table.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
const OTHER_RUNS = join(TOP, "dist/bench");
// What one configuration takes to be set up.
const OPEN_S = 3;
// Above this share of the CPU somebody else is at work.
const BUSY = 0.05;

const screen: Screen = { terminal: process.stdout.isTTY, write: (text) => void process.stdout.write(text) };

async function run(command: RunCommand, signal: AbortSignal): Promise<number> {
  const problems = await obstacles({ tun: true });
  if (problems.length > 0) throw new ConfigError(problems);
  const { rounds, seconds, only } = command;
  const configurations = CONFIGURATIONS.filter(({ id }) => only?.includes(id) ?? true);
  const most = schedule({ rounds, measures: MEASURES, configurations });
  const time = duration(estimate(most, seconds) + configurations.length * OPEN_S);
  screen.write(`${rounds} rounds, ${configurations.length} configurations, ${time} at most. Ctrl-C gives it up.\n`);
  const measured = await measure(command, configurations, signal);
  if (!measured) {
    screen.write("Given up; nothing is left behind.\n");
    return EXIT_INTERRUPTED;
  }
  const { report, broken } = measured;
  const gates = checkGates(report);
  for (const table of [...resultTables(report, "offloads"), ...resultTables(report, "wire-like")]) show(table);
  if (command.only === undefined) show(gateTable(gates));
  tellDoubts(report);
  for (const file of await write(command, report)) screen.write(`wrote ${file}\n`);
  if (broken || report.failures.length > 0) return EXIT_FAILED;
  return command.gate && gates.some(({ met }) => !met) ? EXIT_FAILED : 0;
}

/** Undefined where it was given up. Whatever happens, nothing is left behind. */
async function measure(
  { rounds, seconds }: RunCommand,
  configurations: typeof CONFIGURATIONS,
  signal: AbortSignal,
): Promise<{ readonly report: Report; readonly broken: boolean } | undefined> {
  let lab: Lab | undefined;
  // What runs in the lab is ended at once, so that nobody waits for it.
  const giveUp = (): void => void lab?.close();
  try {
    lab = await Lab.create({ config: "none", signal });
    signal.addEventListener("abort", giveUp, { once: true });
    const opening = new Progress(screen, [], seconds);
    const opened = await openTestbeds(lab, configurations, signal, opening);
    const steps = schedule({
      rounds,
      measures: MEASURES,
      configurations: configurations.filter(({ id }) => opened.testbeds.has(id)),
    });
    screen.write(`Everything is set up; measuring takes about ${duration(estimate(steps, seconds))}.\n`);
    const progress = new Progress(screen, steps, seconds);
    const report = await sit({ lab, configurations, opened, steps, rounds, seconds, signal, progress });
    return { report, broken: opened.broken };
  } catch (error) {
    // What fails once it was given up fails because of that.
    if (!signal.aborted) throw error;
    return undefined;
  } finally {
    await lab?.close();
  }
}

async function write({ quick, only, out }: RunCommand, report: Report): Promise<string[]> {
  if (out !== undefined) return writeResults(resolve(out), report);
  // The page shows full runs alone.
  if (quick || only !== undefined) return writeResults(OTHER_RUNS, report);
  const [json = ""] = await writeResults(DOCS, report);
  return [json, ...(await writeDocuments())];
}

function show({ title, rows, aligns }: Table): void {
  screen.write(`\n${title}\n${textTable(rows, aligns)}\n`);
}

function tellDoubts({ background, configurations, failures, machine }: Report): void {
  screen.write(`\nBoth nodes and both pods share the ${machine.cores} cores of this machine.\n`);
  const busiest = Math.max(...background);
  if (busiest > BUSY) {
    screen.write(
      `Others used up to ${Math.round(busiest * 100)} % of the CPU before the rounds: measure again in peace.\n`,
    );
  }
  if (failures.length > 0) screen.write(`${failures.length} measurements failed.\n`);
  for (const { title, complaints = [] } of configurations) {
    for (const complaint of new Set(complaints)) screen.write(`${title} warned: ${complaint}\n`);
  }
}

function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => controller.abort());
  return controller.signal;
}

async function execute(command: Command): Promise<number> {
  switch (command.command) {
    case "help":
      screen.write(readFileSync(join(import.meta.dirname, "usage.txt"), "utf8"));
      return 0;
    case "write-docs":
      for (const file of await writeDocuments()) screen.write(`wrote ${file}\n`);
      return 0;
    case "run":
      return run(command, stopSignal());
  }
}

async function main(args: readonly string[]): Promise<number> {
  let command: Command | undefined;
  try {
    command = parseArguments(
      args,
      CONFIGURATIONS.map(({ id }) => id),
    );
    return await execute(command);
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [describeError(error)];
    for (const problem of problems) process.stderr.write(`bench: ${problem}\n`);
    return command ? EXIT_FAILED : EXIT_USAGE;
  }
}

process.exitCode = await main(process.argv.slice(2));
