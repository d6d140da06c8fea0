import { type Random, seededRandom } from "../../pkg/base/backoff.ts";

/** What a fault strikes: one of the nodes, or etcd. */
export type Kind = "node" | "etcd";

export interface Planned {
  /** When it begins, in milliseconds from the start of the run. */
  readonly atMs: number;
  /** How long it stays before it is taken back. */
  readonly holdMs: number;
  readonly fault: string;
  /** "etcd" or the number of a node, from 1. */
  readonly target: "etcd" | number;
}

export interface ScheduleOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly nodes: number;
  readonly faults: readonly {
    readonly name: string;
    readonly kind: Kind;
    readonly longestMs: number;
    /** The shortest that it stays; 200 ms where it is left out. */
    readonly leastMs?: number;
  }[];
}

// Two faults at a time, on different targets, and between them time to see that everything came back.
const LANES = 2;
const GAP_MS = { least: 1_000, most: 6_000 };
const LEAST_HOLD_MS = 200;
// The last faults end this long before the run does.
const CALM_MS = 10_000;

/** What is to be broken, when and for how long, in order of time: the same for the same options. */
export function makeSchedule(options: ScheduleOptions): readonly Planned[] {
  const random = seededRandom(options.seed);
  const end = options.minutes * 60_000 - CALM_MS;
  const planned: Planned[] = [];
  const free = Array.from({ length: LANES }, () => between(random, GAP_MS.least, GAP_MS.most));
  for (;;) {
    const lane = free.indexOf(Math.min(...free));
    const atMs = Math.round(free[lane] ?? 0);
    const fault = options.faults[Math.floor(random() * options.faults.length)];
    if (!fault) throw new RangeError("there are no faults to choose from");
    const holdMs = Math.round(between(random, fault.leastMs ?? LEAST_HOLD_MS, fault.longestMs));
    if (atMs + LEAST_HOLD_MS > end) return planned;
    if (atMs + holdMs > end) {
      // Too long for what is left; a shorter one may fit.
      free[lane] = atMs + GAP_MS.least;
      continue;
    }
    const busy = planned.filter((other) => other.atMs + other.holdMs + GAP_MS.least > atMs).map(({ target }) => target);
    const targets =
      fault.kind === "etcd" ? (["etcd"] as const) : Array.from({ length: options.nodes }, (_, i) => i + 1);
    const open = targets.filter((target) => !busy.includes(target));
    const target = open[Math.floor(random() * open.length)];
    if (target !== undefined) planned.push({ atMs, holdMs, fault: fault.name, target });
    free[lane] = atMs + (target === undefined ? 0 : holdMs) + between(random, GAP_MS.least, GAP_MS.most);
  }
}

function between(random: Random, least: number, most: number): number {
  return least + random() * (most - least);
}
