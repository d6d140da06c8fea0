import { type Align, markdownTable } from "../text-table.ts";
import { type RungReport, soakPassed, type SoakReport } from "./report.ts";

/** docs/soak.md of a report. */
export function soakDocument(report: SoakReport): string {
  const { machine, bytes } = report;
  const parts = [
    "# Soak",
    "Written by `npm run soak` from what its last full run found; do not edit.",
    table(
      [
        ["", ""],
        ["date", report.date.slice(0, 10)],
        ["commit", `${report.commit ?? "unknown"}${report.modified ? ", with changes" : ""} (twill ${report.version})`],
        ["CPU", `${machine.cpu}, ${machine.cores} cores (${machine.arch}), ${machine.memoryGb} GB`],
        ["kernel", machine.kernel],
        ["node", machine.node],
        ["result", soakPassed(report) ? "everything came as it was sent" : "**something was lost or changed**"],
      ],
      ["left", "left"],
    ),
    `Random data, ${amount(bytes)} each way by TCP on each rung of the offload ladder, between twill and twill and between ` +
      "twill and a node whose VXLAN is the kernel's own device; then less of it over a wire that loses frames or lets " +
      "them be overtaken. SHA-256 is compared at both ends, and no pod may have counted a wrong TCP checksum " +
      "(`TcpInCsumErrors`). Times say how long the machine was busy, programs that hash included: they are no benchmark.",
    ...report.rungs.flatMap(section),
    "## Repeat it",
    "```sh\nsudo npm run soak                    # 10 GB each way\nsudo TRANSFER_MB=100 npm run soak    # quick; leaves this page alone\n```",
  ];
  return `${parts.join("\n\n")}\n`;
}

function section(report: RungReport): string[] {
  const { rung, unavailable, transfers, agents, checksumErrors } = report;
  if (unavailable !== undefined) return [`## ${rung}`, `Not tried: ${unavailable}.`];
  return [
    `## ${rung}`,
    table(
      [
        ["way", "outer and inner", "wire", "carried", "seconds", "SHA-256"],
        ...transfers.map(({ way, family, faults, bytes, seconds, intact }) => [
          way,
          `IPv${family}`,
          faults,
          amount(bytes),
          seconds.toFixed(1),
          intact ? "identical" : "**different**",
        ]),
      ],
      ["left", "left", "left", "right", "right", "left"],
    ),
    `Wrong TCP checksums in all pods: ${checksumErrors}.`,
    table(
      [
        [
          "agent",
          "seconds",
          "packets",
          "memory early / end / most, MB",
          "scavenges per minute",
          "major collections",
          "counted besides",
        ],
        ...agents.map((agent) => [
          agent.node,
          agent.seconds.toFixed(0),
          `${(agent.packets / 1e6).toFixed(1)} million`,
          [agent.rssEarly, agent.rssEnd, agent.rssMost].map((mb) => mb.toFixed(0)).join(" / "),
          ((agent.minor * 60) / agent.seconds).toFixed(1),
          String(agent.major),
          Object.entries(agent.trouble)
            .map(([name, count]) => `${name} ${count}`)
            .join(", ") || "nothing",
        ]),
      ],
      ["left", "right", "right", "right", "right", "right", "left"],
    ),
  ];
}

function table(rows: readonly (readonly string[])[], aligns: readonly Align[]): string {
  return markdownTable(rows, aligns);
}

function amount(bytes: number): string {
  return bytes >= 1e9 ? `${Number((bytes / 1e9).toFixed(1))} GB` : `${Number((bytes / 1e6).toFixed(1))} MB`;
}
