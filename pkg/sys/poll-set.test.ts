import { expect, test } from "vitest";
import { Arena } from "./arena.ts";
import { POLLIN, PollSet } from "./poll-set.ts";
import { WakeFd } from "./wake-fd.ts";

test("a glance finds what is ready, and otherwise ends without sleeping", () => {
  const wakeFd = new WakeFd();
  const poll = new PollSet(Arena.create(65536), [wakeFd.fd]);
  poll.want(0, POLLIN);
  expect(poll.glance(2)).toBe(false);
  expect(poll.ready(0)).toBe(0);
  wakeFd.wake();
  expect(poll.glance(0)).toBe(false);
  expect(poll.glance(1)).toBe(true);
  expect(poll.ready(0)).toBe(POLLIN);
  wakeFd.close();
});
