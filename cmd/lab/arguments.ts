import { formatPrefix, parsePrefix } from "../../pkg/addr/prefix.ts";
import { ConfigError } from "../../pkg/base/errors.ts";
import { MOST_NODES } from "../../pkg/lab/underlay.ts";

export interface UpCommand {
  readonly command: "up";
  readonly name: string | undefined;
  readonly nodes: number;
  readonly pods: number;
  readonly detach: boolean;
  readonly dataplane: "tun" | "kernel";
  readonly network: string;
  readonly mtu: number;
  /** Further flags for every twilld. */
  readonly twilldArgs: readonly string[];
}

/** What the command line asks for. A name that is undefined stands for the only lab there is. */
export type Command =
  | UpCommand
  | { readonly command: "down"; readonly name: string | undefined; readonly all: boolean }
  | { readonly command: "status"; readonly name: string | undefined }
  | { readonly command: "logs"; readonly name: string | undefined; readonly of: string }
  | { readonly command: "exec"; readonly name: string | undefined; readonly place: string; readonly argv: string[] }
  | { readonly command: "etcdctl"; readonly name: string | undefined; readonly args: string[] }
  | { readonly command: "help" };

const MOST_PODS = 200;
const COMMANDS = ["up", "down", "status", "logs", "exec", "etcdctl", "help"] as const;

/** Reads the arguments behind `npm run lab --`. Throws a ConfigError that names the argument and says what to give. */
export function parseArguments(args: readonly string[]): Command {
  const [first] = args;
  if (first === undefined || (first.startsWith("-") && !isHelp(first))) return parseUp(args);
  const rest = args.slice(1);
  if (isHelp(first)) return { command: "help" };
  if (!isCommand(first)) throw problem(`unknown command ${first}: give one of ${COMMANDS.join(", ")}`);
  // What follows exec and etcdctl is not ours to read, a --help among it neither.
  if (first !== "exec" && first !== "etcdctl" && rest.some(isHelp)) return { command: "help" };
  switch (first) {
    case "up":
      return parseUp(rest);
    case "down": {
      const given = new Options("down", rest, ["--name"], ["--all"]);
      given.noMore();
      return { command: "down", name: labName(given), all: given.has("--all") };
    }
    case "status": {
      const given = new Options("status", rest, ["--name"], []);
      given.noMore();
      return { command: "status", name: labName(given) };
    }
    case "logs": {
      const given = new Options("logs", rest, ["--name"], []);
      const [of, ...more] = given.words;
      if (of === undefined || more.length > 0) throw problem("logs of what? give one node, such as node2, or etcd");
      return { command: "logs", name: labName(given), of };
    }
    case "exec":
      return parseExec(rest);
    case "etcdctl": {
      const { name, others } = leadingName("etcdctl", rest);
      return { command: "etcdctl", name, args: others };
    }
    case "help":
      return { command: "help" };
  }
}

function parseUp(args: readonly string[]): UpCommand {
  const values = ["--name", "--nodes", "--pods", "--dataplane", "--network", "--mtu"];
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  const given = new Options("up", args.slice(0, end), values, ["--detach"]);
  given.noMore();
  const dataplane = given.value("--dataplane") ?? "tun";
  if (dataplane !== "tun" && dataplane !== "kernel") throw problem(`--dataplane ${dataplane}: give tun or kernel`);
  const text = given.value("--network") ?? "10.244.0.0/16";
  const network = parsePrefix(text);
  if (network?.family !== 4) throw problem(`--network ${text}: give an IPv4 network, such as 10.244.0.0/16`);
  return {
    command: "up",
    name: labName(given),
    nodes: given.count("--nodes", 3, 1, MOST_NODES),
    pods: given.count("--pods", 2, 0, MOST_PODS),
    detach: given.has("--detach"),
    dataplane,
    network: formatPrefix(network),
    mtu: given.count("--mtu", 1500, 1280, 65_535),
    twilldArgs: args.slice(end + 1),
  };
}

function parseExec(args: readonly string[]): Command {
  const { name, others } = leadingName("exec", args);
  const [place, ...rest] = others;
  if (place === undefined || place.startsWith("-")) {
    throw problem("exec where? give a place such as node2, pod2.1 or underlay, and behind -- the command");
  }
  return { command: "exec", name, place, argv: rest[0] === "--" ? rest.slice(1) : rest };
}

function leadingName(command: string, args: readonly string[]): { name: string | undefined; others: string[] } {
  const own = args[0] === "--name" ? args.slice(0, 2) : args[0]?.startsWith("--name=") ? args.slice(0, 1) : [];
  return { name: labName(new Options(command, own, ["--name"], [])), others: args.slice(own.length) };
}

function labName(given: Options): string | undefined {
  const name = given.value("--name");
  // It becomes part of paths and of container ids.
  if (name !== undefined && !/^[a-z0-9][a-z0-9-]{0,30}$/.test(name)) {
    throw problem(`--name ${name}: give up to 31 small letters, digits and dashes`);
  }
  return name;
}

/** The options of one command, "--name value" or "--name=value", and the words between them. */
class Options {
  readonly words: string[] = [];
  readonly #command: string;
  readonly #values = new Map<string, string>();

  constructor(command: string, args: readonly string[], values: readonly string[], switches: readonly string[]) {
    this.#command = command;
    for (let i = 0; i < args.length; i++) {
      const [flag = "", inline] = (args[i] ?? "").split(/=(.*)/s);
      if (switches.includes(flag) && inline === undefined) this.#values.set(flag, "");
      else if (values.includes(flag)) {
        const value = inline ?? args[++i];
        if (value === undefined || value === "") throw problem(`${flag} needs a value`);
        this.#values.set(flag, value);
      } else if (flag.startsWith("-")) {
        throw problem(`${command} has no option ${flag}: it has ${[...values, ...switches].join(", ")}`);
      } else this.words.push(args[i] ?? "");
    }
  }

  has(flag: string): boolean {
    return this.#values.has(flag);
  }

  value(flag: string): string | undefined {
    return this.#values.get(flag);
  }

  count(flag: string, fallback: number, least: number, most: number): number {
    const text = this.value(flag) ?? String(fallback);
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) throw problem(`${flag} ${text}: give a number from ${least} to ${most}`);
    return value;
  }

  noMore(): void {
    const [word] = this.words;
    if (word !== undefined) throw problem(`${this.#command} does not take the argument ${word}`);
  }
}

function isHelp(arg: string): boolean {
  return arg === "--help" || arg === "-h" || arg === "help";
}

function isCommand(arg: string): arg is (typeof COMMANDS)[number] {
  return (COMMANDS as readonly string[]).includes(arg);
}

function problem(sentence: string): ConfigError {
  return new ConfigError([sentence]);
}
