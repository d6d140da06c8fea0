import { checkGates } from "./gates.ts";
import type { Report } from "./report.ts";
import { gateTable, NOT_AVAILABLE, resultTables, type Table } from "./tables.ts";
import { markdownTable } from "./text-table.ts";

const NOTES = [
  "→ is traffic from the first pod to the second, ← the other way. In the mixed row, → is twill to the kernel's device.",
  "UDP: 64-byte datagrams by sendmmsg as fast as the socket takes them; what arrives is counted.",
  "Round trips: ping every 2 ms, idle and beside one TCP stream in the same direction.",
  "CPU: of the whole machine, iperf3 included, and of both agents (user and system), per Gbit that arrived, TCP 1 →. " +
    "Memory: of the larger agent after that measurement, resident, in MB.",
  "Machines differ in what a system call and waking a thread take, virtual ones by a factor of five. twill makes some of " +
    "both where the kernel's device makes none, so its ratios with one stream and in round trips fall with them.",
  "Wire-like: `ethtool -K eth0 tx off tso off gso off gro on` on both nodes, so that the kernel cuts and sums in " +
    "software, as before a network card that cannot do it for tunnels; and `tso off` on their ports of the bridge, without " +
    "which veth joins nothing of what arrives (GRO), as every card's driver does.",
];

/** docs/performance.md of a report; `picture` is the chart's path from there. */
export function performanceDocument(report: Report, picture: string): string {
  const { machine, rounds, seconds } = report;
  const missing = report.configurations.filter(({ unavailable }) => unavailable !== undefined);
  const parts = [
    "# Performance",
    "Written by `npm run bench` from the figures of its last full run; do not edit. `npm run bench` measures again and " +
      "writes this page, `npm run bench -- --write-docs` writes it again without measuring.",
    runTable(report),
    `**Both nodes, both pods, iperf3 and everything else share the ${machine.cores} cores of one machine.** Two machines ` +
      "would carry about twice as much: read ratios, not absolute figures. The underlay is a bridge between two veth " +
      "pairs, MTU 1500. Neither wireguard-go nor nebula is an overlay of the same kind: they encrypt.",
    "## How it was measured",
    `${rounds} alternating ${rounds === 1 ? "round" : "rounds"}: each measurement (${seconds} s of traffic) goes through ` +
      "all configurations before the next begins, and each round begins with another configuration. All of them are up all " +
      "the time; what they take idle, with whatever else the machine does, is the last line above. A figure is the median of the rounds. A ratio is taken to kernel vxlan in the same " +
      "round, and the median of these ratios is shown, with the smallest and the largest in brackets. No configuration " +
      "has firewall rules or masquerading.",
    NOTES.map((note) => `- ${note}`).join("\n"),
    "## Results",
    `![The medians as bars](${picture})`,
    ...[...resultTables(report, "offloads"), ...resultTables(report, "wire-like")].flatMap(section),
    missing.length === 0
      ? ""
      : `Not measured: ${missing.map(({ title, unavailable }) => `${title} (${unavailable})`).join("; ")}.`,
    ...failures(report),
    ...complaints(report),
    "## What it must show",
    markdown(gateTable(checkGates(report))),
    "## Repeat it",
    "```sh\nsudo npm run bench                              # 5 rounds, less than 25 minutes, on a machine that does nothing else\n" +
      "sudo npm run bench -- --quick                   # 1 round of 1 s each: only to see that everything works\n" +
      "sudo FLANNELD=/path/to/flanneld npm run bench -- --install-peers   # beside flanneld, wireguard-go and nebula\n```",
    `Every single figure is in [${picture.replace(/svg$/, "json")}](${picture.replace(/svg$/, "json")}).`,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function runTable({ machine, commit, modified, date, version, rounds, seconds, background }: Report): string {
  const busy = background.map((share) => `${(share * 100).toFixed(1)} %`).join(", ");
  const rows = [
    ["date", date.slice(0, 10)],
    ["commit", `${commit ?? "unknown"}${modified ? ", with changes" : ""} (twill ${version})`],
    ["CPU", `${machine.cpu}, ${machine.cores} cores (${machine.arch}), ${machine.memoryGb} GB`],
    ["kernel", machine.kernel],
    ...(machine.syscallNs === undefined ? [] : [["a system call", `${machine.syscallNs} ns`]]),
    ["programs", `node ${machine.node}, iperf3 ${machine.iperf3}`],
    ["user", machine.root ? "root" : "an ordinary user: smaller socket buffers"],
    ["rounds", `${rounds} of ${seconds} s for each measurement`],
    ["CPU in use before each round", busy],
  ];
  return markdownTable([["", ""], ...rows], ["left", "left"]);
}

function section(table: Table): string[] {
  return [`### ${table.title}`, markdown(table)];
}

// Rows in which nothing could be measured are told below the tables.
function markdown({ rows, aligns }: Table): string {
  return markdownTable(
    rows.filter(([, second]) => second?.startsWith(NOT_AVAILABLE) !== true),
    aligns,
  );
}

function failures({ failures }: Report): string[] {
  if (failures.length === 0) return [];
  const lines = failures.map(
    ({ round, underlay, configuration, measure, message }) =>
      `- round ${round}, ${underlay}, ${configuration}, ${measure}: ${message.replaceAll("\n", " ")}`,
  );
  return ["Measurements that failed:", lines.join("\n")];
}

function complaints({ configurations }: Report): string[] {
  const lines = configurations.flatMap(({ title, complaints = [] }) =>
    [...new Set(complaints)].map((complaint) => `- ${title}: ${complaint}`),
  );
  return lines.length === 0 ? [] : ["What the agents warned of:", lines.join("\n")];
}
