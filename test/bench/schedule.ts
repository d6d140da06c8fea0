import type { Measure } from "./measures.ts";
import type { UnderlayMode } from "./report.ts";
import type { Configuration } from "./testbed/testbed.ts";

/** One measurement of one configuration. */
export interface Step {
  /** From 1. */
  readonly round: number;
  readonly underlay: UnderlayMode;
  readonly measure: Measure;
  readonly configuration: Configuration;
}

export interface Plan {
  readonly rounds: number;
  readonly measures: readonly Measure[];
  readonly configurations: readonly Configuration[];
}

const MODES: readonly UnderlayMode[] = ["offloads", "wire-like"];
// The pause before each.
const BETWEEN_S = 0.1;

/**
 * The order of a sitting. Each measurement goes through all configurations before the next one begins, so that what is
 * compared lies seconds apart, and each round begins with another configuration, so that none is always the first or
 * follows always the same one.
 */
export function schedule(plan: Plan): Step[] {
  const steps: Step[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    for (const underlay of MODES) {
      for (const measure of plan.measures) {
        if (underlay === "wire-like" && !measure.wireLike) continue;
        for (const configuration of rotate(plan.configurations, round - 1)) {
          if (underlay === "wire-like" && !configuration.wireLike) continue;
          steps.push({ round, underlay, measure, configuration });
        }
      }
    }
  }
  return steps;
}

/** How long the steps take, in seconds, for measurements of `seconds`. */
export function estimate(steps: readonly Step[], seconds: number): number {
  return steps.reduce((sum, { measure }) => sum + measure.estimate(seconds) + BETWEEN_S, 0);
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
