import type { Clock } from "../../pkg/base/clock.ts";
import type { Step } from "../../pkg/lab/lab.ts";

export interface Screen {
  /** Whether a line may be written over. */
  readonly terminal: boolean;
  write(text: string): void;
}

/** One line for each step: counting while it gets on, on a terminal, and how long it took once it is done. */
export class Progress {
  readonly #screen: Screen;
  readonly #clock: Clock;
  #title: string | undefined;
  #startedAt = 0;

  constructor(screen: Screen, clock: Clock) {
    this.#screen = screen;
    this.#clock = clock;
  }

  readonly show = ({ title, done, of }: Step): void => {
    if (title !== this.#title) {
      this.#title = title;
      this.#startedAt = this.#clock.now();
    }
    const count = of === 1 ? "" : ` ${done} of ${of}`;
    if (done === of) {
      const seconds = ((this.#clock.now() - this.#startedAt) / 1000).toFixed(1);
      this.#line(`  ${`${title}${count}`.padEnd(28)} ${seconds} s\n`);
      this.#title = undefined;
    } else if (this.#screen.terminal) this.#line(`  ${title}${count} ...`);
  };

  /** Leaves a line that is still counting. */
  interrupt(): void {
    if (this.#title !== undefined && this.#screen.terminal) this.#screen.write("\n");
    this.#title = undefined;
  }

  #line(text: string): void {
    // Carriage return, then erase to the end of the line (ECMA-48 EL).
    this.#screen.write(this.#screen.terminal ? `\r\u001b[K${text}` : text);
  }
}
