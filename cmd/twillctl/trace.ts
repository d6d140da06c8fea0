import { parseAddr } from "../../pkg/addr/addr.ts";
import { AgentUnreachableError } from "../../pkg/api/reach.ts";
import { type Known, type Step, trace } from "../../pkg/diagnosis/trace.ts";
import { LinuxHost } from "../../pkg/host/linux-host.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { type Cell, paint, type Screen, table } from "./screen.ts";
import { toJson } from "./to-json.ts";
import { UsageError } from "./usage-error.ts";

/** What a packet to an address would use, and where it would stop: then it ends with 1. */
export async function runTrace(call: Call): Promise<Outcome> {
  const [text = ""] = call.args;
  const target = parseAddr(text);
  if (!target) throw new UsageError(`${JSON.stringify(text)} is not an IP address`);
  const known = await knownFrom(call);
  const steps = await trace(target, known, new LinuxHost());
  const stop = steps.find((step) => step.stops !== undefined);
  const shown = call.json
    ? toJson({ target: text, reaches: stop === undefined, stopsAt: stop?.what, steps: steps.map(inFull) })
    : showSteps(text, steps, call.screen);
  return { text: shown, code: stop ? EXIT.refused : EXIT.ok, problems: known.agent ? [] : [known.why] };
}

async function knownFrom(call: Call): Promise<Known> {
  try {
    const agent = await call.agent();
    const [status, leases] = await Promise.all([agent.status(), agent.leases()]);
    return { agent: true, status, leases };
  } catch (error) {
    if (!(error instanceof AgentUnreachableError)) throw error;
    return { agent: false, why: error.message };
  }
}

// With every field, for programs.
function inFull({ what, found, stops, doubt }: Step): Record<keyof Step, string | undefined> {
  return { what, found, stops, doubt };
}

function showSteps(target: string, steps: readonly Step[], screen: Screen): string {
  const stop = steps.find((step) => step.stops !== undefined);
  const rows = steps.map((step): Cell[] => [
    { text: step.what },
    { text: step.stops === undefined ? (step.doubt === undefined ? "ok" : "!") : "stop", colour: colourOf(step) },
    { text: step.found },
  ]);
  const end = stop
    ? paint(`A packet to ${target} stops at the ${stop.what}: ${stop.stops}`, "red", screen)
    : paint(`Nothing on this host stops a packet to ${target}.`, "green", screen);
  const doubts = steps.flatMap((step) => (step.doubt === undefined ? [] : [`! ${step.doubt}`]));
  return [table(["STEP", "", "FOUND"], rows, screen), ...doubts.map((doubt) => `${doubt}\n`), `${end}\n`].join("");
}

function colourOf(step: Step): "red" | "yellow" | "green" {
  return step.stops !== undefined ? "red" : step.doubt !== undefined ? "yellow" : "green";
}
