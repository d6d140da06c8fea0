import type { Surroundings } from "./surroundings.ts";

/** "error": something is broken; "warning": it will be, or is for some; "note": worth knowing, or could not be looked at. */
export type Severity = "error" | "warning" | "note";

/** Something that is wrong on this host or in the cluster. */
export interface Finding {
  readonly severity: Severity;
  /** What is wrong, a clause. */
  readonly what: string;
  /** What shows it. */
  readonly evidence: string;
  /** A command that mends it, or shows the way. */
  readonly fix: string;
}

/** Looks at one thing. It may throw: then that it could not look is a note. */
export interface Check {
  readonly name: string;
  readonly run: (around: Surroundings) => Promise<readonly Finding[]>;
}
