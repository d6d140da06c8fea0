/** One place in the sources, and what stands there without the handling of a fault. */
export interface Edit {
  /** From the top of the checkout. */
  readonly file: string;
  /** What stands there now, to the letter; nowhere else in the file. */
  readonly find: string;
  readonly replace: string;
}

/** A fault, what is done about it, and the test that turns red without that. */
export interface Mutation {
  /** What happens, for people. */
  readonly fault: string;
  /** What is done about it, for people; the place is that of the first edit. */
  readonly handling: string;
  /** What takes it out. */
  readonly edits: readonly [Edit, ...Edit[]];
  readonly test: {
    readonly file: string;
    /** Of the test, or a part of it that no other test of the file has. */
    readonly name: string;
    /** What its `describe` says, where several have a test of that name. */
    readonly within?: string;
    /** Where its name is written, if not in its file: a contract. */
    readonly writtenIn?: string;
  };
}

/** The text with the edit made. Throws an Error unless what it replaces is there exactly once. */
export function applyEdit(text: string, { file, find, replace }: Edit): string {
  const count = text.split(find).length - 1;
  if (count !== 1) throw new Error(`${file} has ${count} places, not one, that say: ${find}`);
  return text.replace(find, () => replace);
}
