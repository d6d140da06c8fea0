// npm run outage -- [--minutes N] [--write-docs]: three nodes, each pod pinging each other one, and no etcd for so long,
// and for another two minutes without the pings. Prints what was lost and what the agents cost: with etcd, without it under
// the pings, and without it idle. Exit codes: 0 nothing lost and no idle agent above 1 %, 1 otherwise, 2 wrong arguments.
// It wants root.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { describeError } from "../../pkg/base/errors.ts";
import { VERSION } from "../../pkg/base/version.ts";
import type { Daemon } from "../../pkg/lab/daemon.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { obstacles } from "../../pkg/lab/preflight.ts";
import { describeCheckout, describeMachine } from "../bench/machine.ts";
import { until } from "../until.ts";
import { writeSection } from "./document.ts";
import { IdleCpu } from "./idle-cpu.ts";
import { PATIENCE_MS } from "./patience.ts";

const PLANES = ["tun", "kernel", "tun"] as const;
const MOST_PERCENT = 1;
const BASELINE_MS = 60_000;
const IDLE_MS = 120_000;
const PING_S = 0.2;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Figures {
  readonly node: string;
  readonly plane: string;
  /** Percent of one core: idle with etcd, under the pings without it, and idle without it. */
  readonly withEtcd: number;
  readonly pinged: number;
  readonly idle: number;
}

interface Outage {
  readonly minutes: number;
  readonly sent: number;
  readonly lost: number;
  readonly nodes: readonly Figures[];
  /** Lines of the agents' logs during the outage, its idle end included, all of them together. */
  readonly lines: number;
  /** From etcd's return until all tables were those of etcd again, in milliseconds. */
  readonly recoveredMs: number;
}

async function measure(minutes: number): Promise<Outage> {
  const lab = await Lab.create();
  try {
    for (const plane of PLANES) await lab.addNode({ args: [`--dataplane=${plane}`] });
    for (const node of lab.nodes) {
      await node.start();
      await node.ready(PATIENCE_MS);
      await node.addPod();
    }
    const cpu = async (ms: number): Promise<readonly number[]> => {
      const looks = lab.nodes.map((node) => new IdleCpu(node));
      await sleep(systemClock, ms);
      return looks.map((look) => look.percent());
    };
    // The first minute after the start is busier than any other.
    await sleep(systemClock, BASELINE_MS);
    const withEtcd = await cpu(BASELINE_MS);
    const pings = await startPings(lab, "outage");
    await lab.etcd.kill();
    say(`etcd is stopped for ${minutes} minutes`);
    const linesBefore = lines(lab);
    const pinged = await cpu(minutes * 60_000);
    const duringOutage = await endPings(pings);
    const idle = await cpu(IDLE_MS);
    const during = lines(lab) - linesBefore;
    const pingsOfReturn = await startPings(lab, "return");
    const back = systemClock.now();
    await lab.etcd.start();
    await until(async () => {
      // One that is late is asked again.
      const answers = await Promise.all(lab.nodes.map((node) => node.http("/readyz?verbose").catch(() => undefined)));
      return answers.every((answer) => answer?.status === 200 && answer.body.includes("followed"));
    });
    const recoveredMs = Math.round(systemClock.now() - back);
    const duringReturn = await endPings(pingsOfReturn);
    return {
      minutes,
      sent: duringOutage.sent + duringReturn.sent,
      lost: duringOutage.lost + duringReturn.lost,
      lines: during,
      recoveredMs,
      nodes: lab.nodes.map(({ name }, i) => ({
        node: name,
        plane: PLANES[i] ?? "",
        withEtcd: withEtcd[i] ?? Number.NaN,
        pinged: pinged[i] ?? Number.NaN,
        idle: idle[i] ?? Number.NaN,
      })),
    };
  } finally {
    await lab.close();
  }
}

const lines = (lab: Lab): number => lab.nodes.reduce((sum, node) => sum + node.logText().split("\n").length, 0);

async function startPings(lab: Lab, during: string): Promise<readonly Daemon[]> {
  const pairs = lab.pods.flatMap((from) => lab.pods.filter((to) => to !== from).map((to) => [from, to] as const));
  return Promise.all(
    pairs.map(([from, to]) =>
      from.netns.start(["ping", "-n", "-i", String(PING_S), to.address], {
        name: `ping from ${from.name} to ${to.name}`,
        log: join(lab.directory, `${during}-${from.name}-${to.name}.log`),
      }),
    ),
  );
}

async function endPings(pings: readonly Daemon[]): Promise<{ readonly sent: number; readonly lost: number }> {
  // ping sums up on SIGINT alone.
  for (const ping of pings) ping.signal("SIGINT");
  await Promise.all(pings.map((ping) => ping.ended));
  let [sent, lost] = [0, 0];
  for (const { log } of pings) {
    const text = readFileSync(log, "utf8");
    const [, ofThis, answered] = /(\d+) packets transmitted, (\d+) received/.exec(text) ?? [];
    const last = /icmp_seq=(\d+) /.exec(text.slice(text.lastIndexOf(" bytes from ")))?.[1];
    // The last one may still have been under way.
    const underWay = Number(ofThis) - Number(last) === 1 ? 1 : 0;
    sent += Number(ofThis) - underWay;
    lost += Number(ofThis) - underWay - Number(answered);
  }
  return { sent, lost };
}

async function sectionOf(outage: Outage): Promise<string> {
  const { commit } = await describeCheckout();
  const { cpu, cores, kernel } = await describeMachine();
  const percent = (value: number): string => `${value.toFixed(2)} %`;
  return [
    `Three nodes with a pod each, which ping each other every ${PING_S * 1000} ms, and no etcd for ${outage.minutes} minutes, and without the pings for another ${IDLE_MS / 60_000}: ` +
      `${outage.lost} of ${outage.sent} packets were lost; the three agents wrote ${outage.lines} log lines meanwhile; ` +
      `${(outage.recoveredMs / 1000).toFixed(1)} s after etcd was started again all followed it.`,
    "",
    "| node | data plane | CPU of its agent, idle, with etcd | without etcd, idle | without etcd, under the pings |",
    "| --- | --- | --- | --- | --- |",
    ...outage.nodes.map(
      ({ node, plane, withEtcd, idle, pinged }) =>
        `| ${node} | ${plane} | ${percent(withEtcd)} | ${percent(idle)} | ${percent(pinged)} |`,
    ),
    "",
    `Percent of one core, twill ${VERSION}${commit === undefined ? "" : ` at ${commit}`}, ${cores} cores of ${cpu}, Linux ${kernel}. ` +
      `\`npm run outage -- --minutes ${outage.minutes} --write-docs\` measures it anew.`,
  ].join("\n");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { minutes: { type: "string", default: "10" }, "write-docs": { type: "boolean" } },
  });
  const minutes = Number(values.minutes);
  if (!(minutes >= 0.1 && minutes <= 1440)) {
    process.stderr.write("outage: give --minutes from 0.1 to 1440\n");
    return 2;
  }
  const problems = await obstacles({ tun: true });
  for (const problem of problems) process.stderr.write(`outage: ${problem}\n`);
  if (problems.length > 0) return 1;
  const outage = await measure(minutes);
  const section = await sectionOf(outage);
  say(section);
  if (values["write-docs"] === true) await writeSection("outage", section);
  const costly = outage.nodes.some(({ withEtcd, idle }) => Math.max(withEtcd, idle) > MOST_PERCENT);
  return outage.lost === 0 && !costly ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`outage: ${describeError(error)}\n`);
  process.exitCode = 1;
}
