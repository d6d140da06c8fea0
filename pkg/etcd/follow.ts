// Following a prefix: list, then watch from the revision of the list on.
//
//   list ──> snapshot at R ──> watch from R+1 ──> changes ...
//    ^            ^                 │    │
//    │            └── resume point ─┘    │ stream broke: probe, then watch again from the resume point
//    └───────────────────────────────────┘ compacted, a revision that went back, or simply time for it
//
// The resume point is the last event's mod_revision + 1. A reply's header shows the revision of the whole store, which
// may be ahead of the events still to come on this stream; going on from there would lose them (etcd3's own Watcher
// does). Only an empty progress reply says that everything up to its header has been sent.
//
// Nobody is told of a stream that breaks and comes back at once. Contact is lost when a probe fails, a read that every
// attempt begins with and that is repeated while the stream is idle: it needs a quorum, it notices a stopped process
// (HTTP/2 keepalive sees only a dead connection), and with passwords it renews the token that the stream then uses.

import type { IEvent, IRangeRequest, IRangeResponse, IResponseHeader, IWatchResponse } from "etcd3";
import type { Random } from "../base/backoff.ts";
import { Backoff } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { sleep } from "../base/clock.ts";
import { closeStream } from "./client.ts";
import { EtcdError } from "./errors.ts";
import type { KeyValue, RangeSource } from "./kv.ts";
import { list, rangeEnd, toKeyValue } from "./kv.ts";
import type { RawWatch } from "./watch-stream.ts";
import { WatchStream } from "./watch-stream.ts";

/** What following needs of a client; tests hand in a scripted one. */
export interface FollowSource extends RangeSource {
  readonly clock: Clock;
  readonly random: Random;
  readonly endpoints: string;
  probe(what: string, request: IRangeRequest): Promise<IRangeResponse>;
  watch(): Promise<RawWatch>;
  explain(error: unknown, what: string): unknown;
}

export type KeyChange =
  | { readonly kind: "put"; readonly entry: KeyValue }
  | { readonly kind: "delete"; readonly key: string; readonly modRevision: string };

export interface FollowHandler {
  /** `historyLost` for a store that does not continue the one followed before: an empty or an older data directory. */
  onSnapshot(keys: readonly KeyValue[], revision: string, historyLost: boolean): void;
  onChanges(changes: readonly KeyChange[], revision: string): void;
  /** An error when contact is lost, and when it turns out to be lost for another reason; undefined when it is back. */
  onState(error: EtcdError | undefined): void;
}

/** Milliseconds. */
export interface FollowTiming {
  /** Between two probes. A stopped etcd is noticed within this and one deadline of a call. */
  readonly probe: number;
  /** From one list to the next, at least; at most twice that. */
  readonly relist: number;
  /** Within which etcd must confirm a watch, over as many streams as that takes. */
  readonly confirm: number;
}

export const FOLLOW_TIMING: FollowTiming = { probe: 10_000, relist: 300_000, confirm: 5000 };

const BACKOFF = { first: 100, most: 2000 };
/** For how long other words for the same kind of outage are no news. */
const RETELL_MS = 30_000;

/**
 * Follows every key that starts with `prefix` until `signal` aborts. Outages are ridden out; what a handler throws is
 * thrown.
 */
export async function follow(
  source: FollowSource,
  prefix: string,
  handler: FollowHandler,
  signal: AbortSignal,
  timing: FollowTiming = FOLLOW_TIMING,
): Promise<void> {
  await new Follower(source, prefix, handler, signal, timing).run();
}

interface Position {
  /** The resume point. */
  next: bigint;
  /** Highest raft term seen, and whose. */
  term: bigint;
  readonly cluster: string;
}

class Follower {
  readonly #source: FollowSource;
  readonly #prefix: string;
  readonly #handler: FollowHandler;
  readonly #signal: AbortSignal;
  readonly #timing: FollowTiming;
  readonly #backoff: Backoff;
  readonly #what: string;
  #position: Position | undefined;
  /** The last that there was. */
  #former: Position | undefined;
  #relistAt = 0;
  /** Why contact is lost, as it was told last, and when. */
  #told: { readonly error: EtcdError; readonly at: number } | undefined;
  /** By when the watch must be confirmed that was opened first since the last report. */
  #confirmBy: number | undefined;
  #fragments: KeyChange[] = [];

  constructor(source: FollowSource, prefix: string, handler: FollowHandler, signal: AbortSignal, timing: FollowTiming) {
    this.#source = source;
    this.#prefix = prefix;
    this.#handler = handler;
    this.#signal = signal;
    this.#timing = timing;
    this.#backoff = new Backoff({ ...BACKOFF, random: source.random });
    this.#what = `watch ${prefix}`;
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        const position = await this.#locate();
        if (position) await this.#watch(position);
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
        this.#report(error);
      }
      await sleep(this.#source.clock, this.#backoff.next(), this.#signal);
    }
  }

  /** Where to go on: after the last change when continuity can be proved, else after a new snapshot. */
  async #locate(): Promise<Position | undefined> {
    if (this.#position) {
      const response = await this.#unlessAborted(this.#probe());
      if (!response) return undefined;
      if (this.#continues(this.#position, response.header)) return this.#position;
      this.#position = undefined;
    }
    const listing = await this.#unlessAborted(list(this.#source, this.#prefix));
    if (!listing) return undefined;
    const { header, keys } = listing;
    const historyLost = this.#former !== undefined && !this.#continues(this.#former, header);
    this.#former = this.#position = {
      next: BigInt(header.revision) + 1n,
      term: BigInt(header.raft_term),
      cluster: header.cluster_id,
    };
    // Spread out, so that nodes that started together do not list together for ever.
    this.#relistAt = this.#source.clock.now() + this.#timing.relist * (1 + this.#source.random());
    this.#report(undefined);
    this.#handler.onSnapshot(keys, header.revision, historyLost);
    return this.#position;
  }

  /** Hands changes over until the stream breaks or a new list is due. Throws EtcdError when contact is lost. */
  async #watch(position: Position): Promise<void> {
    const { clock } = this.#source;
    const opened = clock.now();
    const confirmBy = (this.#confirmBy ??= opened + this.#timing.confirm);
    const start = position.next;
    const stream = await this.#open(position);
    if (!stream) return;
    const wake = stream.wakeup.notify;
    this.#signal.addEventListener("abort", wake, { once: true });
    let confirmed = false;
    let probeAt = opened + this.#timing.probe;
    let probed: { readonly header: IResponseHeader } | { readonly error: unknown } | undefined;
    try {
      while (!this.#signal.aborted) {
        for (const reply of stream.take()) {
          if (this.#signal.aborted) return;
          if (reply.canceled) return this.#canceled(reply);
          if (reply.created) {
            confirmed = true;
            this.#report(undefined);
          }
          this.#accept(position, reply);
        }
        const now = clock.now();
        if (stream.ended) {
          if (confirmed) return;
          const error = this.#source.explain(stream.ended.error, this.#what);
          // The read before it was answered: of several endpoints the stream may have met one that is dead.
          if (error instanceof EtcdError && error.reason === "unavailable" && now < confirmBy) return;
          throw error;
        }
        if (!confirmed && now >= opened + this.#timing.confirm) {
          throw new EtcdError("unavailable", `etcd at ${this.#source.endpoints} does not confirm a watch`);
        }
        if (probed) {
          if ("error" in probed) throw probed.error;
          if (!this.#continues(position, probed.header)) return this.#forget();
          probed = undefined;
          probeAt = now + this.#timing.probe;
        } else if (now >= probeAt) {
          probeAt = Infinity;
          // Beside the loop: a slow answer must not hold up the events.
          void this.#probe()
            .then(
              ({ header }) => (probed = { header }),
              (error: unknown) => (probed = { error }),
            )
            .finally(wake);
        }
        if (now >= this.#relistAt) return this.#forget();
        const due = Math.min(probeAt, this.#relistAt, confirmed ? Infinity : opened + this.#timing.confirm);
        await stream.wakeup.wait(due - now);
      }
    } finally {
      this.#signal.removeEventListener("abort", wake);
      stream.close();
      this.#fragments = [];
      // A stream that breaks as soon as it stands must not be opened again at full speed.
      if (position.next > start || (confirmed && clock.now() - opened > BACKOFF.most)) this.#backoff.reset();
    }
  }

  async #open(position: Position): Promise<WatchStream | undefined> {
    const opening = this.#source.watch();
    const raw = await this.#unlessAborted(
      opening.catch((error: unknown) => {
        throw this.#source.explain(error, this.#what);
      }),
    );
    if (!raw) {
      void opening.then(closeStream, () => {}); // nobody waits for it any more
      return undefined;
    }
    const request = {
      key: Buffer.from(this.#prefix),
      range_end: rangeEnd(this.#prefix),
      start_revision: String(position.next),
      progress_notify: true,
      fragment: true,
    };
    return new WatchStream(raw, request, this.#source.clock);
  }

  #accept(position: Position, reply: IWatchResponse): void {
    for (const event of reply.events) this.#fragments.push(toChange(event));
    if (reply.fragment) return; // the rest of the same revisions is still to come
    // Some versions of etcd send again what was sent before (etcd issue 20221).
    const changes = this.#fragments.filter((change) => revisionOf(change) >= position.next);
    this.#fragments = [];
    if (changes.length > 0) {
      const last = changes.map(revisionOf).reduce((a, b) => (a > b ? a : b));
      position.next = last + 1n;
      this.#handler.onChanges(changes, String(last));
    } else if (reply.events.length === 0 && !reply.created) {
      const sent = BigInt(reply.header.revision) + 1n;
      if (sent > position.next) position.next = sent;
    }
  }

  #canceled(reply: IWatchResponse): void {
    if (reply.compact_revision !== "0") return this.#forget();
    throw this.#source.explain(new Error(reply.cancel_reason || "etcd canceled the watch"), this.#what);
  }

  /** The cheapest read that needs a quorum: whether one key is there. */
  #probe(): Promise<IRangeResponse> {
    return this.#source.probe(`read ${this.#prefix}`, { key: Buffer.from(`${this.#prefix}config`), count_only: true });
  }

  /** False for another cluster, and for this one with an older or an empty data directory. */
  #continues(position: Position, header: IResponseHeader): boolean {
    const term = BigInt(header.raft_term);
    const same = header.cluster_id === position.cluster && term >= position.term;
    if (!same || BigInt(header.revision) < position.next - 1n) return false;
    position.term = term;
    return true;
  }

  #forget(): void {
    this.#position = undefined;
  }

  #report(error: EtcdError | undefined): void {
    this.#confirmBy = undefined;
    if (error ? !this.#isNews(error) : !this.#told) return;
    this.#told = error && { error, at: this.#source.clock.now() };
    this.#handler.onState(error);
  }

  #isNews(error: EtcdError): boolean {
    if (this.#told?.error.reason !== error.reason) return true;
    // Of several endpoints each may have a reason of its own, and they come by turns.
    if (this.#source.clock.now() < this.#told.at + RETELL_MS) return false;
    return wording(error) !== wording(this.#told.error);
  }

  /** Undefined as soon as the signal aborts: a call to a dead etcd takes seconds. What it brings later is dropped. */
  async #unlessAborted<T>(promise: Promise<T>): Promise<T | undefined> {
    const signal = this.#signal;
    const stop = new AbortController();
    const aborted = new Promise<undefined>((resolve) => {
      if (signal.aborted) resolve(undefined);
      signal.addEventListener("abort", () => resolve(undefined), { once: true, signal: stop.signal });
    });
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      stop.abort();
    }
  }
}

// Addresses and times differ from try to try.
function wording(error: EtcdError): string {
  return error.message.replaceAll(/\S*\d\S*/g, "");
}

function revisionOf(change: KeyChange): bigint {
  return BigInt(change.kind === "put" ? change.entry.modRevision : change.modRevision);
}

function toChange(event: IEvent): KeyChange {
  if (event.type === "Delete") {
    return { kind: "delete", key: event.kv.key.toString(), modRevision: event.kv.mod_revision };
  }
  return { kind: "put", entry: toKeyValue(event.kv) };
}
