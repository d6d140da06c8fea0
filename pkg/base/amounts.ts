const UNITS = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
] as const;

/** A time span for people in its two largest units: "3 h 12 min". */
export function span(ms: number): string {
  let rest = Math.max(0, Math.round(ms / 1000));
  const parts: string[] = [];
  for (const [seconds, unit] of UNITS) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    // A unit of zero between two others would say nothing: "1 d", not "1 d 5 s".
    if (parts.length > 0 && count === 0) break;
    if (count > 0) parts.push(`${count} ${unit}`);
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0 s";
}

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"] as const;

/** Bytes for people, in powers of 1000: "1.2 MB". */
export function bytes(count: bigint): string {
  let value = Number(count);
  let prefix = 0;
  while (value >= 999.5 && prefix < PREFIXES.length - 1) {
    value /= 1000;
    prefix++;
  }
  const digits = prefix === 0 || value >= 9.95 ? value.toFixed(0) : value.toFixed(1);
  return `${digits} ${PREFIXES[prefix]}B`;
}
