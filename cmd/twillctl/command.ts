import type { AgentClient } from "../../pkg/api/client.ts";
import type { FlagShape, GivenFlag } from "../../pkg/base/go-flags.ts";
import type { Screen } from "./screen.ts";

/** How twillctl ends; scripts decide by it. */
export const EXIT = { ok: 0, notReady: 1, refused: 1, usage: 2, unreachable: 3, broken: 4 } as const;

/** The flags by their names, or the environment: undefined where neither says anything. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A flag of one command or more. */
export interface CommandFlag extends FlagShape {
  /** What stands for the value in the help text. */
  readonly arg?: string;
  readonly help: string;
}

/** A command as the command line, the help text and the completion know it. Its code is loaded when it runs. */
export interface Command {
  /** One word, or two: "config check". */
  readonly name: string;
  /** What it takes, by the names in the help text. */
  readonly takes: readonly string[];
  /** What it may take behind that. */
  readonly mayTake?: readonly string[];
  /** Beside those that every command has. */
  readonly flags?: readonly CommandFlag[];
  /** Whether --watch makes it show itself again and again. */
  readonly watchable?: boolean;
  /** Whether it shows itself again and again on a terminal without being asked. */
  readonly live?: boolean;
  /** For the help text: what it does, and what there is to know of it. */
  readonly summary: string;
  readonly load: () => Promise<Run>;
}

export type Run = (call: Call) => Promise<Outcome>;

/** One run of a command. */
export interface Call {
  readonly args: readonly string[];
  readonly flags: ReadonlyMap<string, string>;
  readonly given: readonly GivenFlag[];
  readonly env: Environment;
  readonly json: boolean;
  readonly screen: Screen;
  /** The agent's socket. */
  readonly socket: string;
  /** Aborts when the person presses Ctrl-C. */
  readonly signal: AbortSignal;
  /** Connects once. Throws an AgentUnreachableError. */
  agent(): Promise<AgentClient>;
  /** Gives the connection up: the next agent() makes another one. */
  dropAgent(): void;
  /** Standard input to its end. */
  stdin(): Promise<string>;
  /** For commands that go on printing. */
  write(text: string): void;
  /** To stderr, while stdout is for something else. */
  tell(text: string): void;
}

export interface Outcome {
  readonly text: string;
  readonly code: number;
  /** For stderr, a sentence each. */
  readonly problems?: readonly string[];
}
