import type { Invariant } from "./invariants.ts";
import type { LoadReport } from "./load.ts";
import type { Planned } from "./schedule.ts";

/** One fault of the schedule as it went. */
export interface Struck extends Planned {
  /** Why it could not be made or taken back. */
  readonly error: string | undefined;
}

export interface ChaosReport {
  readonly seed: number;
  readonly minutes: number;
  readonly version: string;
  readonly commit: string | undefined;
  readonly date: string;
  readonly nodes: readonly string[];
  readonly struck: readonly Struck[];
  readonly load: LoadReport;
  readonly invariants: readonly Invariant[];
}

/** Whether everything held, every fault was made, and no connection broke. */
export function chaosPassed({ struck, load, invariants }: ChaosReport): boolean {
  return (
    struck.every(({ error }) => error === undefined) &&
    invariants.every(({ broken }) => broken.length === 0) &&
    load.talks.every(({ talk }) => talk !== undefined && talk.error === null && talk.echoed === talk.sent)
  );
}

/** The report as Markdown. */
export function chaosDocument(report: ChaosReport): string {
  const { seed, minutes, version, commit, date, nodes, struck, load, invariants } = report;
  const counts = Map.groupBy(struck, ({ fault }) => fault);
  const failed = struck.filter(({ error }) => error !== undefined);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
  const sent = sum(load.pings.map((each) => each.sent));
  const lost = sum(load.pings.map((each) => each.lost));
  return [
    `${minutes} minutes, seed ${seed}. twill ${version}${commit === undefined ? "" : ` at ${commit}`}, ${date}. Nodes: ${nodes.join(", ")}. ` +
      `Repeat it with \`npm run chaos -- --minutes ${minutes} --seed ${seed}\`.`,
    "",
    chaosPassed(report) ? "Everything held." : "**Not everything held.**",
    "",
    "| invariant | |",
    "| --- | --- |",
    ...invariants.map(({ name, broken }) => `| ${name} | ${broken.length === 0 ? "yes" : broken.join("; ")} |`),
    `| no connection broke | ${
      load.talks
        .filter(({ talk }) => !talk || talk.error !== null || talk.echoed !== talk.sent)
        .map(
          ({ from, to, talk, error }) =>
            `${from} → ${to}: ${error ?? talk?.error ?? `${talk?.echoed} of ${talk?.sent}`}`,
        )
        .join("; ") || "yes"
    } |`,
    "",
    "| fault | times |",
    "| --- | --- |",
    ...[...counts].map(([fault, all]) => `| ${fault} | ${all.length} |`),
    ...(failed.length === 0 ? [] : ["", ...failed.map((each) => `- ${each.fault} on ${each.target}: ${each.error}`)]),
    "",
    `Of ${sent} pings ${lost} were lost. UDP at 2 Mbit/s: ${
      "error" in load.udp ? load.udp.error : `${load.udp.lost} of ${load.udp.sent} datagrams lost`
    }.`,
    "",
    "| from → to | pings lost | longest gap of the pings, ms | longest silence of the connection, ms |",
    "| --- | --- | --- | --- |",
    ...load.pings.map(({ from, to, sent: all, lost: none, longestGapMs }, i) => {
      const talk = load.talks[i]?.talk;
      return `| ${from} → ${to} | ${none} of ${all} | ${longestGapMs} | ${talk?.longestGapMs ?? "broken"} |`;
    }),
    "",
  ].join("\n");
}
