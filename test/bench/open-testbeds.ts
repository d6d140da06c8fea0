import { describeError } from "../../pkg/base/errors.ts";
import type { Lab } from "../../pkg/lab/lab.ts";
import { measureTcp } from "./measure/tcp.ts";
import type { Progress } from "./progress.ts";
import type { Configuration, Testbed } from "./testbed/testbed.ts";
import { Unavailable } from "./testbed/testbed.ts";

/** What became of the configurations: a testbed, or the sentence that says why there is none. */
export interface Opened {
  readonly testbeds: ReadonlyMap<string, Testbed>;
  readonly unavailable: ReadonlyMap<string, string>;
  /** Whether something failed that should have worked, other than being unavailable. */
  readonly broken: boolean;
}

/** Sets all of them up and sends some traffic through each. Throws where one fails without which the others mean nothing. */
export async function openTestbeds(
  lab: Lab,
  configurations: readonly Configuration[],
  signal: AbortSignal,
  progress: Progress,
): Promise<Opened> {
  const testbeds = new Map<string, Testbed>();
  const unavailable = new Map<string, string>();
  let broken = false;
  for (const configuration of configurations) {
    const { id, title, required } = configuration;
    try {
      signal.throwIfAborted();
      const testbed = await configuration.open(lab);
      await warmUp(testbed, lab.directory);
      testbeds.set(id, testbed);
    } catch (cause) {
      if (required || signal.aborted) throw new Error(`cannot set up ${title}`, { cause });
      if (!(cause instanceof Unavailable)) broken = true;
      unavailable.set(id, describeError(cause instanceof Unavailable ? cause.message : cause));
      progress.say(`${title} is not available: ${unavailable.get(id)}`);
    }
  }
  return { testbeds, unavailable, broken };
}

// A daemon has long been running when it matters: what V8 compiles at first must not count. It also shows that packets pass.
async function warmUp(testbed: Testbed, directory: string): Promise<void> {
  if (testbed.agents.length === 0) return;
  for (const reverse of [false, true]) await measureTcp(testbed, { seconds: 1, streams: 1, reverse, directory });
}
