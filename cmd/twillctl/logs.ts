import type { AgentClient } from "../../pkg/api/client.ts";
import { printable } from "../../pkg/base/printable.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { repeat } from "./repeat.ts";
import { paint, type Screen } from "./screen.ts";

const LOOK_MS = 500;

/** What the agent has logged lately, as it keeps it in memory; with --follow also what comes. */
export async function runLogs(call: Call): Promise<Outcome> {
  let last: Line | undefined;
  const look = async (): Promise<void> => {
    for (const line of await linesBehind(last, await call.agent())) {
      call.write(call.json ? `${line.text.trimEnd()}\n` : showLine(line.text, call.screen));
      last = line;
    }
  };
  await (call.flags.get("follow") === "true" ? repeat(call, LOOK_MS, look) : look());
  return { text: "", code: EXIT.ok };
}

interface Line {
  readonly sequence: number;
  readonly text: string;
}

// The last line is asked for once more. Where another has its number, or none has it or a higher one, this is another
// process, which numbers its lines from the beginning.
async function linesBehind(last: Line | undefined, agent: AgentClient): Promise<readonly Line[]> {
  if (!last) return agent.logs(0);
  const [first, ...rest] = await agent.logs(last.sequence - 1);
  if (first?.sequence === last.sequence && first.text === last.text) return rest;
  // Lines that the agent keeps no more were missed.
  return first && first.sequence > last.sequence ? [first, ...rest] : agent.logs(0);
}

const COLOURS = { error: "red", warn: "yellow", info: undefined, debug: "dim" } as const;

/** A log line of JSON for people: "12:00:01 warn  no lease {"reason":"..."}". */
export function showLine(text: string, screen: Screen): string {
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return `${printable(text.trimEnd())}\n`;
  }
  const { level, time, msg, ...fields } = parsed;
  const name = String(level);
  const colour = Object.hasOwn(COLOURS, name) ? COLOURS[name as keyof typeof COLOURS] : undefined;
  const rest = Object.keys(fields).length > 0 ? ` ${JSON.stringify(fields)}` : "";
  return `${String(time)} ${paint(name.padEnd(5), colour, screen)} ${printable(`${String(msg)}${rest}`)}\n`;
}
