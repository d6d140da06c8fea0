/**
 * Something a person gave us is wrong: a flag, the environment, a network config. Every problem is a full sentence that
 * names the thing and says what to do about it.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[], options?: ErrorOptions) {
    super(problems.join("; "), options);
    this.problems = problems;
  }
}

/** One sentence for a person: the message of an error and of what caused it, without a stack. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : describeError(error.cause);
  const own = error.message || error.name;
  if (cause === "" || own.includes(cause)) return own;
  // One that hands on its cause's message under another class says nothing new.
  return cause.startsWith(own) ? cause : `${own}: ${cause}`;
}

/** The `code` of a Node or system error ("ENOENT"), undefined where there is none. */
export function errorCode(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
