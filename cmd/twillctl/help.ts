import type { Command, CommandFlag } from "./command.ts";
import { COMMANDS, flagsOf, GLOBAL_FLAGS, usageOf, WATCH_FLAG } from "./commands.ts";

const WIDTH = 100;
const INDENT = 17;

const EXIT_CODES = `Exit codes:
  0  done; status: the node is ready; trace, probe, doctor: nothing is wrong
  1  status: the node is not ready for pods; trace, probe: something does not come through;
     doctor: warnings; else: it could not be done, or not wholly
  2  the command line is wrong
  3  the agent, or etcd where it is asked itself, does not run, may not be asked, or cannot answer
  4  doctor: something is broken
`;

/** What `twillctl --help` prints. */
export function helpText(): string {
  return [
    "twillctl asks the twill agent of this host, tells it what to do, and looks for what is wrong.",
    "",
    "Usage: twillctl [--socket PATH] [--json] COMMAND",
    "       twillctl COMMAND --help",
    "",
    "Commands:",
    ...COMMANDS.flatMap((command) => entry(usageOf(command), command.summary)),
    "",
    "Flags:",
    ...[...GLOBAL_FLAGS, WATCH_FLAG].flatMap((flag) => entry(flagUsage(flag), flag.help)),
    "",
    EXIT_CODES,
  ].join("\n");
}

/** What `twillctl COMMAND --help` prints. */
export function commandHelp(command: Command): string {
  return [
    `Usage: twillctl ${usageOf(command)}`,
    "",
    ...wrap(sentence(command.summary), WIDTH),
    "",
    "Flags:",
    ...flagsOf(command).flatMap((flag) => entry(flagUsage(flag), flag.help)),
    "",
  ].join("\n");
}

function flagUsage({ name, alias, arg }: CommandFlag): string {
  return `${alias === undefined ? "" : `-${alias}, `}--${name}${arg === undefined ? "" : ` ${arg}`}`;
}

function entry(head: string, text: string): string[] {
  const [first = "", ...rest] = wrap(text, WIDTH - INDENT);
  const lines = [first, ...rest].map((line) => " ".repeat(INDENT) + line);
  const start = `  ${head}`;
  if (start.length > INDENT - 2) return [start, ...lines];
  return [start.padEnd(INDENT) + first, ...lines.slice(1)];
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
