import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "prettier";
import { ConfigError, errorCode } from "../../pkg/base/errors.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { chart } from "./chart.ts";
import { performanceDocument } from "./document.ts";
import type { Report } from "./report.ts";

/** Where the figures of the last full run are, beside the page that shows them. */
export const DOCS = join(TOP, "docs/performance");
const PAGE = join(TOP, "docs/performance.md");
const WIDTH = 120;

/** Writes bench.json, every single figure, and bench.svg into a directory. Returns their paths. */
export async function writeResults(directory: string, report: Report): Promise<string[]> {
  mkdirSync(directory, { recursive: true });
  const json = join(directory, "bench.json");
  const svg = join(directory, "bench.svg");
  writeFileSync(json, await format(JSON.stringify(report), { parser: "json", printWidth: WIDTH }));
  writeFileSync(svg, chart(report));
  return [json, svg];
}

/** Throws a ConfigError where no run has written any. */
export function readResults(directory: string): Report {
  const file = join(directory, "bench.json");
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Report;
  } catch (cause) {
    if (errorCode(cause) !== "ENOENT") throw new Error(`cannot read ${file}`, { cause });
    throw new ConfigError([`there is no ${file} yet: npm run bench writes it`], { cause });
  }
}

/** Writes docs/performance.md and its picture from the figures of the last full run. Returns their paths. */
export async function writeDocuments(): Promise<string[]> {
  const report = readResults(DOCS);
  const svg = join(DOCS, "bench.svg");
  writeFileSync(svg, chart(report));
  writeFileSync(PAGE, await formatDocument(report));
  return [PAGE, svg];
}

/** docs/performance.md as it is in the repository. */
export function formatDocument(report: Report): Promise<string> {
  return format(performanceDocument(report, "performance/bench.svg"), { parser: "markdown", printWidth: WIDTH });
}
