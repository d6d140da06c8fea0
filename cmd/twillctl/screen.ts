import { printable } from "../../pkg/base/printable.ts";

/** What the output is for. */
export interface Screen {
  /** Columns of the terminal; undefined where the output is not one, and nothing is cut. */
  readonly width: number | undefined;
  readonly colours: boolean;
  /** Milliseconds since 1970, to say how long ago something was. */
  readonly now: number;
}

export interface Cell {
  readonly text: string;
  readonly colour?: Colour;
}

export type Colour = "red" | "green" | "yellow" | "bold" | "dim";

// ECMA-48 section 8.3.117, select graphic rendition.
const SGR = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

const GAP = "  ";
const NARROWEST = 6;

/** Rows as aligned columns below a heading. On a terminal the widest columns are cut until the lines fit. */
export function table(heading: readonly string[], rows: readonly (readonly Cell[])[], screen: Screen): string {
  const all = [heading.map((text): Cell => ({ text, colour: "dim" })), ...rows];
  const widths = heading.map((_, i) => Math.max(...all.map((row) => letters(printable(row[i]?.text ?? "")).length)));
  if (screen.width !== undefined) shrink(widths, screen.width - GAP.length * (widths.length - 1));
  const lines = all.map((row) => {
    const cells = row.map((cell, i) => {
      const text = fit(printable(cell.text), widths[i] ?? 0);
      const padding = i === row.length - 1 ? 0 : (widths[i] ?? 0) - letters(text).length;
      return paint(text, cell.colour, screen) + " ".repeat(padding);
    });
    return cells.join(GAP).trimEnd();
  });
  return `${lines.join("\n")}\n`;
}

/** The text in a colour, where the screen has colours. */
export function paint(text: string, colour: Colour | undefined, screen: Screen): string {
  return colour && screen.colours && text !== "" ? `\u001b[${SGR[colour]}m${text}\u001b[0m` : text;
}

function shrink(widths: number[], room: number): void {
  let over = widths.reduce((sum, width) => sum + width, 0) - room;
  while (over > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    const width = widths[widest] ?? 0;
    if (width <= NARROWEST) return;
    widths[widest] = width - 1;
    over--;
  }
}

function fit(text: string, width: number): string {
  const all = letters(text);
  return all.length <= width ? text : `${all.slice(0, width - 1).join("")}…`;
}

// Code points: near enough to columns for names of hosts and interfaces.
function letters(text: string): string[] {
  return Array.from(text);
}
