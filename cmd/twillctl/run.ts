import type { AgentClient } from "../../pkg/api/client.ts";
import { describeError } from "../../pkg/base/errors.ts";
import { type FlagShape, parseGoFlags } from "../../pkg/base/go-flags.ts";
import { nearest } from "../../pkg/base/nearest.ts";
import { VERSION } from "../../pkg/base/version.ts";
import { HELP } from "./help.ts";
import { showLeases } from "./leases.ts";
import { showStatus } from "./status.ts";
import { toJson } from "./to-json.ts";
import type { Screen } from "./screen.ts";

/** How twillctl ends; scripts decide by it. */
export const EXIT = { ok: 0, notReady: 1, usage: 2, unreachable: 3 } as const;

const DEFAULT_SOCKET = "/run/twill/twilld.sock";

const FLAGS: readonly FlagShape[] = [
  { name: "socket", kind: "value" },
  { name: "json", kind: "bool" },
  { name: "version", kind: "bool" },
  { name: "help", alias: "h", kind: "bool" },
];

const COMMANDS = { status: runStatus, leases: runLeases } as const;

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
  const command = positionals[0]?.text ?? "";
  const wrong = [
    ...problems,
    ...usageProblems(
      command,
      positionals.slice(1).map(({ text }) => text),
    ),
  ];
  if (wrong.length > 0 || !isCommand(command)) {
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
      const { text, code } = await COMMANDS[command](client, isOn(flags, "json"), screen);
      stdout.write(text);
      return code;
    } finally {
      client.close();
    }
  } catch (error) {
    stderr.write(`twillctl: ${describeError(error)}\n`);
    return EXIT.unreachable;
  }
}

interface Outcome {
  readonly text: string;
  readonly code: number;
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

function isCommand(text: string): text is keyof typeof COMMANDS {
  return Object.hasOwn(COMMANDS, text);
}

function usageProblems(command: string, rest: readonly string[]): string[] {
  const names = Object.keys(COMMANDS);
  if (command === "") return [`no command is given: give one of ${names.join(", ")}`];
  if (!isCommand(command)) {
    const near = nearest(command, names);
    return [
      `unknown command ${JSON.stringify(command)}: ${near ? `did you mean ${near}?` : `give ${names.join(" or ")}`}`,
    ];
  }
  return rest.map((text) => `${command} takes no argument ${JSON.stringify(text)}`);
}

function isOn(flags: ReadonlyMap<string, string>, name: string): boolean {
  return flags.get(name) === "true";
}
