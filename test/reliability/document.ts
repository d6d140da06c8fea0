// docs/reliability.md, of which every section is written by the program that has measured it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "prettier";
import { TOP } from "../../pkg/lab/programs.ts";

export const RELIABILITY = join(TOP, "docs/reliability.md");

/** The document with another text between the marks of a section. Throws an Error where it has no such section. */
export function withSection(document: string, name: string, markdown: string): string {
  const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`];
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/reliability.md has no section ${name}`);
  return `${document.slice(0, from + begin.length)}\n\n${markdown.trim()}\n\n${document.slice(to)}`;
}

/** Puts a section into docs/reliability.md. */
export async function writeSection(name: string, markdown: string): Promise<void> {
  const text = withSection(readFileSync(RELIABILITY, "utf8"), name, markdown);
  writeFileSync(RELIABILITY, await format(text, { parser: "markdown", printWidth: 120 }));
}

/** A cell of a Markdown table. */
export function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
