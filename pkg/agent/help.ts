import { EXIT } from "./exit-codes.ts";
import { type Flag, FLAGS, GROUPS } from "./flag-table.ts";

const COLUMNS = 100;
const INDENT = 38;

/** What `twilld --help` prints: at most 100 columns, grouped, with defaults and environment names. */
export function helpText(): string {
  const lines = [
    "twilld gives every pod on this node its own address and carries its traffic to the other nodes.",
    "",
    "Usage: twilld [--flag=value ...]",
    "",
    "Flags are written as Go's: one dash or two, --flag=value or --flag value, --flag=false for a",
    "switch. Each may be set in the environment instead: --etcd-endpoints is TWILLD_ETCD_ENDPOINTS,",
    "or FLANNELD_ETCD_ENDPOINTS as for flannel. A flag beats TWILLD_, which beats FLANNELD_.",
  ];
  for (const group of GROUPS) {
    lines.push("", `${group[0]?.toUpperCase()}${group.slice(1)}:`);
    for (const flag of FLAGS.filter((flag) => flag.group === group)) lines.push(...flagLines(flag));
  }
  lines.push(
    "",
    "Times are written 24h, 1h30m, 90s, or as a number of seconds. Flags of flannel that do nothing",
    "here are accepted with a warning; those that would mean something else are refused.",
    "",
    "Exit codes:",
    `  ${EXIT.stopped}  stopped by a signal; lease and kernel state stay, so that pods keep their network`,
    `  ${EXIT.failed}  failed while running`,
    `  ${EXIT.usage}  a flag or the environment is wrong`,
    `  ${EXIT.host}  this host cannot do it: no permission, no /dev/net/tun, a port or socket in use`,
  );
  return `${lines.join("\n")}\n`;
}

function flagLines(flag: Flag): string[] {
  const names = flag.alias === undefined ? `--${flag.name}` : `-${flag.alias}, --${flag.name}`;
  const head = `  ${names}${flag.arg === undefined ? "" : ` ${flag.arg}`}`;
  const text = flag.fallback === undefined ? flag.help : `${flag.help} (default ${flag.fallback})`;
  const [first = "", ...rest] = wrap(text, COLUMNS - INDENT);
  const lines = head.length + 2 <= INDENT ? [head.padEnd(INDENT) + first] : [head, " ".repeat(INDENT) + first];
  return [...lines, ...rest.map((line) => " ".repeat(INDENT) + line)];
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
