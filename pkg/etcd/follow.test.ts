import type { IEvent, IRangeRequest, IRangeResponse, IWatchRequest, IWatchResponse } from "etcd3";
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { EtcdError } from "./errors.ts";
import type { FollowSource } from "./follow.ts";
import { follow } from "./follow.ts";
import type { RawWatch } from "./watch-stream.ts";

// What a real etcd says only in rare moments, played by a script. The whole runs against a real one in
// pkg/subnet/etcd-registry.test.ts.

const HEADER = { cluster_id: "1", member_id: "1", revision: "10", raft_term: "2" };

/** The server's end of a watch stream. */
class FakeStream {
  request: IWatchRequest | undefined;
  canceled = false;
  readonly #listeners = new Map<string, ((value: unknown) => void)[]>();

  readonly raw = {
    on: (event: string, listener: (value: unknown) => void) => {
      this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
      return this.raw;
    },
    write: (request: IWatchRequest) => {
      this.request = request;
    },
    end: () => {},
    cancel: () => {
      this.canceled = true;
    },
  } as unknown as RawWatch;

  get startRevision(): string | number | undefined {
    const request = this.request as { readonly create_request?: { readonly start_revision?: string | number } };
    return request.create_request?.start_revision;
  }

  emit(event: string, value?: unknown): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(value);
  }

  reply(reply: Partial<IWatchResponse>, revision = "10"): void {
    const header = { ...HEADER, revision };
    const base = { watch_id: "0", created: false, canceled: false, compact_revision: "0", cancel_reason: "" };
    this.emit("data", { ...base, fragment: false, events: [], header, ...reply });
  }

  break(): void {
    this.emit("error", Object.assign(new Error("14 UNAVAILABLE: Connection dropped"), { code: 14 }));
    this.emit("end");
  }
}

class FakeSource implements FollowSource {
  readonly clock = new FakeClock();
  readonly random = (): number => 0;
  readonly endpoints = "http://etcd:2379";
  readonly streams: FakeStream[] = [];
  header = HEADER;
  probes = 0;
  lists = 0;
  answers: () => Promise<void> = () => Promise.resolve();

  async range(_what: string, _request: IRangeRequest): Promise<IRangeResponse> {
    this.lists += 1;
    return this.#answer();
  }

  async probe(_what: string, _request: IRangeRequest): Promise<IRangeResponse> {
    this.probes += 1;
    return this.#answer();
  }

  async watch(): Promise<RawWatch> {
    const stream = new FakeStream();
    this.streams.push(stream);
    return stream.raw;
  }

  explain(error: unknown): unknown {
    return new EtcdError("unavailable", String(error));
  }

  async #answer(): Promise<IRangeResponse> {
    await this.answers();
    return { header: this.header, kvs: [], more: false, count: "0" };
  }
}

/** A follower that has its snapshot at revision 10 and a first stream, confirmed. */
async function following(source: FakeSource, confirmed = true) {
  const stop = new AbortController();
  const told: string[] = [];
  const done = follow(
    source,
    "/p/",
    {
      onSnapshot: (_keys, revision) => told.push(`snapshot ${revision}`),
      onChanges: (changes, revision) => {
        const keys = changes.map((change) => (change.kind === "put" ? change.entry.key : `-${change.key}`));
        told.push(`${keys.join(" ")} @${revision}`);
      },
      onState: (error) => told.push(error ? `lost: ${error.message}` : "back"),
    },
    stop.signal,
  );
  await source.clock.advance(0);
  if (confirmed) source.streams[0]?.reply({ created: true });
  await source.clock.advance(0);
  const end = async (): Promise<void> => {
    stop.abort();
    await done;
    expect(source.streams.every((stream) => stream.canceled)).toBe(true);
    expect(source.clock.pending).toBe(0);
  };
  return { told, end };
}

function put(key: string, revision: number): IEvent {
  const kv = { key: Buffer.from(`/p/${key}`), value: Buffer.from("v"), lease: "0", version: "1" };
  const at = { create_revision: String(revision), mod_revision: String(revision) };
  return { type: "Put", kv: { ...kv, ...at }, prev_kv: null } as unknown as IEvent;
}

test("after a break it goes on behind the last event, not behind the store's revision", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source);
  expect(source.streams[0]?.startRevision).toBe("11");
  // The server is at 5000 and has sent this stream no more than revision 12 of it.
  source.streams[0]?.reply({ events: [put("a", 11), put("b", 12)] }, "5000");
  source.streams[0]?.break();
  source.header = { ...HEADER, revision: "5000" };
  await source.clock.advance(200);
  expect(source.streams[1]?.startRevision).toBe("13");
  expect(source.lists).toBe(1);
  source.streams[1]?.reply({ created: true }, "5000");
  await source.clock.advance(0);
  expect(told, "a break that heals at once is no news").toEqual(["snapshot 10", "/p/a /p/b @12"]);
  await end();
});

test("an empty progress reply moves the resume point, the confirmation of a watch does not", async () => {
  const source = new FakeSource();
  const { end } = await following(source, false);
  source.streams[0]?.reply({ created: true }, "70");
  source.streams[0]?.break();
  source.header = { ...HEADER, revision: "70" };
  await source.clock.advance(200);
  expect(source.streams[1]?.startRevision).toBe("11");
  source.streams[1]?.reply({ created: true }, "70");
  source.streams[1]?.reply({}, "70");
  source.streams[1]?.break();
  await source.clock.advance(500);
  expect(source.streams[2]?.startRevision).toBe("71");
  await end();
});

test("fragments are handed over as one batch, and forgotten when the stream breaks between them", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source);
  source.streams[0]?.reply({ events: [put("a", 11)], fragment: true });
  await source.clock.advance(0);
  expect(told).toEqual(["snapshot 10"]);
  source.streams[0]?.break();
  await source.clock.advance(200);
  expect(source.streams[1]?.startRevision).toBe("11");
  source.streams[1]?.reply({ created: true });
  source.streams[1]?.reply({ events: [put("a", 11)], fragment: true });
  source.streams[1]?.reply({ events: [put("b", 11)] });
  await source.clock.advance(0);
  expect(told).toEqual(["snapshot 10", "/p/a /p/b @11"]);
  await end();
});

test("events that were delivered already are dropped", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source);
  source.streams[0]?.reply({ events: [put("a", 11)] });
  source.streams[0]?.reply({ events: [put("old", 9), put("a", 11), put("b", 12)] });
  await source.clock.advance(0);
  expect(told).toEqual(["snapshot 10", "/p/a @11", "/p/b @12"]);
  await end();
});

test("a compaction leads to a new snapshot without a loss of contact", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source, false);
  source.header = { ...HEADER, revision: "40" };
  source.streams[0]?.reply({ created: true });
  source.streams[0]?.reply({ canceled: true, compact_revision: "30" });
  await source.clock.advance(200);
  expect(told).toEqual(["snapshot 10", "snapshot 40"]);
  expect(source.streams[1]?.startRevision).toBe("41");
  await end();
});

const breaks = [
  { name: "a revision that went back", header: { ...HEADER, revision: "9" } },
  { name: "a raft term that went back", header: { ...HEADER, revision: "50", raft_term: "1" } },
  { name: "another cluster", header: { ...HEADER, revision: "50", cluster_id: "2" } },
];
for (const { name, header } of breaks) {
  test(`${name} leads to a new snapshot, after a break and while the stream is quiet`, async () => {
    const broken = new FakeSource();
    const first = await following(broken);
    broken.header = header;
    broken.streams[0]?.break();
    await broken.clock.advance(200);
    expect(first.told).toEqual(["snapshot 10", `snapshot ${header.revision}`]);
    await first.end();

    const quiet = new FakeSource();
    const second = await following(quiet);
    quiet.header = header;
    await quiet.clock.advance(10_200);
    expect(second.told).toEqual(["snapshot 10", `snapshot ${header.revision}`]);
    await second.end();
  });
}

test("a watch that is created and canceled in one reply is told once, tried again, and heals", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source, false);
  const refused = { created: true, canceled: true, cancel_reason: "etcdserver: permission denied" };
  for (let i = 0; i < 3; i++) {
    source.streams.at(-1)?.reply(refused);
    await source.clock.advance(2100);
  }
  expect(told).toEqual(["snapshot 10", "lost: Error: etcdserver: permission denied"]);
  expect(source.streams.length).toBeGreaterThanOrEqual(4);
  source.streams.at(-1)?.reply({ created: true });
  await source.clock.advance(0);
  expect(told.slice(2)).toEqual(["back"]);
  await end();
});

test("a watch that is never confirmed counts as lost", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source, false);
  await source.clock.advance(5000);
  expect(told).toEqual(["snapshot 10", "lost: etcd at http://etcd:2379 does not confirm a watch"]);
  await end();
});

test("a watch that breaks before it is confirmed is no news as long as another is confirmed in time", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source, false);
  source.streams[0]?.break();
  await source.clock.advance(200);
  source.streams[1]?.break();
  await source.clock.advance(300);
  source.streams[2]?.reply({ created: true });
  await source.clock.advance(0);
  expect(told).toEqual(["snapshot 10"]);
  // From the next break on there is as much time again.
  await source.clock.advance(6000);
  source.streams[2]?.break();
  await source.clock.advance(200);
  source.streams[3]?.break();
  await source.clock.advance(300);
  expect(told).toEqual(["snapshot 10"]);
  await end();
});

test("a watch that breaks each time before it is confirmed counts as lost", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source, false);
  for (let ms = 0; ms < 8000; ms += 10) {
    await source.clock.advance(10);
    const stream = source.streams.at(-1);
    if (stream?.request && !stream.canceled) stream.break();
  }
  expect(told).toEqual(["snapshot 10", "lost: Error: 14 UNAVAILABLE: Connection dropped"]);
  await end();
});

test("a probe that fails while the stream is quiet counts as lost; events go on while one is under way", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source);
  await source.clock.advance(25_000);
  expect(source.probes).toBe(2);
  let fail: (error: Error) => void = () => {};
  source.answers = () => new Promise((_resolve, reject) => (fail = reject));
  await source.clock.advance(10_000);
  source.streams[0]?.reply({ events: [put("a", 11)] });
  await source.clock.advance(0);
  expect(told).toEqual(["snapshot 10", "/p/a @11"]);
  fail(new EtcdError("unavailable", "no etcd answers"));
  await source.clock.advance(0);
  expect(told.at(-1)).toBe("lost: no etcd answers");
  expect(source.streams[0]?.canceled).toBe(true);
  await end();
});

test("of an outage a new reason is told, another kind at once and other words after half a minute", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source);
  let error = new EtcdError("unavailable", "connect ECONNREFUSED 192.0.2.1:2379");
  source.answers = () => Promise.reject(error);
  source.streams[0]?.break();
  await source.clock.advance(200);
  const first = ["snapshot 10", "lost: connect ECONNREFUSED 192.0.2.1:2379"];
  expect(told).toEqual(first);
  error = new EtcdError("unavailable", "connect ECONNREFUSED 192.0.2.2:2379");
  await source.clock.advance(60_000);
  expect(told, "the same of another address").toEqual(first);
  error = new EtcdError("refused", "etcd wants a password");
  await source.clock.advance(3000);
  expect(told.splice(2)).toEqual(["lost: etcd wants a password"]);
  error = new EtcdError("refused", "etcd does not accept the password");
  await source.clock.advance(20_000);
  expect(told).toEqual(first);
  await source.clock.advance(20_000);
  expect(told.splice(2)).toEqual(["lost: etcd does not accept the password"]);
  source.answers = () => Promise.resolve();
  await source.clock.advance(3000);
  source.streams.at(-1)?.reply({ created: true });
  await source.clock.advance(0);
  expect(told.splice(2)).toEqual(["back"]);
  await end();
});

test("the next list is due after five to ten minutes", async () => {
  const source = new FakeSource();
  const { told, end } = await following(source);
  await source.clock.advance(299_000);
  expect(told).toEqual(["snapshot 10"]);
  await source.clock.advance(1200);
  expect(told).toEqual(["snapshot 10", "snapshot 10"]);
  await end();
});

test("a stream that breaks as soon as it stands is opened less and less often", async () => {
  const source = new FakeSource();
  const { end } = await following(source);
  source.streams[0]?.break();
  for (let ms = 0; ms < 20_000; ms += 10) {
    await source.clock.advance(10);
    const stream = source.streams.at(-1);
    if (stream?.request && !stream.canceled) {
      stream.reply({ created: true });
      stream.break();
    }
  }
  expect(source.streams.length).toBeGreaterThan(5);
  expect(source.streams.length).toBeLessThan(30);
  await end();
});

test("an abort ends it while an answer is outstanding", async () => {
  const source = new FakeSource();
  source.answers = () => new Promise(() => {});
  const { told, end } = await following(source, false);
  await end();
  expect(told).toEqual([]);
});
