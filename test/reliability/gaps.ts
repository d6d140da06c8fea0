// npm run interruptions -- [--times N] [--write-docs]: interrupts a node of each plane in every way, several times, while
// its pods talk, and tells how long a connection was without an answer. Exit codes: 0 no connection broke, 1 one did, 2 wrong
// arguments. It wants root, and a quiet machine.

import { parseArgs } from "node:util";
import { describeError } from "../../pkg/base/errors.ts";
import { VERSION } from "../../pkg/base/version.ts";
import { obstacles } from "../../pkg/lab/preflight.ts";
import { describeCheckout, describeMachine } from "../bench/machine.ts";
import { median } from "../bench/statistics.ts";
import { writeSection } from "./document.ts";
import { type Interruption, INTERRUPTIONS, InterruptedLab, type Plane, PLANES } from "./interruptions.ts";

interface Gaps {
  readonly plane: Plane;
  readonly interruption: Interruption;
  /** Milliseconds, of each time. */
  readonly gaps: readonly number[];
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function measure(times: number): Promise<readonly Gaps[]> {
  const all: Gaps[] = [];
  for (const plane of PLANES) {
    await using interrupted = await InterruptedLab.open(plane);
    for (const interruption of INTERRUPTIONS) {
      if ((interruption.only ?? plane) !== plane) continue;
      const gaps: number[] = [];
      for (let i = 0; i < times; i++) {
        const talk = await interrupted.suffer(interruption);
        if (talk.error !== null || talk.echoed !== talk.sent || !interrupted.loaded) {
          throw new Error(`${plane}, ${interruption.name}: a connection broke: ${talk.error ?? "not all came back"}`);
        }
        gaps.push(talk.longestGapMs);
      }
      say(`${plane}, ${interruption.name}: ${gaps.join(", ")} ms`);
      all.push({ plane, interruption, gaps });
    }
  }
  return all;
}

async function sectionOf(all: readonly Gaps[], times: number): Promise<string> {
  const { commit } = await describeCheckout();
  const { cpu, cores, kernel } = await describeMachine();
  const cellOf = (plane: Plane, interruption: Interruption): string => {
    const found = all.find((each) => each.plane === plane && each.interruption === interruption);
    return found ? `${Math.round(median(found.gaps))} (${Math.min(...found.gaps)} to ${Math.max(...found.gaps)})` : "";
  };
  return [
    `How long a TCP connection between two pods, on which a byte goes there and back every 10 ms, was without an answer while ` +
      `the node of one of them was interrupted, in milliseconds: the median and the range of ${times} times, beside 50 Mbit/s each way. ` +
      `No connection broke. A data plane that dies again soon after it was opened is opened more and more rarely, which the ` +
      `rows of the thread and of the tun plane's device show: the shortest time of the first is what a sound node sees, and ` +
      `the second begins where it ended.`,
    "",
    `| | ${PLANES.join(" | ")} |`,
    `| --- | ${PLANES.map(() => "---").join(" | ")} |`,
    ...INTERRUPTIONS.map((each) => `| ${each.name} | ${PLANES.map((plane) => cellOf(plane, each)).join(" | ")} |`),
    "",
    `twill ${VERSION}${commit === undefined ? "" : ` at ${commit}`}, both nodes and both pods on ${cores} cores of ${cpu}, Linux ${kernel}. ` +
      `\`npm run interruptions -- --times ${times} --write-docs\` measures it anew.`,
  ].join("\n");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { times: { type: "string", default: "5" }, "write-docs": { type: "boolean" } },
  });
  const times = Number(values.times);
  if (!Number.isInteger(times) || times < 1) {
    process.stderr.write("interruptions: give --times as a whole number\n");
    return 2;
  }
  const problems = await obstacles({ tun: true });
  for (const problem of problems) process.stderr.write(`interruptions: ${problem}\n`);
  if (problems.length > 0) return 1;
  const section = await sectionOf(await measure(times), times);
  say(`\n${section}`);
  if (values["write-docs"] === true) await writeSection("interruptions", section);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`interruptions: ${describeError(error)}\n`);
  process.exitCode = 1;
}
