import { expect, test } from "vitest";
import { readPings } from "./load.ts";

const answer = (seq: number): string => `64 bytes from 10.244.2.2: icmp_seq=${seq} ttl=62 time=0.2 ms\n`;

test("the longest gap between two answers, and what was lost", () => {
  const text =
    [1, 2, 6, 7].map(answer).join("") + "\n10 packets transmitted, 4 received, 60% packet loss, time 900ms\n";
  expect(readPings(text)).toEqual({ sent: 10, lost: 6, longestGapMs: 300 });
});

test("numbers that begin again after 65535 are no gap", () => {
  const seqs = Array.from({ length: 70_000 }, (_, i) => (i + 1) & 0xffff);
  const text = `${seqs.map(answer).join("")}\n70000 packets transmitted, 70000 received, 0% packet loss, time 1ms\n`;
  expect(readPings(text)).toMatchObject({ lost: 0, longestGapMs: 0 });
});
