import type { Rule } from "./settings.ts";

const SECONDS = { h: 3600, m: 60, s: 1, ms: 0.001 } as const;

/**
 * A rule for a time in whole seconds: Go's form ("24h", "1h30m", "90s"; pkg.go.dev/time#ParseDuration) or a plain number
 * of seconds.
 */
export function duration(least: number, most: number): Rule<number> {
  return (text) => {
    const seconds = /^\d+$/.test(text) ? Number(text) : goDuration(text);
    if (seconds === undefined) throw new RangeError('give a time as "24h", "90s" or a number of seconds');
    if (!Number.isInteger(seconds)) throw new RangeError("give a time in whole seconds");
    if (seconds < least || seconds > most)
      throw new RangeError(`give a time from ${describe(least)} to ${describe(most)}`);
    return seconds;
  };
}

function goDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|h|m|s))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|h|m|s)/g))
    seconds += Number(amount) * SECONDS[unit as keyof typeof SECONDS];
  // Decimal fractions are not exact in binary: 0.1 s thirty times is not quite 3.
  return Math.round(seconds * 1e6) / 1e6;
}

function describe(seconds: number): string {
  return seconds % 3600 === 0 ? `${seconds / 3600}h` : `${seconds}s`;
}
