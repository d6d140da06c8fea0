import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../pkg/base/clock.ts";

const SHORTEST_MS = 10;

/**
 * Waits until it is so. What never comes is ended by the test's own time-out: a busy machine only makes it later. It rests
 * as long as it asks, so that what it waits for gets half of the time at least.
 */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let asked = systemClock.now(); !(await condition()); asked = systemClock.now()) {
    await delay(Math.max(SHORTEST_MS, systemClock.now() - asked));
  }
}
