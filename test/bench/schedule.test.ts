import { expect, test } from "vitest";
import type { Measure } from "./measures.ts";
import { estimate, schedule } from "./schedule.ts";
import type { Configuration } from "./testbed/testbed.ts";

const configuration = (id: string, wireLike: boolean): Configuration => ({
  id,
  title: id,
  wireLike,
  required: false,
  open: () => Promise.reject(new Error("not opened here")),
});
const measure = (id: Measure["id"], wireLike: boolean): Measure => ({
  id,
  title: id,
  wireLike,
  estimate: (seconds) => seconds + 0.7,
  take: () => Promise.reject(new Error("not taken here")),
});
const plan = {
  configurations: [configuration("a", true), configuration("b", false), configuration("c", true)],
  measures: [measure("tcp1", true), measure("rtt", false)],
};

test("every configuration once for each measurement of a round, and each round begins with another", () => {
  const steps = schedule({ ...plan, rounds: 2 });
  const words = steps.map((step) => [step.round, step.underlay, step.measure.id, step.configuration.id].join(" "));
  expect(words).toEqual([
    "1 offloads tcp1 a",
    "1 offloads tcp1 b",
    "1 offloads tcp1 c",
    "1 offloads rtt a",
    "1 offloads rtt b",
    "1 offloads rtt c",
    "1 wire-like tcp1 a",
    "1 wire-like tcp1 c",
    "2 offloads tcp1 b",
    "2 offloads tcp1 c",
    "2 offloads tcp1 a",
    "2 offloads rtt b",
    "2 offloads rtt c",
    "2 offloads rtt a",
    "2 wire-like tcp1 c",
    "2 wire-like tcp1 a",
  ]);
});

test("more rounds than configurations begin anew", () => {
  const firsts = schedule({ ...plan, rounds: 4 }).filter((step, i, all) => step.round !== all[i - 1]?.round);
  expect(firsts.map((step) => step.configuration.id)).toEqual(["a", "b", "c", "a"]);
});

test("the estimate is the sum of the steps", () => {
  expect(estimate(schedule({ ...plan, rounds: 2 }), 3)).toBeCloseTo(16 * 3.8);
  expect(estimate([], 3)).toBe(0);
});
