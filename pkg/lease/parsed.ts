/** What became of reading text that somebody else wrote: its value, or one clause that says why it makes no sense. */
export type Parsed<T> =
  { readonly value: T; readonly malformed?: never } | { readonly malformed: string; readonly value?: never };

/** At most 80 characters of foreign text, quoted, with control characters escaped: fit for a log line. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
