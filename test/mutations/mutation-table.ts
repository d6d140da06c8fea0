import { cell } from "../reliability/document.ts";
import type { Mutation } from "./mutation.ts";

export interface Verdict {
  readonly mutation: Mutation;
  /** Whether the test failed without the handling. */
  readonly red: boolean;
}

/** Faults, handlings, tests and verdicts as a Markdown table. */
export function mutationTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ mutation: { fault, handling, edits, test }, red }) => {
    const cells = [
      fault,
      `${handling} (\`${edits[0].file}\`)`,
      `\`${test.file}\`: ${test.name}`,
      red ? "yes" : "**no**",
    ];
    return `| ${cells.map(cell).join(" | ")} |`;
  });
  return ["| fault | handling | test | red without it |", "| --- | --- | --- | --- |", ...rows].join("\n");
}
