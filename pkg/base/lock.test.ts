import { expect, test } from "vitest";
import { Lock } from "./lock.ts";

test("work runs one after another, in order, whatever becomes of it", async () => {
  const lock = new Lock();
  const seen: string[] = [];
  const work = (name: string) => async () => {
    seen.push(`${name} begins`);
    await Promise.resolve();
    seen.push(`${name} ends`);
    if (name === "b") throw new Error("b failed");
    return name;
  };
  const all = await Promise.allSettled(["a", "b", "c"].map((name) => lock.run(work(name))));
  expect(seen).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  expect(all.map((one) => one.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});
