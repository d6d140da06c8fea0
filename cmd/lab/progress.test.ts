import { expect, test } from "vitest";
import { FakeClock } from "../../pkg/base/fake-clock.ts";
import { Progress } from "./progress.ts";

async function shown(terminal: boolean): Promise<string> {
  let text = "";
  const clock = new FakeClock();
  const progress = new Progress({ terminal, write: (part) => void (text += part) }, clock);
  progress.show({ title: "nodes ready", done: 0, of: 2 });
  await clock.advance(700);
  progress.show({ title: "nodes ready", done: 1, of: 2 });
  await clock.advance(600);
  progress.show({ title: "nodes ready", done: 2, of: 2 });
  return text;
}

test("a file gets one line for a step, with the time it took", async () => {
  expect(await shown(false)).toMatch(/^ {2}nodes ready 2 of 2 +1\.3 s\n$/);
});

test("a terminal sees the step count in one line", async () => {
  const frames = (await shown(true)).split("\r\u001b[K");
  expect(frames.slice(1, 3)).toEqual(["  nodes ready 0 of 2 ...", "  nodes ready 1 of 2 ..."]);
  expect(frames[3]).toMatch(/^ {2}nodes ready 2 of 2 +1\.3 s\n$/);
});
