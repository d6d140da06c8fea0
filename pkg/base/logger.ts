/** Facts beside a log sentence. Names come from the list in CONTRIBUTING.md. */
export type Fields = Readonly<Record<string, unknown>>;

/** Where state changes are told. The sentence is fixed, what varies goes into fields. Never called per packet. */
export interface Logger {
  debug(sentence: string, fields?: Fields): void;
  info(sentence: string, fields?: Fields): void;
  warn(sentence: string, fields?: Fields): void;
  error(sentence: string, fields?: Fields): void;
}

export type Level = "debug" | "info" | "warn" | "error";

/** Keeps what was logged, for tests. */
export class MemoryLogger implements Logger {
  readonly lines: { readonly level: Level; readonly sentence: string; readonly fields: Fields }[] = [];

  debug(sentence: string, fields: Fields = {}): void {
    this.lines.push({ level: "debug", sentence, fields });
  }
  info(sentence: string, fields: Fields = {}): void {
    this.lines.push({ level: "info", sentence, fields });
  }
  warn(sentence: string, fields: Fields = {}): void {
    this.lines.push({ level: "warn", sentence, fields });
  }
  error(sentence: string, fields: Fields = {}): void {
    this.lines.push({ level: "error", sentence, fields });
  }

  /** The sentences of one level, in order. */
  sentences(level: Level): string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.sentence);
  }
}
