/** How a column's cells stand. */
export type Align = "left" | "right";

/** Columns as wide as their widest cell, two spaces apart; the first row is the heading. */
export function textTable(rows: readonly (readonly string[])[], aligns: readonly Align[], indent = "  "): string {
  // A row that ends early may have a last cell as long as it likes: a sentence in place of the figures.
  const isSentence = (row: readonly string[], i: number): boolean => i === row.length - 1 && i < aligns.length - 1;
  const widths = aligns.map((_, i) => Math.max(...rows.map((row) => (isSentence(row, i) ? 0 : (row[i]?.length ?? 0)))));
  return rows
    .map((row) => {
      const cells = row.map((cell, i) => {
        if (isSentence(row, i)) return cell;
        return aligns[i] === "right" ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0);
      });
      return (indent + cells.join("  ")).trimEnd();
    })
    .join("\n");
}

/** A table in Markdown, not aligned: that is the formatter's. */
export function markdownTable(rows: readonly (readonly string[])[], aligns: readonly Align[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const [head = [], ...body] = rows.map((row) => aligns.map((_, i) => (row[i] ?? "").replaceAll("|", String.raw`\|`)));
  const rule = aligns.map((align) => (align === "right" ? "---:" : "---"));
  return [head, rule, ...body].map(line).join("\n");
}
