import { pino } from "pino";
import pretty from "pino-pretty";
import type { LogLevel, LogLevels } from "../api/setting.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { RecentLines } from "../base/recent-lines.ts";
import type { Fields, Level, Logger } from "../base/logger.ts";
import type { AgentConfig } from "./config.ts";
import { journalLine, leadsToJournal } from "./journal-lines.ts";
import { LineBudget } from "./line-budget.ts";

/** Where the lines go: process.stdout, or anything that takes text. */
export interface LogOutput extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly fd?: number;
}

/**
 * The agent's logger: JSON, one object a line, or text for people. "auto" is text on a terminal and in
 * systemd's journal, and JSON elsewhere, as log collectors want it. Lines are written before the call returns, so that none is lost when the process
 * dies right after. No sentence fills more than its budget, whatever happens. Its level may be set at any time.
 */
export function createLogger(
  config: Pick<AgentConfig, "logLevel" | "logFormat">,
  output: LogOutput = process.stdout,
  recent?: RecentLines,
  clock: Pick<Clock, "now"> = systemClock,
): Logger & LogLevels {
  const sink = sinkOf(config, output);
  const log = pino(
    {
      level: config.logLevel,
      base: null,
      // Errors are sentences by then; under pino's own name pino-pretty would give them a line of their own.
      errorKey: "thrown",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      redact: ["password", "*.password", "*.*.password"],
    },
    recent ? { write: (line: string) => (recent.add(line), void sink.write(line)) } : sink,
  );
  const budget = new LineBudget(clock);
  const write = (level: Level, sentence: string, fields: Fields = {}): void => {
    if (!log.isLevelEnabled(level)) return;
    const leftOut = budget.take(sentence);
    if (leftOut === undefined) return;
    log[level]({ ...plainFields(fields, log.level === "debug"), ...(leftOut > 0 && { leftOut }) }, sentence);
  };
  return {
    debug: (sentence, fields) => write("debug", sentence, fields),
    info: (sentence, fields) => write("info", sentence, fields),
    warn: (sentence, fields) => write("warn", sentence, fields),
    error: (sentence, fields) => write("error", sentence, fields),
    startedWith: config.logLevel,
    get level() {
      return log.level as LogLevel;
    },
    set level(level) {
      log.level = level;
    },
  };
}

function sinkOf(
  { logFormat }: Pick<AgentConfig, "logFormat">,
  output: LogOutput,
): { write: (line: string) => unknown } {
  const terminal = output.isTTY === true;
  if (logFormat === "pretty" || (logFormat === "auto" && terminal)) {
    return pretty({ destination: output, sync: true, colorize: terminal, ...PRETTY });
  }
  if (logFormat === "json" || !leadsToJournal(output.fd, process.env)) return output;
  return { write: (line) => output.write(journalLine(line)) };
}

const PRETTY = { singleLine: true, errorLikeObjectKeys: [], translateTime: "SYS:yyyy-mm-dd HH:MM:ss.l" };

// Names that pino writes itself: a field of the same name would be a second key in one JSON object.
const TAKEN: ReadonlySet<string> = new Set(["level", "time", "msg"]);

function plainFields(fields: Fields, stacks: boolean): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    const name = TAKEN.has(key) ? `${key}_` : key;
    if (value instanceof Error) {
      plain[name] = describeError(value);
      if (stacks && value.stack !== undefined) plain[`${name}Stack`] = value.stack;
    } else {
      plain[name] = value;
    }
  }
  return plain;
}
