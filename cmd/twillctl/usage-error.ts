/** The command line is wrong, in a way that only this command can tell. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
