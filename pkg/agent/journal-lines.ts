import { fstatSync } from "node:fs";

// syslog(3). systemd takes it off the line and keeps it as a field of its own, sd-daemon(3), so that `journalctl -p` works.
const PRIORITIES: Readonly<Record<string, number>> = { debug: 7, info: 6, warn: 4, error: 3 };

/** Whether a descriptor leads to journald: JOURNAL_STREAM in systemd.exec(5). */
export function leadsToJournal(fd: number | undefined, env: Readonly<Record<string, string | undefined>>): boolean {
  const stream = env["JOURNAL_STREAM"];
  if (stream === undefined || fd === undefined) return false;
  const { dev, ino } = fstatSync(fd);
  return stream === `${dev}:${ino}`;
}

/** A JSON line of the log as text for the journal, which has the time itself: priority, sentence, fields as name=value. */
export function journalLine(json: string): string {
  const { level, time: _, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const facts = Object.entries(fields).map(([name, value]) => ` ${name}=${plain(value)}`);
  return `<${PRIORITIES[String(level)] ?? PRIORITIES["info"]}>${String(msg)}${facts.join("")}\n`;
}

function plain(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
