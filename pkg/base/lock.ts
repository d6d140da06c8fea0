/** Runs one piece of work after another, in the order in which they were asked for. */
export class Lock {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work);
    // Whoever comes next waits for the end, however it was; the error belongs to the caller.
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}
