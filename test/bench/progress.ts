import type { Screen } from "../../cmd/lab/progress.ts";
import type { Step } from "./schedule.ts";
import { estimate } from "./schedule.ts";

/** One line that says what is being measured and how long it will still take; without a terminal, one for each round. */
export class Progress {
  readonly #screen: Screen;
  readonly #steps: readonly Step[];
  readonly #seconds: number;
  #round = 0;

  constructor(screen: Screen, steps: readonly Step[], seconds: number) {
    this.#screen = screen;
    this.#steps = steps;
    this.#seconds = seconds;
  }

  /** The `i`th step begins. */
  begin(i: number): void {
    const step = this.#steps[i];
    if (!step) return;
    const left = duration(estimate(this.#steps.slice(i), this.#seconds));
    const rounds = this.#steps.at(-1)?.round ?? step.round;
    if (this.#screen.terminal) {
      const what = `${step.measure.title}, ${step.configuration.title}${step.underlay === "wire-like" ? ", wire-like" : ""}`;
      this.#line(`  round ${step.round} of ${rounds}, ${left} left: ${what}`);
    } else if (step.round !== this.#round) {
      this.#screen.write(`  round ${step.round} of ${rounds}, ${left} left\n`);
    }
    this.#round = step.round;
  }

  /** Leaves a line that stays. */
  say(text: string): void {
    if (this.#screen.terminal) this.#line("");
    this.#screen.write(`  ${text}\n`);
  }

  end(): void {
    if (this.#screen.terminal) this.#line("");
  }

  #line(text: string): void {
    // Carriage return, then erase to the end of the line (ECMA-48 EL).
    this.#screen.write(`\r\u001b[K${text}`);
  }
}

/** "40 s", "12 min". */
export function duration(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
