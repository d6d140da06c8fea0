import { expect, test } from "vitest";
import { mean, median, percentile } from "./statistics.ts";

test("the median of an odd and of an even number of values, in any order", () => {
  expect(median([9, 1, 10])).toBe(9);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([7])).toBe(7);
  expect(() => median([])).toThrow(RangeError);
});

test("percentiles are values that were measured", () => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i);
  expect(percentile(values, 0.99)).toBe(198);
  expect(percentile(values, 0.5)).toBe(100);
  expect(percentile(values, 1)).toBe(200);
  expect(percentile([5], 0.99)).toBe(5);
  expect(() => percentile([], 0.99)).toThrow(RangeError);
});

test("the mean", () => {
  expect(mean([1, 2, 6])).toBe(3);
});
