// What every test that makes network namespaces begins with.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const TOP = join(import.meta.dirname, "../..");

/** Whether these tests must be skipped, for `skipIf`. */
export const notRoot = process.geteuid?.() !== 0;

/** A title that says why its tests were skipped. */
export function rootTitle(title: string): string {
  return notRoot ? `${title} (skipped: network namespaces need root here)` : title;
}

let built: Promise<unknown> | undefined;

/** Builds the programs in dist from the sources as they are, once for each test file. */
export async function buildPrograms(): Promise<void> {
  built ??= promisify(execFile)("npm", ["run", "build"], { cwd: TOP });
  await built;
}
