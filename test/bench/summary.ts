import type { FigureId } from "./figures.ts";
import { BASELINE, type Report, type UnderlayMode } from "./report.ts";
import { median } from "./statistics.ts";

/** Middle, smallest and largest of the rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/**
 * The rounds of one figure put together. Undefined where nothing was measured. `to` makes it ratios to another
 * configuration: each round's value over the other's of the same round, and then the median of these, since the machine
 * is not the same from minute to minute. Rounds in which either is missing, or the other is 0, do not count.
 */
export function summarize(
  report: Report,
  place: { readonly underlay: UnderlayMode; readonly configuration: string },
  figure: FigureId,
  to?: string,
): Spread | undefined {
  const values = rounds(report, place.underlay, place.configuration, figure);
  const others = to === undefined ? undefined : rounds(report, place.underlay, to, figure);
  const taken: number[] = [];
  for (const [round, value] of values) {
    const other = others?.get(round);
    if (!others) taken.push(value);
    else if (other !== undefined && other > 0) taken.push(value / other);
  }
  return taken.length === 0 ? undefined : { median: median(taken), min: Math.min(...taken), max: Math.max(...taken) };
}

/** The ratio to the kernel's vxlan device. */
export function ratio(
  report: Report,
  place: { readonly underlay: UnderlayMode; readonly configuration: string },
  figure: FigureId,
): Spread | undefined {
  return summarize(report, place, figure, BASELINE);
}

function rounds(report: Report, underlay: UnderlayMode, configuration: string, figure: FigureId): Map<number, number> {
  const found = new Map<number, number>();
  for (const sample of report.samples) {
    const value = sample.figures[figure];
    if (sample.underlay !== underlay || sample.configuration !== configuration || value === undefined) continue;
    found.set(sample.round, value);
  }
  return found;
}
