import { MIXED, NAIVE, RUNGS, type Rung, rungId } from "./configurations.ts";
import type { FigureId } from "./figures.ts";
import { BASELINE, type Report, type UnderlayMode } from "./report.ts";
import { summarize } from "./summary.ts";

/** One thing that twill promises of its speed. */
export interface Gate {
  readonly title: string;
  readonly bound: "at least" | "at most";
  readonly target: number;
  /** What the target counts: times another configuration's figure, or a figure itself. */
  readonly unit: string;
  /** The median of the rounds; undefined where it was not measured. */
  readonly value: number | undefined;
  readonly met: boolean;
}

interface Promised {
  readonly title: string;
  /** A rung, or "best": the highest one that could be measured. */
  readonly of: Rung | "best" | typeof MIXED;
  readonly figure: FigureId;
  readonly underlay?: UnderlayMode;
  readonly bound?: "at most";
  readonly target: number;
  /** The configuration that it is a ratio to; kernel vxlan where it is left out, nothing for "absolute". */
  readonly to?: typeof NAIVE | "absolute";
}

const PROMISES: readonly Promised[] = [
  { title: "TCP 1 stream, tunnel-GSO", of: "tunnel-gso", figure: "tcp1", target: 0.7 },
  { title: "TCP 4 streams, tunnel-GSO", of: "tunnel-gso", figure: "tcp4", target: 0.65 },
  { title: "TCP 1 stream, UDP_SEGMENT", of: "gso", figure: "tcp1", target: 0.55 },
  { title: "TCP 4 streams, UDP_SEGMENT", of: "gso", figure: "tcp4", target: 0.45 },
  { title: "TCP 1 stream, wire-like underlay", of: "best", figure: "tcp1", underlay: "wire-like", target: 0.9 },
  { title: "TCP 1 stream, twill → kernel peer", of: MIXED, figure: "tcp1", target: 0.8 },
  { title: "TCP 1 stream, kernel peer → twill", of: MIXED, figure: "tcp1Reverse", target: 0.8 },
  { title: "UDP 64 B packets per second", of: "best", figure: "udp64", target: 2 },
  { title: "RTT mean", of: "best", figure: "rttMean", bound: "at most", target: 3.5 },
  { title: "RTT p99", of: "best", figure: "rttP99", bound: "at most", target: 4 },
  { title: "TCP 1 stream, one packet per call", of: "none", figure: "tcp1", target: 1, to: "absolute" },
  { title: "TCP 1 stream, against fs.read + node:dgram", of: "best", figure: "tcp1", target: 40, to: NAIVE },
];

/** Every promise with what the run has to say of it. */
export function checkGates(report: Report): Gate[] {
  return PROMISES.map((promise) => {
    const { title, bound = "at least", target, underlay = "offloads", to = BASELINE, figure } = promise;
    const configuration = configurationOf(report, promise);
    const absolute = to === "absolute";
    const value = summarize(report, { underlay, configuration }, figure, absolute ? undefined : to)?.median;
    const met = value !== undefined && (bound === "at least" ? value >= target : value <= target);
    return { title, bound, target, unit: absolute ? "Gbit/s" : `× ${titleOf(report, to)}`, value, met };
  });
}

function configurationOf(report: Report, { of }: Promised): string {
  if (of === MIXED) return of;
  return rungId(of === "best" ? bestRung(report) : of);
}

/** The highest rung that was measured, which is the one that twilld takes by itself. */
export function bestRung(report: Report): Rung {
  const measured = (rung: Rung): boolean => report.samples.some(({ configuration }) => configuration === rungId(rung));
  return RUNGS.find(measured) ?? "none";
}

function titleOf(report: Report, id: string): string {
  return report.configurations.find((each) => each.id === id)?.title ?? id;
}
