import { printable } from "../../pkg/base/printable.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { repeat } from "./repeat.ts";
import { paint, type Screen } from "./screen.ts";

const LOOK_MS = 500;

/** What the agent has logged lately, as it keeps it in memory; with --follow also what comes. */
export async function runLogs(call: Call): Promise<Outcome> {
  let after = 0;
  let startedAt: number | undefined;
  const look = async (): Promise<void> => {
    const agent = await call.agent();
    const status = await agent.status();
    // Another process: it numbers its lines from the beginning.
    if (status.startedAt !== startedAt) after = 0;
    ({ startedAt } = status);
    for (const { sequence, text } of await agent.logs(after)) {
      call.write(call.json ? `${text.trimEnd()}\n` : showLine(text, call.screen));
      after = sequence;
    }
  };
  await (call.flags.get("follow") === "true" ? repeat(call, LOOK_MS, look) : look());
  return { text: "", code: EXIT.ok };
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
