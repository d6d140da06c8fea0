import { expect, test } from "vitest";
import { Journal } from "./journal.ts";
import type { Mesh, WayState } from "./mesh.ts";
import { WALL } from "./sample.ts";

function look(at: number, state: WayState, answers = true): Omit<Mesh, "events"> {
  const none = { echo: null, counted: false, bytesPerSecond: 0, packetsPerSecond: 0, bytes: 0, packets: 0 };
  return {
    at,
    network: "",
    agents: [{ socket: "/a.sock", node: "", answers, since: at, error: answers ? "" : "nobody listens" }],
    nodes: [],
    charted: [],
    ways: [{ from: "a", to: "b", state, why: state === "up" ? "" : "lost", since: 0, ...none }],
    troubles: [],
  };
}

const texts = ({ events }: Journal): string[] => events.map(({ level, text }) => `${level} ${text}`);

test("tells changes, not states, the newest first", () => {
  const journal = new Journal();
  const states = ["up", "up", "broken", "broken", "unknown", "degraded", "up", "degraded", "broken", "up"] as const;
  for (const [i, state] of states.entries()) journal.look(look(WALL + i, state));
  expect(texts(journal)).toEqual([
    "info a → b works again",
    "error a → b: lost",
    "warn a → b: lost",
    "info a → b works again as it should",
    "info a → b works again: lost",
    "error a → b: lost",
  ]);
  expect(journal.events.map(({ at }) => at - WALL)).toEqual([9, 8, 7, 6, 5, 2]);
});

test("waits a while for the counters to tell which way is broken", () => {
  const journal = new Journal();
  for (const s of [0, 10, 19]) journal.look(look(WALL + s * 1000, "unanswered"));
  expect(texts(journal)).toEqual([]);
  journal.look(look(WALL + 20_000, "unanswered"));
  expect(texts(journal)).toEqual(["error a → b: lost"]);
});

test("an agent falls silent and comes back", () => {
  const journal = new Journal();
  for (const [i, answers] of [true, false, false, true].entries()) journal.look(look(WALL + i, "up", answers));
  expect(texts(journal)).toEqual([
    "info the agent of /a.sock answers again",
    "error the agent of /a.sock does not answer: nobody listens",
  ]);
});

test("takes an agent's lines: their time, level and facts; not those for debugging, nor what is no JSON", () => {
  const journal = new Journal();
  const lines = [
    '{"level":"info","time":"2026-01-01T00:00:01.000Z","msg":"ready","mtu":1450}',
    '{"level":"debug","time":"2026-01-01T00:00:02.000Z","msg":"detail"}',
    "not JSON",
    '{"level":"warn","time":"2026-01-01T00:00:03.000Z","msg":"<img src=x>\\u0007"}',
  ].map((text, i) => ({ sequence: i + 1, text }));
  journal.logged("node1", lines);
  expect(journal.events).toMatchObject([
    { at: WALL + 3000, level: "warn", from: "node1", text: "<img src=x>?", facts: "" },
    { at: WALL + 1000, level: "info", from: "node1", text: "ready", facts: '{"mtu":1450}' },
  ]);
});

test("keeps the last two hundred", () => {
  const journal = new Journal();
  const line = (i: number): string =>
    JSON.stringify({ level: "info", time: new Date(WALL + i).toISOString(), msg: `m${i}` });
  journal.logged(
    "a",
    Array.from({ length: 300 }, (_, i) => ({ sequence: i, text: line(i) })),
  );
  expect([journal.events.length, journal.events.at(-1)?.text]).toEqual([200, "m100"]);
});
