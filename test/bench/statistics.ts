/** The middle value; the mean of the two middle ones of an even number. Throws a RangeError without any. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  if (upper === undefined || lower === undefined) throw new RangeError("there is no median of nothing");
  return (lower + upper) / 2;
}

/** The smallest value that at least `share` (0 to 1) of all do not exceed: nearest rank. Throws a RangeError without any. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = ascending(values);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("there is no percentile of nothing");
  return value;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
