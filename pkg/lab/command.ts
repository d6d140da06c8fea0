import { spawnProgram } from "../sys/spawn.ts";
import { labEnvironment } from "./environment.ts";

// Timers of Node cannot be longer.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What a finished command left. */
export interface Output {
  /** Exit status; 128 + the signal's number is never made up: a command that a signal ended has status -1. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Text for standard input; without it the command reads end of file. */
  readonly input?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which the command is killed; without it there is no limit. */
  readonly timeout?: number;
}

/** A command that ended with another status than 0. The message holds the command and what it wrote last. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly output: Output;

  constructor(argv: readonly string[], output: Output) {
    const said = lastLines(output.stderr) || lastLines(output.stdout);
    super(`${argv.join(" ")} ended with status ${output.status}${said === "" ? "" : `: ${said}`}`);
    this.output = output;
  }
}

/**
 * Runs a command to its end, whatever its status. Rejects only where it cannot be started at all. By posix_spawn: a lab
 * runs hundreds of commands, and a fork of the program that has loaded a test takes 15 ms of its processor time each.
 */
export async function capture(argv: readonly string[], options: CommandOptions = {}): Promise<Output> {
  const [program = "", ...args] = argv;
  const limits = { timeoutMs: options.timeout ?? LONGEST_TIMER_MS, mostOutput: Infinity };
  try {
    const env = labEnvironment(options.env);
    const { code, stdout, stderr } = await spawnProgram(program, args, options.input ?? "", { env, ...limits });
    return { status: code ?? -1, stdout, stderr };
  } catch (cause) {
    throw new Error(`cannot run ${program}`, { cause });
  }
}

/** Throws a CommandError where the output is that of a failure, under the name the command has for a person. */
export function requireSuccess(argv: readonly string[], output: Output): Output {
  if (output.status !== 0) throw new CommandError(argv, output);
  return output;
}

function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-3).join("; ");
}
