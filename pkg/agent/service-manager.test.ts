import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { managerWishes, tellManager } from "./service-manager.ts";

const WATCHDOG_MS = 10_000;

/** An agent whose parts are moved by hand, and what a service manager heard of it. */
class Told {
  readonly clock = new FakeClock();
  readonly heard: string[] = [];
  readonly logged: string[] = [];
  live = true;
  ready = false;
  reason = "no lease yet";
  /** Packet loops; those whose index is in `hung` do not turn. */
  loops = 1;
  readonly hung = new Set<number>();
  refuses = false;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(watchdog: "watched" | "unwatched" = "watched") {
    const watchdogMs = watchdog === "watched" ? WATCHDOG_MS : undefined;
    const turns = (): number[] =>
      Array.from({ length: this.loops }, (_, i) => (this.hung.has(i) ? 7 : Math.floor(this.clock.now() / 1000)));
    const agent = {
      live: () => this.live,
      ready: () => ({ ready: this.ready, reason: this.reason }),
      turns,
    };
    const note = (sentence: string): void => void this.logged.push(sentence);
    const send = (text: string): void => {
      if (this.refuses) throw new Error("sendto: EAGAIN");
      this.heard.push(...text.split("\n"));
    };
    const log = { debug: note, info: note, warn: note, error: note };
    this.#done = tellManager(agent, { watchdogMs, send, clock: this.clock, log }, this.#stop.signal);
  }

  /** What was heard in the next `ms`. */
  async during(ms: number): Promise<string[]> {
    this.heard.length = 0;
    await this.clock.advance(ms);
    return [...this.heard];
  }

  async stop(): Promise<string[]> {
    this.heard.length = 0;
    this.#stop.abort();
    await this.#done;
    expect(this.clock.pending).toBe(0);
    return this.heard;
  }
}

const fed = (heard: readonly string[]): boolean => heard.includes("WATCHDOG=1");

test("READY is told once, when pods may be attached, and STATUS at every change", async () => {
  const told = new Told("unwatched");
  expect(told.heard).toEqual(["STATUS=no lease yet"]);
  expect(await told.during(5000)).toEqual([]);
  Object.assign(told, { ready: true, reason: "ready" });
  expect(await told.during(200)).toEqual(["READY=1", "STATUS=ready"]);
  Object.assign(told, { ready: false, reason: "the lease was lost:\n  etcd is away" });
  expect(await told.during(1000)).toEqual(["STATUS=the lease was lost: etcd is away"]);
  Object.assign(told, { ready: true, reason: "ready" });
  expect(await told.during(5000)).toEqual(["STATUS=ready"]);
  expect(await told.stop()).toEqual(["STOPPING=1", "STATUS=stopping"]);
});

test("the watchdog is fed while loops turn, and whether or not the node is ready", async () => {
  const told = new Told();
  told.loops = 2;
  for (let i = 0; i < 10; i++) expect(fed(await told.during(WATCHDOG_MS / 2))).toBe(true);
  told.ready = true;
  for (let i = 0; i < 10; i++) expect(fed(await told.during(WATCHDOG_MS / 2))).toBe(true);
  expect(told.logged).toEqual([]);
  await told.stop();
});

test.each([0, 1])("packet loop %i of two that does not turn starves the watchdog", async (loop) => {
  const told = new Told();
  Object.assign(told, { loops: 2, ready: true });
  await told.during(WATCHDOG_MS);
  told.hung.add(loop);
  await told.during(WATCHDOG_MS / 2);
  expect(await told.during(WATCHDOG_MS)).toEqual([]);
  expect(told.logged).toEqual(["stuck, waiting to be restarted"]);
  told.hung.clear();
  expect(fed(await told.during(WATCHDOG_MS / 4))).toBe(true);
  await told.stop();
});

test("control loops that do not get on starve the watchdog", async () => {
  const told = new Told();
  await told.during(WATCHDOG_MS);
  told.live = false;
  await told.during(1000);
  expect(fed(await told.during(WATCHDOG_MS))).toBe(false);
  await told.stop();
});

test("without a packet loop, or with one that has just begun, the watchdog is fed", async () => {
  const told = new Told();
  for (const loops of [0, 1, 0, 2]) {
    told.loops = loops;
    expect(fed(await told.during(WATCHDOG_MS / 2))).toBe(true);
  }
  await told.stop();
});

test("what could not be told is told again, and logged once", async () => {
  const told = new Told("unwatched");
  Object.assign(told, { ready: true, reason: "ready", refuses: true });
  expect(await told.during(5000)).toEqual([]);
  expect(told.logged).toEqual(["cannot tell the service manager, will retry"]);
  told.refuses = false;
  expect(await told.during(1000)).toEqual(["READY=1", "STATUS=ready"]);
  await told.stop();
});

const NONE = { socket: "/run/notify", watchdogMs: undefined };
test.each([
  { env: {}, wishes: undefined },
  { env: { NOTIFY_SOCKET: "" }, wishes: undefined },
  { env: { NOTIFY_SOCKET: "/run/notify" }, wishes: NONE },
  { env: { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "10000000" }, wishes: { ...NONE, watchdogMs: 10_000 } },
  { env: { NOTIFY_SOCKET: "@x", WATCHDOG_USEC: "5", WATCHDOG_PID: "42" }, wishes: { socket: "@x", watchdogMs: 0.005 } },
  { env: { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "5", WATCHDOG_PID: "43" }, wishes: NONE },
  { env: { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "soon" }, wishes: NONE },
])("$env is read as $wishes", ({ env, wishes }) => {
  expect(managerWishes(env, 42)).toEqual(wishes);
});
