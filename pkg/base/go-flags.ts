import { nearest } from "./nearest.ts";

/** What the parser must know of a flag: a bool never takes the next argument as its value. */
export interface FlagShape {
  readonly name: string;
  readonly alias?: string;
  readonly kind: "bool" | "value";
}

export interface GivenFlag {
  /** The flag's own name, also where its alias was written. */
  readonly name: string;
  /** "true" or "false" for a bool, however it was written. */
  readonly value: string;
}

export interface ParsedFlags {
  /** In the order of the command line; one that stands twice is here twice. */
  readonly given: readonly GivenFlag[];
  readonly positionals: readonly Positional[];
  /** A sentence for each argument that cannot be understood. */
  readonly problems: readonly string[];
}

export interface Positional {
  readonly text: string;
  /** The flag right before it, where that did not take it as its value. */
  readonly after: string | undefined;
}

/**
 * Reads arguments as Go's flag package does (pkg.go.dev/flag, "Command line flag syntax"): one dash or two, `-x=v` and
 * `-x v`, `-b` and `-b=false` for a bool. Unlike Go it goes on behind an argument that is not a flag, so that the
 * caller can tell every problem at once; behind `--` all are positionals.
 */
export function parseGoFlags(args: readonly string[], shapes: readonly FlagShape[]): ParsedFlags {
  const byName = new Map<string, FlagShape>();
  for (const shape of shapes) {
    byName.set(shape.name, shape);
    if (shape.alias !== undefined) byName.set(shape.alias, shape);
  }
  const given: GivenFlag[] = [];
  const positionals: Positional[] = [];
  const problems: string[] = [];
  let after: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--") {
      positionals.push(...args.slice(i + 1).map((text) => ({ text, after: undefined })));
      break;
    }
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(arg);
    if (!match) {
      if (/^-./.test(arg)) problems.push(`${JSON.stringify(arg)} is not a flag: write --name or --name=value`);
      else positionals.push({ text: arg, after });
      after = undefined;
      continue;
    }
    const [, name = "", value] = match;
    const shape = byName.get(name);
    after = name;
    if (!shape) {
      const near = nearest(name, byName.keys());
      problems.push(`unknown flag --${name}${near === undefined ? "" : `: did you mean --${near}?`}`);
      // What follows is most likely its value, and is not worth a problem of its own.
      if (value === undefined && i + 1 < args.length && !args[i + 1]?.startsWith("-")) i++;
    } else if (shape.kind === "bool") {
      const on = parseGoBool(value ?? "true");
      if (on === undefined) problems.push(`--${name} is ${JSON.stringify(value)}: give true or false`);
      else given.push({ name: shape.name, value: String(on) });
    } else if (value !== undefined) {
      given.push({ name: shape.name, value });
    } else if (i + 1 < args.length) {
      given.push({ name: shape.name, value: args[++i] ?? "" });
      after = undefined;
    } else {
      problems.push(`--${name} needs a value: write --${name}=value`);
    }
  }
  return { given, positionals, problems };
}

/** A bool in one of the forms of Go's strconv.ParseBool, undefined for any other text. */
export function parseGoBool(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  return undefined;
}
