import { type Addr, formatAddr, parseAddr, sameAddr } from "../addr/addr.ts";
import { RefusedError } from "../api/control.ts";
import type { AddressProbe, PeerProbe, Probed, ProbeSource } from "../api/probe.ts";
import type { Random } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { type Echo, LEAST_PING } from "./echo.ts";
import { findPathMtu } from "./path-mtu.ts";
import { PeerRecord } from "./peer-record.ts";
import { holdsPod, type ProbeTarget } from "./target.ts";
import type { TcpProbe } from "./tcp.ts";

const ROUND_MS = 5000;
// A round is earlier or later by up to this part, so that nodes that were started together do not ask in step.
const JITTER = 0.2;
const PEERS_PER_ROUND = 20;
// As often as there is one path a round for it, so that a path that has become narrow is known within minutes.
const PATH_EVERY_MS = 60_000;
const TIMEOUT_MS = 1000;
const LEAST_TIMEOUT_MS = 200;
const TRIES_BY_HAND = 3;

export interface ProberParts {
  readonly echo: Echo;
  readonly tcp: TcpProbe;
  readonly clock: Clock;
  readonly random: Random;
  /** Told of each round trip over the overlay, in milliseconds. */
  readonly heard?: (rttMs: number) => void;
}

/**
 * Measures the peers, a few each round, whoever was asked longest ago first: a cluster of any size costs the same. A peer
 * whose last echo was lost is asked again in the next round; one path a round is measured with large packets and TCP.
 */
export class Prober implements ProbeSource {
  readonly #parts: ProberParts;
  readonly #records = new Map<string, PeerRecord>();
  readonly #stop = new AbortController();
  #targets: () => readonly ProbeTarget[] = () => [];

  constructor(parts: ProberParts) {
    this.#parts = parts;
  }

  /** Runs until the signal aborts. `targets` is asked before each round. */
  async run(targets: () => readonly ProbeTarget[], signal: AbortSignal): Promise<void> {
    const { clock, random, echo } = this.#parts;
    this.#targets = targets;
    const end = (): void => {
      this.#stop.abort();
      echo.close();
    };
    signal.addEventListener("abort", end, { once: true });
    while (!signal.aborted) {
      await sleep(clock, ROUND_MS * (1 - JITTER + 2 * JITTER * random()), signal);
      if (!signal.aborted) await this.round();
    }
    end();
  }

  /** One round. */
  async round(): Promise<void> {
    this.#refresh();
    const { clock } = this.#parts;
    const due = this.#due();
    for (const record of due) record.askedAt = clock.now();
    await Promise.all(due.map((record) => this.#ask(record)));
    const up = [...this.#records.values()].filter(({ state }) => state === "up");
    const [path] = up.toSorted((a, b) => a.measuredAt - b.measuredAt);
    if (path && clock.now() - path.measuredAt >= PATH_EVERY_MS) await this.#measure(path);
  }

  probes(): readonly PeerProbe[] {
    this.#refresh();
    return this.#plain([...this.#records.values()]);
  }

  async probe(target: string): Promise<Probed> {
    this.#refresh();
    const addr = parseAddr(target);
    const isCalled = ({ names }: ProbeTarget): boolean =>
      names.includes(target) || (addr !== undefined && names.includes(formatAddr(addr)));
    const records = [...this.#records.values()].filter(
      ({ target: peer }) => target === "" || isCalled(peer) || (addr && holdsPod(peer, addr)),
    );
    if (records.length === 0 && target !== "")
      throw new RefusedError(
        `no peer is called ${JSON.stringify(target)} or has it in its subnet: see twillctl leases`,
      );
    for (let i = 0; i < records.length; i += PEERS_PER_ROUND)
      await Promise.all(records.slice(i, i + PEERS_PER_ROUND).map((record) => this.#askNow(record)));
    const peers = this.#plain(records);
    const [first] = records;
    const isPod = addr && first && !isCalled(first.target);
    return { peers, address: isPod ? await this.#askAddress(addr, first.target.mtu) : undefined };
  }

  #plain(records: readonly PeerRecord[]): PeerProbe[] {
    // A peer of ours asks us once in so many rounds.
    const rounds = Math.max(1, Math.ceil(this.#records.size / PEERS_PER_ROUND));
    const wall = this.#parts.clock.wall();
    return records.map((record) => record.plain(wall, (rounds + 1) * ROUND_MS * (1 + JITTER)));
  }

  // What stands in the table now; what is known of a peer goes on while its addresses do.
  #refresh(): void {
    const targets = this.#targets();
    const keys = new Set(targets.map(({ key }) => key));
    for (const key of this.#records.keys()) if (!keys.has(key)) this.#records.delete(key);
    for (const target of targets) {
      const record = this.#records.get(target.key);
      if (record && sameTarget(record.target, target)) record.see(target);
      else this.#records.set(target.key, new PeerRecord(target));
    }
  }

  #due(): PeerRecord[] {
    const rank = (record: PeerRecord): number => (record.suspicious ? 0 : 1);
    const all = [...this.#records.values()].toSorted((a, b) => a.askedAt - b.askedAt);
    const suspicious = all.filter((record) => rank(record) === 0).slice(0, PEERS_PER_ROUND / 2);
    const others = all.filter((record) => !suspicious.includes(record));
    return [...suspicious, ...others].slice(0, PEERS_PER_ROUND);
  }

  async #ask(record: PeerRecord, waitedFor = false): Promise<void> {
    const { echo, clock } = this.#parts;
    const { overlay, underlay } = record.target;
    // For somebody who waits both at once; else the underlay is left alone as long as the overlay answers.
    const early = waitedFor ? echo.ping(underlay, LEAST_PING, TIMEOUT_MS) : undefined;
    const reply = overlay && (await echo.ping(overlay, LEAST_PING, TIMEOUT_MS));
    if (reply?.rttMs !== undefined) {
      this.#parts.heard?.(reply.rttMs);
      return record.answered(reply.rttMs, clock.wall());
    }
    const below = await (early ?? echo.ping(underlay, LEAST_PING, TIMEOUT_MS));
    // That we may not ask, or have stopped, says nothing of the peer.
    if (below.none === "forbidden" || this.#stop.signal.aborted) return;
    const answers = below.none === undefined;
    if (overlay) record.missed(answers, clock.wall());
    else record.underlayOnly(answers, clock.wall());
  }

  // As often as it takes to be sure, and then the path.
  async #askNow(record: PeerRecord): Promise<void> {
    for (let i = 0; i < TRIES_BY_HAND; i++) {
      await this.#ask(record, true);
      if (record.suspicious) this.#refresh();
    }
    if (record.state === "up") await this.#measure(record);
  }

  async #measure(record: PeerRecord): Promise<void> {
    const { echo, clock, tcp } = this.#parts;
    record.measuredAt = clock.now();
    const { overlay, mtu } = record.target;
    if (!overlay) return;
    const timeout = Math.min(TIMEOUT_MS, Math.max(LEAST_TIMEOUT_MS, 4 * record.rttMs));
    const { signal } = this.#stop;
    const found = await findPathMtu(echo, overlay, mtu, timeout);
    // A SYN that is lost is sent again after a second (RFC 6298 section 2).
    const answers = !signal.aborted && (await tcp(overlay, 3 * TIMEOUT_MS, signal));
    if (signal.aborted) return;
    record.mtu = found;
    record.tcp = answers ? "answers" : "silent";
  }

  async #askAddress(addr: Addr, mtu: number): Promise<AddressProbe> {
    const { echo } = this.#parts;
    const times: number[] = [];
    for (let i = 0; i < TRIES_BY_HAND; i++) {
      const { rttMs } = await echo.ping(addr, LEAST_PING, TIMEOUT_MS);
      if (rttMs !== undefined) times.push(rttMs);
    }
    const heard = times.length > 0;
    return {
      address: formatAddr(addr),
      sent: TRIES_BY_HAND,
      lost: TRIES_BY_HAND - times.length,
      rttMs: heard ? Math.min(...times) : 0,
      mtu: heard ? await findPathMtu(echo, addr, mtu, LEAST_TIMEOUT_MS) : 0,
    };
  }
}

function sameTarget(a: ProbeTarget, b: ProbeTarget): boolean {
  return sameAddr(a.overlay, b.overlay) && sameAddr(a.underlay, b.underlay);
}
