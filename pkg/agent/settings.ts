import { type Addr, parseAddr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import { type GivenFlag, parseGoBool } from "../base/go-flags.ts";
import { type Flag, FLAGS } from "./flag-table.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A value and who gave it: `from` is "--iface" or the name of an environment variable. */
export interface Given {
  readonly name: string;
  readonly value: string;
  readonly from: string;
}

/** Reads a value; throws a RangeError whose message says what to give instead: "give a port number from 0 to 65535". */
export type Rule<T> = (text: string) => T;

// Ours beats flannel's.
const ENVIRONMENT_PREFIXES = ["TWILLD_", "FLANNELD_"] as const;

/** Flags whose values are never shown. */
export const SECRET: ReadonlySet<string> = new Set(["etcd-password"]);

/** "etcd-endpoints" is "ETCD_ENDPOINTS" in the environment, behind a prefix. */
export function environmentName(flag: string): string {
  return flag.replaceAll("-", "_").toUpperCase();
}

/**
 * What was given for every flag: on the command line, else as TWILLD_*, else as FLANNELD_*. Collects what is wrong with
 * it instead of throwing at the first. An empty value is the same as none, as flannel takes an empty variable.
 */
export class Settings {
  readonly problems: string[] = [];
  readonly warnings: string[] = [];
  readonly #given = new Map<string, readonly Given[]>();

  constructor(names: readonly string[], flags: readonly GivenFlag[], env: Environment) {
    for (const name of names) {
      const all = fromFlags(name, flags) ?? fromEnvironment(name, env);
      if (all) this.#given.set(name, all);
    }
  }

  /** The last value given, which is the one that counts for a flag that is not a list. */
  last(name: string): Given | undefined {
    return this.#given.get(name)?.at(-1);
  }

  /** The value, or the flag's default where none or a bad one was given. */
  value<T>(name: string, rule: Rule<T>): T {
    const given = this.last(name);
    const value = given && this.check(given, rule);
    return value === undefined ? rule(fallback(name)) : value;
  }

  /** The value of a flag without a default. */
  optional<T>(name: string, rule: Rule<T>): T | undefined {
    const given = this.last(name);
    return given && this.check(given, rule);
  }

  /** Every value of a flag that may be repeated. */
  list<T>(name: string, rule: Rule<T>): readonly T[] {
    const values = (this.#given.get(name) ?? []).map((given) => this.check(given, rule));
    return values.filter((value) => value !== undefined);
  }

  /** The value as the rule reads it; undefined, and one problem more, where the rule refuses it. */
  check<T>(given: Given, rule: Rule<T>): T | undefined {
    try {
      return rule(given.value);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const shown = SECRET.has(given.name) ? "set" : JSON.stringify(given.value);
      this.refuse(`${given.from} is ${shown}: ${error.message}`);
      return undefined;
    }
  }

  refuse(problem: string): void {
    this.problems.push(problem);
  }

  warn(warning: string): void {
    this.warnings.push(warning);
  }
}

function fromFlags(name: string, flags: readonly GivenFlag[]): readonly Given[] | undefined {
  const dashes = name.length === 1 ? "-" : "--";
  const own = flags.filter((flag) => flag.name === name);
  if (own.length === 0) return undefined;
  return own.filter((flag) => flag.value !== "").map(({ value }) => ({ name, value, from: `${dashes}${name}` }));
}

function fromEnvironment(name: string, env: Environment): readonly Given[] | undefined {
  for (const prefix of ENVIRONMENT_PREFIXES) {
    const from = prefix + environmentName(name);
    const value = env[from];
    if (value !== undefined && value !== "") return [{ name, value, from }];
  }
  return undefined;
}

const DEFAULTS = new Map(FLAGS.map((flag: Flag) => [flag.name, flag.fallback]));

function fallback(name: string): string {
  const text = DEFAULTS.get(name);
  if (text === undefined) throw new Error(`--${name} has no default`);
  return text;
}

export function bool(text: string): boolean {
  const on = parseGoBool(text);
  if (on === undefined) throw new RangeError("give true or false");
  return on;
}

export function integer(least: number, most: number, what: string): Rule<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new RangeError(`give ${what}`);
  };
}

export const port = integer(0, 65_535, "a port number from 0 to 65535");

export function choice<T extends string>(...choices: readonly T[]): Rule<T> {
  return (text) => {
    const found = choices.find((one) => one === text);
    if (found !== undefined) return found;
    throw new RangeError(`give ${choices.join(", ").replace(/, (?=[^,]*$)/, " or ")}`);
  };
}

export function address(family?: Family): Rule<Addr> {
  return (text) => {
    const addr = parseAddr(text);
    if (addr && (family === undefined || addr.family === family)) return addr;
    throw new RangeError(
      family === undefined ? "give an IP address" : `give an IPv${family} address, as ${EXAMPLE_ADDR[family]}`,
    );
  };
}

const EXAMPLE_ADDR = { 4: "192.0.2.1", 6: "2001:db8::1" } as const;

export function absolutePath(text: string): string {
  if (!text.startsWith("/")) throw new RangeError("give an absolute path");
  if (text.includes("\0")) throw new RangeError("give a path without a zero byte");
  // Node's mkdir with `recursive` never comes back there: procfs answers ENOENT though the parent exists.
  if (/^\/+proc(\/|$)/.test(text)) throw new RangeError("give a path where files can be made");
  return text;
}

export const anyText: Rule<string> = (text) => text;
