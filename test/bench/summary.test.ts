import { expect, test } from "vitest";
import { sampleReport } from "./sample-report.ts";
import { ratio, summarize } from "./summary.ts";

const report = sampleReport([
  { configuration: "kernel-vxlan", figures: [{ tcp1: 10 }, { tcp1: 20 }, { tcp1: 8 }, { tcp1: 0 }] },
  { configuration: "twill-gso", figures: [{ tcp1: 6 }, { tcp1: 10 }, { tcp1: 6 }, { tcp1: 6 }] },
  { configuration: "half", figures: [{}, { tcp1: 10 }] },
  { configuration: "twill-gso", underlay: "wire-like", figures: [{ tcp1: 1 }] },
]);
const place = (configuration: string) => ({ underlay: "offloads" as const, configuration });

test("median, smallest and largest of the rounds", () => {
  expect(summarize(report, place("kernel-vxlan"), "tcp1")).toEqual({ median: 9, min: 0, max: 20 });
});

test("a ratio is taken round by round; rounds in which the other is 0 or missing do not count", () => {
  // 6/10, 10/20, 6/8: the median is not 6/9, the ratio of the medians.
  expect(ratio(report, place("twill-gso"), "tcp1")).toEqual({ median: 0.6, min: 0.5, max: 0.75 });
  expect(ratio(report, place("half"), "tcp1")).toEqual({ median: 0.5, min: 0.5, max: 0.5 });
});

test("what was not measured has neither", () => {
  expect(summarize(report, place("twill-gso"), "udp64")).toBeUndefined();
  expect(summarize(report, place("nebula"), "tcp1")).toBeUndefined();
  expect(ratio(report, { underlay: "wire-like", configuration: "twill-gso" }, "tcp1")).toBeUndefined();
});
