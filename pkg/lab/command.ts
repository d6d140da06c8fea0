import { spawn } from "node:child_process";
import { labEnvironment } from "./environment.ts";

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

/** Runs a command to its end, whatever its status. Rejects only where it cannot be started at all. */
export function capture(argv: readonly string[], options: CommandOptions = {}): Promise<Output> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: labEnvironment(options.env),
      stdio: ["pipe", "pipe", "pipe"],
      timeout: options.timeout,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    // A command that ends without reading its input is its own affair: its status tells.
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
    child.once("error", (cause) => reject(new Error(`cannot run ${program}`, { cause })));
    child.once("close", (code) => resolve({ status: code ?? -1, stdout, stderr }));
  });
}

/** Throws a CommandError where the output is that of a failure, under the name the command has for a person. */
export function requireSuccess(argv: readonly string[], output: Output): Output {
  if (output.status !== 0) throw new CommandError(argv, output);
  return output;
}

function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-3).join("; ");
}
