import type { AgentClient } from "../../pkg/api/client.ts";
import { requireAgent } from "../../pkg/api/reach.ts";
import { systemClock } from "../../pkg/base/clock.ts";
import { ConfigError, describeError } from "../../pkg/base/errors.ts";
import { type GivenFlag, parseGoFlags } from "../../pkg/base/go-flags.ts";
import { nearest } from "../../pkg/base/nearest.ts";
import { VERSION } from "../../pkg/base/version.ts";
import { type Call, type Command, type Environment, EXIT } from "./command.ts";
import { allFlags, COMMANDS, flagsOf, usageOf } from "./commands.ts";
import { commandHelp, helpText } from "./help.ts";
import { repeat } from "./repeat.ts";
import type { Screen } from "./screen.ts";

const DEFAULT_SOCKET = "/run/twill/twilld.sock";
const WATCH_MS = 1000;
// ECMA-48 section 8.3: cursor to the first place, and everything behind it erased.
const FIRST_PLACE = "\u001b[H";
const ERASE_REST = "\u001b[J";
const ERASE_ALL = "\u001b[2J";

/** The process as far as twillctl uses it. */
export interface Terminal {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: { write(text: string): unknown };
  readonly stdin?: AsyncIterable<Buffer | string>;
  /** Aborts at Ctrl-C. */
  readonly signal?: AbortSignal;
}

/** Runs one command and resolves to the exit code; everything that goes wrong is a sentence on stderr. */
export async function run(argv: readonly string[], env: Environment, terminal: Terminal): Promise<number> {
  const { stdout, stderr } = terminal;
  const { given, positionals, problems } = parseGoFlags(argv, allFlags());
  const flags = new Map(given.map(({ name, value }) => [name, value]));
  const words = positionals.map(({ text }) => text);
  const command = commandOf(words);
  const args = words.slice(command ? command.name.split(" ").length : 1);
  if (flags.get("help") === "true") {
    stdout.write(command ? commandHelp(command) : helpText());
    return EXIT.ok;
  }
  if (flags.get("version") === "true") {
    stdout.write(`twillctl ${VERSION}\n`);
    return EXIT.ok;
  }
  const wrong = [...problems, ...(command ? misuses(command, args, given) : [unknownCommand(words)])];
  if (wrong.length > 0 || !command) {
    for (const problem of wrong) stderr.write(`twillctl: ${problem}\n`);
    stderr.write("twillctl --help tells what there is.\n");
    return EXIT.usage;
  }
  const socket = flags.get("socket") || env["TWILL_SOCKET"] || DEFAULT_SOCKET;
  const agent = new LazyAgent(socket);
  const call: Call = {
    args,
    flags,
    given,
    env,
    json: flags.get("json") === "true",
    screen: screenOf(terminal, env),
    socket,
    signal: terminal.signal ?? new AbortController().signal,
    agent: () => agent.get(),
    dropAgent: () => agent.close(),
    stdin: () => readAll(terminal.stdin),
    write: (text) => void stdout.write(text),
    tell: (text) => void stderr.write(text),
  };
  try {
    const live = command.live === true && terminal.stdout.isTTY === true && !call.json;
    return live || flags.get("watch") === "true"
      ? await watch(command, call, terminal)
      : await once(command, call, terminal);
  } catch (error) {
    for (const problem of error instanceof ConfigError ? error.problems : [describeError(error)])
      stderr.write(`twillctl: ${problem}\n`);
    return exitCode(error);
  } finally {
    agent.close();
  }
}

async function once(command: Command, call: Call, { stdout, stderr }: Terminal): Promise<number> {
  const { text, code, problems = [] } = await (await command.load())(call);
  stdout.write(text);
  for (const problem of problems) stderr.write(`twillctl: ${problem}\n`);
  return code;
}

async function watch(command: Command, call: Call, terminal: Terminal): Promise<number> {
  const run = await command.load();
  const { stdout, stderr } = terminal;
  const erase = stdout.isTTY === true && !call.json;
  if (erase) stdout.write(ERASE_ALL);
  await repeat(call, WATCH_MS, async () => {
    const { text, problems = [] } = await run({ ...call, screen: screenOf(terminal, call.env) });
    // A line for each time, so that a program that reads them knows where one ends.
    const shown = call.json ? `${oneLine(text)}\n` : text;
    stdout.write(erase ? `${FIRST_PLACE}${shown.replaceAll("\n", "\u001b[K\n")}${ERASE_REST}` : shown);
    for (const problem of problems) stderr.write(`twillctl: ${problem}\n`);
  });
  return EXIT.ok;
}

// Outside of strings JSON has white space only between its parts, and inside of them no line ends.
function oneLine(json: string): string {
  return json
    .split("\n")
    .map((line) => line.trim())
    .join("");
}

function screenOf({ stdout }: Terminal, env: Environment): Screen {
  const terminal = stdout.isTTY === true;
  return {
    width: terminal ? (stdout.columns ?? 80) : undefined,
    colours: terminal && !env["NO_COLOR"] && env["TERM"] !== "dumb",
    now: systemClock.wall(),
  };
}

/** The client of the agent, made when it is first asked for. */
class LazyAgent {
  readonly #socket: string;
  #client: Promise<AgentClient> | undefined;

  constructor(socket: string) {
    this.#socket = socket;
  }

  get(): Promise<AgentClient> {
    this.#client ??= this.#connect();
    return this.#client;
  }

  close(): void {
    this.#client?.then(
      (client) => client.close(),
      () => undefined,
    );
    this.#client = undefined;
  }

  async #connect(): Promise<AgentClient> {
    // gRPC takes longer to load than all the rest, and where nobody answers it is of no use.
    await requireAgent(this.#socket);
    const { AgentClient } = await import("../../pkg/api/client.ts");
    return AgentClient.connect(this.#socket);
  }
}

function exitCode(error: unknown): number {
  const name = error instanceof Error ? error.name : "";
  // A config that is wrong was given to be looked at; a flag that is wrong is a ConfigError with a flag's name.
  if (name === "UsageError") return EXIT.usage;
  return name === "RefusedError" || name === "ConfigError" ? EXIT.refused : EXIT.unreachable;
}

function commandOf(words: readonly string[]): Command | undefined {
  return COMMANDS.find(({ name }) => name === words.slice(0, name.split(" ").length).join(" "));
}

function unknownCommand(words: readonly string[]): string {
  const names = COMMANDS.map(({ name }) => name);
  const [word] = words;
  if (word === undefined) return `no command is given: give one of ${names.join(", ")}`;
  const family = names.filter((name) => name.startsWith(`${word} `));
  if (family.length > 0) return `${word} needs another word: give one of ${family.join(", ")}`;
  const near = nearest(word, names) ?? nearest(words.slice(0, 2).join(" "), names);
  return `unknown command ${JSON.stringify(word)}: ${near ? `did you mean ${near}?` : `give one of ${names.join(", ")}`}`;
}

function misuses(command: Command, args: readonly string[], given: readonly GivenFlag[]): string[] {
  const { name, takes, mayTake = [] } = command;
  const known = new Set(flagsOf(command).map((flag) => flag.name));
  const foreign = given.filter((flag) => !known.has(flag.name)).map((flag) => `${name} takes no flag --${flag.name}`);
  if (args.length < takes.length)
    return [...foreign, `${name} needs ${takes.join(" and ")}: twillctl ${usageOf(command)}`];
  const over = args.slice(takes.length + mayTake.length);
  return [...foreign, ...over.map((text) => `${name} takes no argument ${JSON.stringify(text)}`)];
}

async function readAll(stdin: Terminal["stdin"]): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stdin ?? []) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString();
}
