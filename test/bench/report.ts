import type { Figures } from "./figures.ts";
import type { Machine } from "./machine.ts";
import type { MeasureId } from "./measures.ts";

/** How the underlay's interfaces are set: as they come, or without offloads, so that the kernel works as before a wire. */
export type UnderlayMode = "offloads" | "wire-like";

/** Everything that a run has found out: what the JSON file holds. */
export interface Report {
  readonly version: string;
  /** Of the checkout; undefined outside of git. */
  readonly commit: string | undefined;
  /** Whether files of the checkout differed from the commit. */
  readonly modified: boolean;
  /** When the run began, ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  readonly rounds: number;
  /** Seconds of each TCP and UDP measurement. */
  readonly seconds: number;
  readonly configurations: readonly ConfigurationReport[];
  /** Share of all CPU time in use before each round, with every configuration up and none at work. */
  readonly background: readonly number[];
  readonly samples: readonly Sample[];
  readonly failures: readonly Failure[];
}

export interface ConfigurationReport {
  readonly id: string;
  readonly title: string;
  /** Why it could not be measured, as a sentence. */
  readonly unavailable?: string;
  /** What its agents said at warning level or above. */
  readonly complaints?: readonly string[];
}

interface Place {
  readonly round: number;
  readonly underlay: UnderlayMode;
  readonly configuration: string;
  readonly measure: MeasureId;
}

export interface Sample extends Place {
  readonly figures: Figures;
}

/** A measurement that gave no figures. */
export interface Failure extends Place {
  readonly message: string;
}

/** The configuration that ratios are taken to. */
export const BASELINE = "kernel-vxlan";
