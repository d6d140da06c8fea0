import { cell } from "../reliability/document.ts";
import type { Mutation } from "./mutation.ts";
import type { Verdict } from "./verdicts.ts";

const WORDS: Readonly<Record<Verdict, string>> = { red: "yes", green: "**no**", broken: "**its test fails as it is**" };

/** Faults, handlings, tests and verdicts as a Markdown table. */
export function mutationTable(mutations: readonly Mutation[], verdict: (of: Mutation) => Verdict | undefined): string {
  const rows = mutations.map((mutation) => {
    const { fault, handling, edits, test } = mutation;
    const judged = verdict(mutation);
    const red = judged === undefined ? "**not tried**" : WORDS[judged];
    return `| ${[fault, `${handling} (\`${edits[0].file}\`)`, `\`${test.file}\`: ${test.name}`, red].map(cell).join(" | ")} |`;
  });
  return ["| fault | handling | test | red without it |", "| --- | --- | --- | --- |", ...rows].join("\n");
}
