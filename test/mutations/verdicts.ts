import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { format } from "prettier";
import { TOP } from "../../pkg/lab/programs.ts";
import type { Mutation } from "./mutation.ts";

/** What became of a fault's test: "red" without the handling, "green" without it, or "broken", not green as things are. */
export type Verdict = "red" | "green" | "broken";

const FILE = join(TOP, "docs/reliability/mutations.json");

/** The verdicts of the last runs, of which each may have judged a few faults. One holds for a patch and a test as they were. */
export class Verdicts {
  readonly #all: Record<string, Verdict>;

  private constructor(all: Record<string, Verdict>) {
    this.#all = all;
  }

  static load(): Verdicts {
    return new Verdicts(existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Record<string, Verdict>) : {});
  }

  /** Undefined for a fault that was not judged since it was written. */
  get(mutation: Mutation): Verdict | undefined {
    return this.#all[keyOf(mutation)];
  }

  set(mutation: Mutation, verdict: Verdict): void {
    this.#all[keyOf(mutation)] = verdict;
  }

  /** Keeps those of these mutations, and no others. */
  async save(mutations: readonly Mutation[]): Promise<void> {
    const kept = mutations.flatMap((each) => {
      const verdict = this.get(each);
      return verdict === undefined ? [] : [[keyOf(each), verdict] as const];
    });
    mkdirSync(dirname(FILE), { recursive: true });
    writeFileSync(FILE, await format(JSON.stringify(Object.fromEntries(kept)), { parser: "json" }));
  }
}

function keyOf({ fault, edits, test }: Mutation): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([edits, test]))
    .digest("hex")
    .slice(0, 8);
  return `${fault} (${hash})`;
}
