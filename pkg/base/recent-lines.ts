/** The last lines of something that goes on for ever, numbered from 1. */
export class RecentLines {
  readonly #most: number;
  readonly #lines: { readonly sequence: number; readonly text: string }[] = [];
  #sequence = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(text: string): void {
    this.#lines.push({ sequence: ++this.#sequence, text });
    if (this.#lines.length > this.#most) this.#lines.shift();
  }

  /** Those behind a number: 0 for all that are left. */
  after(sequence: number): readonly { readonly sequence: number; readonly text: string }[] {
    return this.#lines.filter((line) => line.sequence > sequence);
  }
}
