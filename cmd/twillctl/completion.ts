import { type Call, type Command, EXIT, type Outcome } from "./command.ts";
import { COMMANDS, flagsOf } from "./commands.ts";
import { UsageError } from "./usage-error.ts";

const SHELLS = { bash, zsh, fish } as const;

/** Prints what makes a shell complete twillctl's commands and flags. */
export async function runCompletion(call: Call): Promise<Outcome> {
  const [name = ""] = call.args;
  const script = Object.hasOwn(SHELLS, name) ? SHELLS[name as keyof typeof SHELLS] : undefined;
  if (!script) throw new UsageError(`${JSON.stringify(name)} is not a shell: give bash, zsh or fish`);
  return { text: script(), code: EXIT.ok };
}

function flagNames(command: Command): string[] {
  return flagsOf(command).map(({ name }) => `--${name}`);
}

/** The words that may come first, and those behind a word that needs another one. */
function words(): { readonly first: string[]; readonly second: Map<string, string[]> } {
  const second = new Map<string, string[]>();
  for (const { name } of COMMANDS) {
    const [head = "", next] = name.split(" ");
    if (next !== undefined) second.set(head, [...(second.get(head) ?? []), next]);
  }
  return { first: [...new Set(COMMANDS.map(({ name }) => name.split(" ")[0] ?? ""))], second };
}

// A command's words joined, then the flags behind it. Where no flag is asked for and the command is complete, files.
function bash(): string {
  const { first, second } = words();
  const cases = [
    ...[...second].map(([head, next]) => `    "${head}") words="${next.join(" ")}" ;;`),
    ...COMMANDS.map((command) => `    "${command.name}") flags="${flagNames(command).join(" ")}" ;;`),
  ];
  return `# bash completion for twillctl: source <(twillctl completion bash)
_twillctl() {
  local current=\${COMP_WORDS[COMP_CWORD]} said="" words="" flags="--help --version --json --socket" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in -*) ;; *) said="\${said:+$said }\${COMP_WORDS[i]}" ;; esac
  done
  case $said in
    "") words="${first.join(" ")}" ;;
${cases.join("\n")}
  esac
  case $current in -*) words=$flags ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _twillctl twillctl
`;
}

function zsh(): string {
  return `#compdef twillctl
# zsh completion for twillctl: source <(twillctl completion zsh)
autoload -U +X bashcompinit && bashcompinit
${bash().split("\n").slice(1).join("\n")}`;
}

function fish(): string {
  const lines = ["# fish completion for twillctl: twillctl completion fish | source", "complete -c twillctl -f"];
  const { first, second } = words();
  for (const word of first) {
    const summary = COMMANDS.find(({ name }) => name === word)?.summary ?? (second.get(word) ?? []).join(", ");
    lines.push(`complete -c twillctl -n __fish_use_subcommand -a ${word} -d ${quoted(summary)}`);
  }
  for (const [head, next] of second)
    lines.push(`complete -c twillctl -n "__fish_seen_subcommand_from ${head}" -a "${next.join(" ")}"`);
  for (const command of COMMANDS) {
    const seen = command.name
      .split(" ")
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join("; and ");
    for (const { name, kind, help } of flagsOf(command))
      lines.push(`complete -c twillctl -n "${seen}" -l ${name}${kind === "value" ? " -r" : ""} -d ${quoted(help)}`);
  }
  return `${lines.join("\n")}\n`;
}

// fish(1), "Quotes": in single quotes only a backslash and a single quote are escaped.
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
