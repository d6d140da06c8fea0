import { describeError } from "../../pkg/base/errors.ts";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { VERSION } from "../../pkg/base/version.ts";
import type { Lab } from "../../pkg/lab/lab.ts";
import { describeCheckout, describeMachine } from "./machine.ts";
import { elapsed, readCpuTime } from "./measure/cpu-time.ts";
import { makeWireLike } from "./offloads.ts";
import type { Opened } from "./open-testbeds.ts";
import type { Progress } from "./progress.ts";
import type { Failure, Report, Sample } from "./report.ts";
import type { Step } from "./schedule.ts";
import type { Configuration, Testbed } from "./testbed/testbed.ts";

export interface SittingOptions {
  readonly lab: Lab;
  readonly configurations: readonly Configuration[];
  readonly opened: Opened;
  readonly steps: readonly Step[];
  readonly rounds: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

// What is still on its way from the measurement before is gone by then.
const SETTLE_MS = 100;
const BACKGROUND_MS = 500;

/** Measures step by step. A measurement that fails is written down, and the sitting goes on; an abort ends it by an error. */
export async function sit(options: SittingOptions): Promise<Report> {
  const { steps, signal, progress, opened } = options;
  const date = new Date(systemClock.wall()).toISOString();
  // Now, since it may be another one by the end.
  const checkout = await describeCheckout();
  const samples: Sample[] = [];
  const failures: Failure[] = [];
  const background: number[] = [];
  for (const [i, step] of steps.entries()) {
    signal.throwIfAborted();
    if (background.length < step.round) background.push(await backgroundLoad());
    progress.begin(i);
    const { round, underlay, configuration, measure } = step;
    const place = { round, underlay, configuration: configuration.id, measure: measure.id };
    try {
      samples.push({ ...place, figures: await take(step, options) });
    } catch (error) {
      signal.throwIfAborted();
      const message = describeError(error);
      failures.push({ ...place, message });
      progress.say(`${configuration.title}, ${measure.title}: ${message}`);
    }
  }
  progress.end();
  return {
    version: VERSION,
    ...checkout,
    date,
    machine: await describeMachine(),
    rounds: options.rounds,
    seconds: options.seconds,
    configurations: options.configurations.map((each) => describe(each, opened)),
    background,
    samples,
    failures,
  };
}

async function take({ underlay, configuration, measure }: Step, options: SittingOptions): Promise<Sample["figures"]> {
  const testbed = options.opened.testbeds.get(configuration.id);
  if (!testbed) throw new Error(`${configuration.title} was not set up`);
  const dead = testbed.agents.find((agent) => !agent.running);
  if (dead) throw new Error(`${dead.name} ${dead.describeEnding()}: ${dead.tail(3).join("; ")}`);
  const restore = underlay === "wire-like" ? await makeWireLike(testbed.machines, options.lab.underlay) : undefined;
  try {
    await sleep(systemClock, SETTLE_MS, options.signal);
    return await measure.take(testbed, options.seconds, options.lab.directory);
  } finally {
    await restore?.();
  }
}

/** Share of all CPU time that others take. */
async function backgroundLoad(): Promise<number> {
  const before = readCpuTime([]);
  await sleep(systemClock, BACKGROUND_MS);
  const { system, idle } = elapsed(before, readCpuTime([]));
  return system / Math.max(system + idle, 0.01);
}

function describe({ id, title }: Configuration, opened: Opened): Report["configurations"][number] {
  const unavailable = opened.unavailable.get(id);
  if (unavailable !== undefined) return { id, title, unavailable };
  const complaints = complaintsOf(opened.testbeds.get(id));
  return complaints.length === 0 ? { id, title } : { id, title, complaints };
}

function complaintsOf(testbed: Testbed | undefined): string[] {
  return testbed?.complaints?.() ?? [];
}
