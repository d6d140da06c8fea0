import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { printable } from "../../pkg/base/printable.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { paint, type Screen } from "./screen.ts";

const LOOK_MS = 500;

/** What the agent has logged lately, as it keeps it in memory; with --follow also what comes. */
export async function runLogs(call: Call): Promise<Outcome> {
  const agent = await call.agent();
  let after = 0;
  for (;;) {
    const lines = await agent.logs(after);
    for (const { sequence, text } of lines) {
      call.write(call.json ? `${text.trimEnd()}\n` : showLine(text, call.screen));
      after = sequence;
    }
    if (call.flags.get("follow") !== "true" || call.signal.aborted) return { text: "", code: EXIT.ok };
    await sleep(systemClock, LOOK_MS, call.signal);
  }
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
