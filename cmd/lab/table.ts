import { lostPackets, type PingMatrix, type PingResult } from "../../pkg/lab/ping.ts";

const RED = "\u001b[31m";
const GREEN = "\u001b[32m";
const RESET = "\u001b[0m";

/** Columns as wide as their widest cell, two spaces apart. The first row is the heading. */
export function table(rows: readonly (readonly string[])[], indent = "  "): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows
    .map(
      (row) =>
        indent +
        row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join("  ")
          .trimEnd(),
    )
    .join("\n");
}

/** A ping matrix: mean round trips in milliseconds, or how much was lost in per cent. `colour` for terminals. */
export function pingTable(matrix: PingMatrix, colour: boolean): string {
  const width = Math.max(6, ...matrix.targets.map((name) => name.length));
  const first = Math.max(...matrix.sources.map((name) => name.length));
  const head = `  ${"".padEnd(first)}  ${matrix.targets.map((name) => name.padStart(width)).join("  ")}`;
  const rows = matrix.sources.map((source, row) => {
    const cells = matrix.targets.map((_, column) => paint(matrix.results[row]?.[column], width, colour));
    return `  ${source.padEnd(first)}  ${cells.join("  ")}`;
  });
  return [head, ...rows].join("\n");
}

/** "0 % lost (126 packets)" or "12 % lost (15 of 126 packets)". */
export function lossLine(matrix: PingMatrix): string {
  const { sent, lost } = lostPackets(matrix);
  if (lost === 0) return `0 % lost (${sent} packets)`;
  // Never rounded down to 0.
  return `${Math.max(1, Math.round((lost / sent) * 100))} % lost (${lost} of ${sent} packets)`;
}

/** "6.13 Gbit/s" or "812 Mbit/s". */
export function bitRate(bitsPerSecond: number): string {
  return bitsPerSecond >= 1e9
    ? `${(bitsPerSecond / 1e9).toFixed(2)} Gbit/s`
    : `${Math.round(bitsPerSecond / 1e6)} Mbit/s`;
}

function paint(result: PingResult | undefined, width: number, colour: boolean): string {
  if (!result) return "-".padStart(width);
  const lost = result.sent - result.received;
  const text = lost === 0 ? (result.rtt ?? 0).toFixed(2) : `${Math.round((lost / result.sent) * 100)} %`;
  const padded = text.padStart(width);
  return colour ? `${lost === 0 ? GREEN : RED}${padded}${RESET}` : padded;
}
