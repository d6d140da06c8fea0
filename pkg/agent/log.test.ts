import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { AgentConfig } from "./config.ts";
import { BURST } from "./line-budget.ts";
import { createLogger } from "./log.ts";

type LogConfig = Pick<AgentConfig, "logLevel" | "logFormat">;

function logged(config: LogConfig, write: (log: ReturnType<typeof createLogger>) => void, isTTY = false): string[] {
  const output = Object.assign(new PassThrough({ encoding: "utf8" }), { isTTY });
  write(createLogger(config, output));
  const text = String(output.read() ?? "");
  return text.split("\n").slice(0, -1);
}

test("a line is one JSON object with level, time, fields and sentence", () => {
  const [line = "", ...rest] = logged({ logLevel: "info", logFormat: "json" }, (log) =>
    log.info("peer joined", { subnet: "10.1.2.0/24", packets: 5n }),
  );
  expect(rest).toEqual([]);
  const { time, ...others } = JSON.parse(line) as { time: string };
  expect(others).toEqual({ level: "info", subnet: "10.1.2.0/24", packets: 5, msg: "peer joined" });
  expect(new Date(time).toISOString()).toBe(time);
});

const cause = new Error("connection refused");
const error = new Error("cannot reach etcd", { cause });

test("an error is one sentence without a stack", () => {
  const lines = logged({ logLevel: "info", logFormat: "json" }, (log) =>
    log.warn("etcd lost", { err: error, first: error }),
  );
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    err: "cannot reach etcd: connection refused",
    first: "cannot reach etcd: connection refused",
  });
  expect(lines[0]).not.toContain("log.test.ts");
});

test("the stack comes with --log-level=debug", () => {
  const [line = ""] = logged({ logLevel: "debug", logFormat: "json" }, (log) => log.warn("etcd lost", { err: error }));
  expect((JSON.parse(line) as { errStack: string }).errStack).toContain("log.test.ts");
});

const levels = ["debug", "info", "warn", "error"] as const;
for (const [i, level] of levels.entries()) {
  test(`${level} tells ${levels.slice(i).join(", ")}`, () => {
    const lines = logged({ logLevel: level, logFormat: "json" }, (log) => {
      for (const each of levels) log[each](each);
    });
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(levels.slice(i));
  });
}

test("passwords are not told, also inside of a config", () => {
  const config = { etcd: { username: "u", password: "s3cret" } };
  const lines = logged({ logLevel: "info", logFormat: "json" }, (log) => {
    log.info("a", { password: "s3cret" });
    log.info("b", config);
    log.info("c", { config });
  });
  expect(lines).toHaveLength(3);
  expect(lines.join("")).not.toContain("s3cret");
});

test("a field cannot take the place of level or sentence", () => {
  const [line = ""] = logged({ logLevel: "info", logFormat: "json" }, (log) =>
    log.info("real", { msg: "x", level: "y" }),
  );
  expect(JSON.parse(line)).toMatchObject({ msg: "real", level: "info", msg_: "x", level_: "y" });
  expect(line.match(/"msg":/g)).toHaveLength(1);
});

test("text is one line for people, in colours only on a terminal", () => {
  const write = (log: ReturnType<typeof createLogger>): void => log.warn("etcd lost", { err: error });
  const shape =
    /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] WARN: etcd lost \{"err":"cannot reach etcd: connection refused"\}$/;
  const plain = logged({ logLevel: "info", logFormat: "pretty" }, write);
  expect(plain).toEqual([expect.stringMatching(shape)]);
  expect(logged({ logLevel: "info", logFormat: "pretty" }, write, true).join("")).toContain("\u001b[");
});

test("auto is text on a terminal and JSON elsewhere", () => {
  const write = (log: ReturnType<typeof createLogger>): void => log.info("x");
  expect(logged({ logLevel: "info", logFormat: "auto" }, write, true)[0]).toMatch(/^\[/);
  expect(logged({ logLevel: "info", logFormat: "auto" }, write)[0]).toMatch(/^\{/);
});

test("a sentence that is written without end is cut short, and says how much of it was left out", async () => {
  const output = new PassThrough({ encoding: "utf8" });
  const clock = new FakeClock();
  const log = createLogger({ logLevel: "info", logFormat: "json" }, output, undefined, clock);
  for (let i = 0; i < 100_000; i++) log.warn("peer changed", { i });
  log.info("another sentence");
  await clock.advance(2000);
  log.warn("peer changed");
  const lines = String(output.read()).trimEnd().split("\n");
  expect(lines).toHaveLength(BURST + 2);
  expect(lines.at(-2)).toContain("another sentence");
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ msg: "peer changed", leftOut: 100_000 - BURST });
});

test("the level may be set at any time, and with debug come the stacks", () => {
  const lines = logged({ logLevel: "info", logFormat: "json" }, (log) => {
    log.debug("not yet");
    log.level = "debug";
    log.debug("now", { err: new Error("why") });
    log.level = "error";
    log.warn("no more");
    expect([log.level, log.startedWith]).toEqual(["error", "info"]);
  });
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(["now"]);
  expect(lines[0]).toContain("log.test.ts");
});
