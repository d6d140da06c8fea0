/** Bytes from annotated hex: whatever is no hex digit (blanks, bars, line breaks) only separates. For tests. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replaceAll(/[^0-9a-f]/gi, "").match(/../g) ?? [], (digits) =>
    Number.parseInt(digits, 16),
  );
}
