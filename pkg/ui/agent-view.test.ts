import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Control, RefusedError } from "../api/control.ts";
import { type ApiServer, serveApi } from "../api/server.ts";
import type { Status } from "../api/status.ts";
import { systemClock } from "../base/clock.ts";
import { MemoryLogger } from "../base/logger.ts";
import { RecentLines } from "../base/recent-lines.ts";
import { AgentView } from "./agent-view.ts";
import { keyOf, peerOf, statusOf } from "./sample.ts";

let dir = "";
let stop = new AbortController();
let server: ApiServer | undefined;
let current: Status;
let log: RecentLines;

const socket = (): string => join(dir, "twilld.sock");

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "twill-view-"));
  current = statusOf("a", [peerOf("b", { txBytes: 5n })]);
});
afterEach(async () => {
  await stopAgent();
  rmSync(dir, { recursive: true, force: true });
});

async function startAgent(): Promise<void> {
  stop = new AbortController();
  log = new RecentLines(100);
  log.add("first");
  const refused = (): Promise<never> => Promise.reject(new RefusedError("not here"));
  const source: Control = {
    status: () => current,
    leases: () => [],
    leave: refused,
    reserve: refused,
    unreserve: refused,
  };
  server = await serveApi({ socket: socket(), source, recentLog: log, log: new MemoryLogger(), signal: stop.signal });
}

async function stopAgent(): Promise<void> {
  stop.abort();
  await server?.done;
}

test("an agent that answers, falls silent, and comes back as another process", async () => {
  const said: string[] = [];
  const view = new AgentView(socket(), systemClock, (_, lines) => said.push(...lines.map(({ text }) => text)));
  await view.look();
  expect([view.answers, view.error]).toEqual([false, expect.stringMatching(/^no agent runs here: there is no /)]);

  await startAgent();
  await view.look();
  log.add("second");
  await view.look();
  expect([view.answers, view.error]).toEqual([true, ""]);
  expect(view.last?.peers.get(keyOf("b"))?.txBytes).toBe(5n);
  expect(view.before).toBeDefined();
  expect(said).toEqual(["first", "second"]);

  const { since } = view;
  await stopAgent();
  await view.look();
  expect(view.answers).toBe(false);
  expect(view.since).toBeGreaterThanOrEqual(since);
  expect(view.last).toBeDefined();

  current = { ...current, startedAt: current.startedAt + 1 };
  await startAgent();
  await view.look();
  expect([view.answers, view.before, said]).toEqual([true, undefined, ["first", "second", "first"]]);
  view.close();
});

test("the same agent whose socket was away for a while does not tell its lines again", async () => {
  const said: string[] = [];
  const view = new AgentView(socket(), systemClock, (_, lines) => said.push(...lines.map(({ text }) => text)));
  await startAgent();
  await view.look();
  view.close();
  await view.look();
  expect([view.answers, said]).toEqual([true, ["first"]]);
  view.close();
});
