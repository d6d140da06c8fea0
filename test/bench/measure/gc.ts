import { readFileSync } from "node:fs";

/** Collections that `node --trace-gc` has told of. */
export interface Collections {
  /** Of the young generation. */
  readonly minor: number;
  /** Of the whole heap. */
  readonly major: number;
  /** How long all of them took together, in milliseconds. */
  readonly ms: number;
}

const LINE = /^\[\d+:(0x[0-9a-f]+)\]\s+\d+ ms: (\S+).*?([\d.]+) \/ [\d.]+ ms/gm;

/**
 * Reads a log that V8's lines are mixed into, from `offset` characters on: collections by thread, in the order in which
 * the threads first appear in it. The main thread is the first, since loading the program makes it collect.
 */
export function parseCollections(text: string, offset = 0): Collections[] {
  const threads = new Map<string, { minor: number; major: number; ms: number }>();
  for (const match of text.matchAll(LINE)) {
    const [, thread = "", kind = "", ms = "0"] = match;
    const known = threads.get(thread) ?? { minor: 0, major: 0, ms: 0 };
    threads.set(thread, known);
    if (match.index < offset) continue;
    if (kind === "Scavenge") known.minor++;
    else known.major++;
    known.ms += Number(ms);
  }
  return [...threads.values()];
}

/** What each process's threads collect while `work` runs; each process writes a log of its own. */
export async function collectionsDuring(logs: readonly string[], work: () => Promise<void>): Promise<Collections[][]> {
  const offsets = logs.map((log) => readFileSync(log, "utf8").length);
  await work();
  return logs.map((log, i) => parseCollections(readFileSync(log, "utf8"), offsets[i]));
}
