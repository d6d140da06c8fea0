import type { AgentClient } from "../../pkg/api/client.ts";
import { describeError } from "../../pkg/base/errors.ts";
import { type FlagShape, parseGoFlags } from "../../pkg/base/go-flags.ts";
import { nearest } from "../../pkg/base/nearest.ts";
import { VERSION } from "../../pkg/base/version.ts";
import { type Changed, leave, reserve, unreserve } from "./changes.ts";
import { HELP } from "./help.ts";
import { showLeases } from "./leases.ts";
import { showStatus } from "./status.ts";
import { toJson } from "./to-json.ts";
import type { Screen } from "./screen.ts";

/** How twillctl ends; scripts decide by it. */
export const EXIT = { ok: 0, notReady: 1, refused: 1, usage: 2, unreachable: 3 } as const;

const DEFAULT_SOCKET = "/run/twill/twilld.sock";

const FLAGS: readonly FlagShape[] = [
  { name: "socket", kind: "value" },
  { name: "json", kind: "bool" },
  { name: "version", kind: "bool" },
  { name: "help", alias: "h", kind: "bool" },
];

/** A command: the arguments that it takes, by their names in --help, and what it does with them. */
interface Command {
  readonly takes: readonly string[];
  readonly run: (client: AgentClient, json: boolean, screen: Screen, args: readonly string[]) => Promise<Outcome>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  status: { takes: [], run: runStatus },
  leases: { takes: [], run: runLeases },
  reserve: { takes: ["SUBNET", "PUBLIC-IP"], run: changing(reserve) },
  unreserve: { takes: ["SUBNET"], run: changing(unreserve) },
  leave: { takes: [], run: changing(leave) },
};

/** The process as far as twillctl writes to it. */
export interface Terminal {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: { write(text: string): unknown };
}

/** Runs one command and resolves to the exit code; everything that goes wrong is a sentence on stderr. */
export async function run(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { stdout, stderr }: Terminal,
): Promise<number> {
  const { given, positionals, problems } = parseGoFlags(argv, FLAGS);
  const flags = new Map(given.map(({ name, value }) => [name, value]));
  if (isOn(flags, "help")) {
    stdout.write(HELP);
    return EXIT.ok;
  }
  if (isOn(flags, "version")) {
    stdout.write(`twillctl ${VERSION}\n`);
    return EXIT.ok;
  }
  const [command = "", ...args] = positionals.map(({ text }) => text);
  const wrong = [...problems, ...usageProblems(command, args)];
  const chosen = COMMANDS[command];
  if (wrong.length > 0 || !chosen) {
    for (const problem of wrong) stderr.write(`twillctl: ${problem}\n`);
    stderr.write("twillctl --help tells what there is.\n");
    return EXIT.usage;
  }
  const terminal = stdout.isTTY === true;
  const screen: Screen = {
    width: terminal ? (stdout.columns ?? 80) : undefined,
    colours: terminal && !env["NO_COLOR"] && env["TERM"] !== "dumb",
    now: Date.now(),
  };
  const socket = flags.get("socket") || env["TWILL_SOCKET"] || DEFAULT_SOCKET;
  try {
    // gRPC takes longer to load than all the rest, and a usage error does not need it.
    const { AgentClient } = await import("../../pkg/api/client.ts");
    const client = await AgentClient.connect(socket);
    try {
      const { text, code, problems = [] } = await chosen.run(client, isOn(flags, "json"), screen, args);
      stdout.write(text);
      for (const problem of problems) stderr.write(`twillctl: ${problem}\n`);
      return code;
    } finally {
      client.close();
    }
  } catch (error) {
    stderr.write(`twillctl: ${describeError(error)}\n`);
    return error instanceof Error && error.name === "RefusedError" ? EXIT.refused : EXIT.unreachable;
  }
}

interface Outcome {
  readonly text: string;
  readonly code: number;
  /** For stderr. */
  readonly problems?: readonly string[];
}

async function runStatus(client: AgentClient, json: boolean, screen: Screen): Promise<Outcome> {
  const status = await client.status();
  return {
    text: json ? toJson(status) : showStatus(status, screen),
    code: status.ready ? EXIT.ok : EXIT.notReady,
  };
}

async function runLeases(client: AgentClient, json: boolean, screen: Screen): Promise<Outcome> {
  const leases = await client.leases();
  return { text: json ? toJson({ leases }) : showLeases(leases, screen), code: EXIT.ok };
}

function changing(
  change: (client: AgentClient, json: boolean, args: readonly string[]) => Promise<Changed>,
): Command["run"] {
  return async (client, json, _screen, args) => {
    const { text, problems } = await change(client, json, args);
    return { text, code: problems.length === 0 ? EXIT.ok : EXIT.refused, problems };
  };
}

function usageProblems(command: string, args: readonly string[]): string[] {
  const names = Object.keys(COMMANDS);
  if (command === "") return [`no command is given: give one of ${names.join(", ")}`];
  const takes = Object.hasOwn(COMMANDS, command) ? COMMANDS[command]?.takes : undefined;
  if (!takes) {
    const near = nearest(command, names);
    return [
      `unknown command ${JSON.stringify(command)}: ${near ? `did you mean ${near}?` : `give one of ${names.join(", ")}`}`,
    ];
  }
  if (args.length < takes.length)
    return [`${command} needs ${takes.join(" and ")}: twillctl ${command} ${takes.join(" ")}`];
  return args.slice(takes.length).map((text) => `${command} takes no argument ${JSON.stringify(text)}`);
}

function isOn(flags: ReadonlyMap<string, string>, name: string): boolean {
  return flags.get(name) === "true";
}
