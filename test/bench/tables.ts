import { type FigureId, FIGURES, GROUPS } from "./figures.ts";
import type { Gate } from "./gates.ts";
import { BASELINE, type ConfigurationReport, type Report, type UnderlayMode } from "./report.ts";
import { ratio, type Spread, summarize } from "./summary.ts";
import type { Align } from "./text-table.ts";

/** A table without a look: it becomes text or Markdown. */
export interface Table {
  readonly title: string;
  readonly rows: readonly (readonly string[])[];
  readonly aligns: readonly Align[];
}

/** What a row begins with whose configuration could not be set up. */
export const NOT_AVAILABLE = "not available: ";

const MODES: Readonly<Record<UnderlayMode, string>> = {
  offloads: "underlay with offloads",
  "wire-like": "wire-like underlay (no offloads)",
};

/** The tables of one kind of underlay, one for each group of figures; none for a group of which nothing was measured. */
export function resultTables(report: Report, underlay: UnderlayMode): Table[] {
  return GROUPS.flatMap(({ title, figures }) => {
    const columns = figures.flatMap((figure) => columnsOf(report, underlay, figure));
    if (columns.length === 0) return [];
    const rows = report.configurations.flatMap((each) => row(underlay, each, columns));
    const head = ["", ...columns.map((column) => column.title)];
    const aligns = ["left" as const, ...columns.map(({ align }) => align)];
    return [{ title: `${title}; ${MODES[underlay]}`, rows: [head, ...rows], aligns }];
  });
}

/** What was promised and what the run says of it. */
export function gateTable(gates: readonly Gate[]): Table {
  const rows = gates.map(({ title, bound, target, unit, value, met }) => [
    title,
    `${bound} ${target.toFixed(2)} ${unit}`,
    value === undefined ? "not measured" : value.toFixed(2),
    met ? "met" : "not met",
  ]);
  return {
    title: "What it must show",
    rows: [["", "target", "median", ""], ...rows],
    aligns: ["left", "left", "right", "left"],
  };
}

interface Column {
  readonly title: string;
  readonly align: Align;
  /** Empty where there is nothing to show. */
  readonly cell: (configuration: string) => string;
}

// The figure, and its ratio where any configuration has one beside the baseline.
function columnsOf(report: Report, underlay: UnderlayMode, figure: FigureId): Column[] {
  const { title, digits } = FIGURES[figure];
  const value = (configuration: string): string =>
    summarize(report, { underlay, configuration }, figure)?.median.toFixed(digits) ?? "";
  const times = (configuration: string): string =>
    configuration === BASELINE ? "" : ratioText(ratio(report, { underlay, configuration }, figure));
  const columns: Column[] = [
    { title, align: "right", cell: value },
    { title: "ratio", align: "left", cell: times },
  ];
  return columns.filter(({ cell }) => report.configurations.some(({ id }) => cell(id) !== ""));
}

function row(
  underlay: UnderlayMode,
  { id, title, unavailable }: ConfigurationReport,
  columns: readonly Column[],
): string[][] {
  // Told once, with the first kind of underlay.
  if (unavailable !== undefined) return underlay === "offloads" ? [[title, `${NOT_AVAILABLE}${unavailable}`]] : [];
  const cells = columns.map(({ cell }) => cell(id));
  if (cells.every((cell) => cell === "")) return [];
  return [[title, ...cells.map((cell, i) => (cell === "" && columns[i]?.align === "right" ? "-" : cell))]];
}

function ratioText(spread: Spread | undefined): string {
  if (spread === undefined) return "";
  const { median, min, max } = spread;
  return min === max ? factor(median) : `${factor(median)} (${factor(min)}-${factor(max)})`;
}

/** Two digits that count, three from 10 up: "0.70", "3.5" as "3.50", "44.4", "0.013". */
export function factor(value: number): string {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value.toFixed(value >= 0.1 ? 2 : 3);
}
