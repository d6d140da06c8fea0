/** The text without control characters: names come from other nodes, and must not drive a terminal or turn a line around. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}
