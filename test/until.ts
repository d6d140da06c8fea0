import { setTimeout as delay } from "node:timers/promises";

/** Waits until it is so. What never comes is ended by the test's own time-out: a busy machine only makes it later. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(10);
}
