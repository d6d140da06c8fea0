import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Mutation } from "./mutation.ts";

/** What became of the tests that were asked for, those that were left out not counted. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** Of the first that failed, its first line; else why none ran. */
  readonly reason: string;
}

interface Report {
  /** Why there is none. */
  readonly missing?: string;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

// A test ends by its own time-out, unless what it tests never lets go of the thread.
const MOST_MS = 300_000;

/** What vitest compares with a test's full name. */
export function patternOf({ name, within }: Mutation["test"]): string {
  return (within === undefined ? "" : `${escaped(within)}.*`) + escaped(name);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Runs the tests in the working copy, each for `mostMs` at most, and tells of each how it went, in the same order. */
export async function runTests(
  directory: string,
  tests: readonly Mutation["test"][],
  { mostMs, signal }: { readonly mostMs: number; readonly signal: AbortSignal },
): Promise<readonly Outcome[]> {
  const file = join(directory, "mutation-report.json");
  rmSync(file, { force: true });
  const files = [...new Set(tests.map((test) => test.file))];
  const pattern = [...new Set(tests.map(patternOf))].join("|");
  const log = join(directory, "mutation.log");
  const args = [...files, "-t", pattern, `--testTimeout=${mostMs}`, "--reporter=json", `--outputFile=${file}`];
  await vitest(directory, args, log, signal);
  const report = readReport(file, log);
  return tests.map((test) => outcomeOf(report, join(directory, test.file), new RegExp(patternOf(test), "s")));
}

function readReport(file: string, log: string): Report {
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Report;
  const said = readFileSync(log, "utf8").trim().split("\n").at(-1);
  return { testResults: [], missing: `vitest did not come to its end: ${said}` };
}

function outcomeOf({ testResults, missing }: Report, file: string, pattern: RegExp): Outcome {
  const suite = testResults.find(({ name }) => name === file);
  const tests = suite?.assertionResults.filter(({ fullName }) => pattern.test(fullName)) ?? [];
  const failed = tests.filter(({ status }) => status === "failed");
  const passed = tests.filter(({ status }) => status === "passed");
  const message = failed[0]?.failureMessages[0] ?? suite?.message ?? missing ?? "vitest does not know the file";
  return { passed: passed.length, failed: failed.length, reason: message.split("\n")[0] ?? "" };
}

function vitest(directory: string, args: readonly string[], log: string, signal: AbortSignal): Promise<void> {
  const output = openSync(log, "w");
  return new Promise((resolve, reject) => {
    const child = spawn(join(directory, "node_modules/.bin/vitest"), ["run", ...args], {
      cwd: directory,
      stdio: ["ignore", output, output],
      // Wrong decisions show among fewer.
      env: { ...process.env, FUZZ_PACKETS: "200000" },
      // A group of its own, since its workers outlive it where they hang.
      detached: true,
    });
    closeSync(output);
    const kill = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    };
    const late = setTimeout(kill, MOST_MS);
    signal.addEventListener("abort", kill, { once: true });
    child.once("error", reject);
    // Its status says no more than the report.
    child.once("exit", () => {
      clearTimeout(late);
      signal.removeEventListener("abort", kill);
      resolve();
    });
  });
}
