/** When each packet loop has turned last. */
export class PacketLoops {
  readonly #patience: number;
  readonly #last: { turns: number; at: number }[] = [];

  /** `patience`: milliseconds without a turn. A loop that lives turns once a second at least. */
  constructor(patience: number) {
    this.#patience = patience;
  }

  /** Whether all have turned lately. A plane that was opened anew begins to count anew. */
  move(turns: readonly number[], now: number): boolean {
    this.#last.length = Math.min(this.#last.length, turns.length);
    turns.forEach((count, i) => {
      if (this.#last[i]?.turns !== count) this.#last[i] = { turns: count, at: now };
    });
    return this.#last.every(({ at }) => now - at <= this.#patience);
  }
}
