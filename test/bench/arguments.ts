import { ConfigError } from "../../pkg/base/errors.ts";
import { BASELINE } from "./report.ts";

export interface RunCommand {
  readonly command: "run";
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
  /** Ids of the configurations; all where it is undefined. */
  readonly only: readonly string[] | undefined;
  /** Directory that takes the results; undefined for the usual one. */
  readonly out: string | undefined;
  /** Whether a promise that is not met makes the exit code 1. */
  readonly gate: boolean;
}

export type Command = RunCommand | { readonly command: "write-docs" } | { readonly command: "help" };

const ROUNDS = 5;
const SECONDS = 2;
const MOST_ROUNDS = 100;
const MOST_SECONDS = 60;
// --install-peers is bench.sh's: by the time we are started it is done.
const SWITCHES = ["--quick", "--gate", "--install-peers", "--write-docs"] as const;
const VALUES = ["--rounds", "--seconds", "--only", "--out"] as const;

/** Reads the arguments; `known` are the ids of all configurations. Throws a ConfigError that says what to give. */
export function parseArguments(args: readonly string[], known: readonly string[]): Command {
  if (args.some((arg) => arg === "--help" || arg === "-h" || arg === "help")) return { command: "help" };
  const given = readOptions(args);
  if (given.has("--write-docs")) {
    if (given.size > 1) throw problem("--write-docs measures nothing and takes no other option: give it alone");
    return { command: "write-docs" };
  }
  const quick = given.has("--quick");
  return {
    command: "run",
    quick,
    rounds: count(given, "--rounds", quick ? 1 : ROUNDS, MOST_ROUNDS),
    seconds: count(given, "--seconds", quick ? 1 : SECONDS, MOST_SECONDS),
    only: only(given.get("--only"), known),
    out: given.get("--out"),
    gate: given.has("--gate"),
  };
}

function readOptions(args: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const [flag = "", inline] = (args[i] ?? "").split(/=(.*)/s);
    if (SWITCHES.some((name) => name === flag) && inline === undefined) given.set(flag, "");
    else if (VALUES.some((name) => name === flag)) {
      const value = inline ?? args[++i];
      if (value === undefined || value === "") throw problem(`${flag} needs a value`);
      given.set(flag, value);
    } else throw problem(`there is no option ${args[i]}: give ${[...VALUES, ...SWITCHES].join(", ")}`);
  }
  return given;
}

function count(given: ReadonlyMap<string, string>, flag: string, fallback: number, most: number): number {
  const text = given.get(flag) ?? String(fallback);
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 1 && value <= most)) throw problem(`${flag} ${text}: give a whole number from 1 to ${most}`);
  return value;
}

// Without the baseline there are no ratios.
function only(text: string | undefined, known: readonly string[]): string[] | undefined {
  if (text === undefined) return undefined;
  const wanted = text.split(",").map((id) => id.trim());
  const stranger = wanted.find((id) => !known.includes(id));
  if (stranger !== undefined) throw problem(`--only ${stranger}: give some of ${known.join(", ")}`);
  return known.filter((id) => id === BASELINE || wanted.includes(id));
}

function problem(sentence: string): ConfigError {
  return new ConfigError([sentence]);
}
