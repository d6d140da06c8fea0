// Commands with their output in a document, as "$ command" blocks of Markdown.
import { readFileSync, writeFileSync } from "node:fs";

export interface Documented {
  /** Without the "$ ". */
  readonly command: string;
  readonly lines: readonly string[];
}

const BLOCK = /```console\n\$ ([^\n]*)\n([\s\S]*?)```/g;

export function documented(file: string): Documented[] {
  return [...readFileSync(file, "utf8").matchAll(BLOCK)].map(([, command = "", output = ""]) => ({
    command,
    lines: output.split("\n").filter((line) => line !== ""),
  }));
}

/** Puts the outputs in the places of the old ones, in order. */
export function document(file: string, outputs: readonly string[]): void {
  let i = 0;
  const text = readFileSync(file, "utf8").replaceAll(
    BLOCK,
    (_, command: string) => `\`\`\`console\n$ ${command}\n${outputs[i++]?.replaceAll(/[ \t]+$/gm, "") ?? ""}\`\`\``,
  );
  writeFileSync(file, text);
}

/** A line with what differs from run to run made equal: numbers, addresses, amounts, times, the width of columns. */
export function skeleton(line: string): string {
  return line
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, "#")
    .replaceAll(/\d[\d.:/]*/g, "#")
    .replaceAll(/# ([kMG]?B(\/s)?|ms|s|min|h|d|%)(?= |$|[,:])/g, "#")
    .replaceAll(/(?<= )-(?= )/g, "#")
    .replaceAll(/#( #)+(?= )/g, "#")
    .replaceAll(/[ \t]+/g, " ")
    .replaceAll(/#( #)+/g, "#")
    .trim();
}
