import { expect, test } from "vitest";
import { duration } from "./duration.ts";

const read = duration(1, 86_400);

const good = [
  { text: "24h", seconds: 86_400 },
  { text: "1h30m", seconds: 5400 },
  { text: "90s", seconds: 90 },
  { text: "90", seconds: 90 },
  { text: "1.5m", seconds: 90 },
  { text: "3000ms", seconds: 3 },
  { text: "0.1h0.1m", seconds: 366 },
];

for (const { text, seconds } of good) {
  test(`${text} is ${seconds} s`, () => expect(read(text)).toBe(seconds));
}

const bad = [
  { text: "", says: 'give a time as "24h", "90s" or a number of seconds' },
  { text: "-5s", says: 'give a time as "24h", "90s" or a number of seconds' },
  { text: "1d", says: 'give a time as "24h", "90s" or a number of seconds' },
  { text: "1h 30m", says: 'give a time as "24h", "90s" or a number of seconds' },
  { text: "1500ms", says: "give a time in whole seconds" },
  { text: "0", says: "give a time from 1s to 24h" },
  { text: "25h", says: "give a time from 1s to 24h" },
  { text: "9".repeat(400), says: "give a time" },
];

for (const { text, says } of bad) {
  test(`${JSON.stringify(text.slice(0, 12))} is refused`, () => expect(() => read(text)).toThrow(says));
}
