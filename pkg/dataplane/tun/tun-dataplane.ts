// The user-space data plane, seen from the control thread: it opens the TUN device and the UDP sockets, starts the
// packet loop on a thread of its own, hands it tables, and keeps the kernel's side in line.

import type { Addr } from "../../addr/addr.ts";
import { FAMILIES, type Family, mapFamilies, type PerFamily } from "../../addr/family.ts";
import type { Mac } from "../../addr/mac.ts";
import type { Prefix } from "../../addr/prefix.ts";
import type { Logger } from "../../base/logger.ts";
import { type Host, HostError } from "../../host/host.ts";
import type { LeaseKey } from "../../lease/lease.ts";
import { VXLAN_OVERHEAD } from "../../packet/vxlan.ts";
import { SysError } from "../../sys/errors.ts";
import type { Underlay } from "../../underlay/underlay.ts";
import {
  type Dataplane,
  DataplaneError,
  type DataplaneStats,
  type Outcome,
  type PeerState,
  type PeerStats,
  type PlaneAttrs,
  type Want,
} from "../dataplane.ts";
import { tunDevice } from "../device-names.ts";
import { TakeOver } from "../take-over.ts";
import { COUNTER } from "./counters.ts";
import { type Ends, type EndsWant, openEnds } from "./ends.ts";
import type { Table } from "./forwarding-table.ts";
import { reconcileKernel } from "./kernel-state.ts";
import { LoopThread } from "./loop-thread.ts";
import type { Rung } from "./offload.ts";
import type { Side } from "./packet-loop.ts";
import { peerRows } from "./peer-rows.ts";
import { Slots } from "./slots.ts";
import type { Order } from "./worker.ts";

export interface TunOptions {
  readonly backend: {
    readonly vni: number;
    readonly port: number;
    readonly mtu: number | undefined;
    /** Reach peers on our link without the tunnel. */
    readonly directRouting?: boolean;
  };
  readonly network: PerFamily<Prefix>;
  /** One for each family of the network; kept over restarts by the caller. */
  readonly vtepMac: PerFamily<Mac>;
  readonly verifySender: "default" | "strict";
  /** A rung of offload.ts, or the highest that works here. */
  readonly offload: "auto" | Rung;
  /** Threads that carry packets: one for both directions, or one for each. */
  readonly threads: 1 | 2;
  /** Whether somebody accepts what `forwards` names, before all other iptables rules. */
  readonly forwardRules: boolean;
  readonly host: Host;
  readonly log: Logger;
  /** The script of the packet loop's thread, cmd/twilld/packet-loop.ts. */
  readonly worker: URL;
  /** Go through node:dgram even where the batch calls are allowed. */
  readonly plainUdp?: boolean;
}

export class TunDataplane implements Dataplane {
  readonly name = "tun";
  readonly device: string;
  readonly done: Promise<void>;
  mtu: PerFamily<number> = {};
  forwards: readonly string[] = [];

  readonly #options: TunOptions;
  readonly #families: readonly Family[];
  readonly #slots = new Slots();
  readonly #takeOver: TakeOver;
  #tookOver = false;
  #ends: Ends | undefined;
  #threads: readonly LoopThread[] = [];
  #tunnelOn: boolean | undefined;
  #passes = 0;
  #attrs: PlaneAttrs | undefined;
  #posted = "";
  #isNear: (addr: Addr) => boolean = () => false;
  #peers = new Set<LeaseKey>();
  #closed = false;
  readonly #settleDone: { readonly resolve: () => void; readonly reject: (error: unknown) => void };

  constructor(options: TunOptions) {
    this.#options = options;
    this.#families = FAMILIES.filter((family) => options.vtepMac[family] && options.network[family]);
    const { host, log, network, backend } = options;
    this.device = tunDevice(backend.vni);
    this.#takeOver = new TakeOver({ host, log, network, backend, devices: [this.device] });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#settleDone = { resolve, reject };
    // Whoever runs the plane waits for `done`; until then a rejection must not count as unhandled.
    promise.catch(() => {});
    // A thread takes a tenth of a second to load, which is then over when the ends are open.
    const onStepDown = (refused: string): void => {
      log.warn("the kernel refuses an offload, going on without it", { offload: refused });
    };
    this.#threads = Array.from({ length: options.threads }, () => new LoopThread(options.worker, onStepDown));
    for (const thread of this.#threads) thread.ended.catch((error: unknown) => this.#settleDone.reject(error));
  }

  async open(underlay: Underlay): Promise<PlaneAttrs> {
    const { backend, offload, plainUdp = false } = this.#options;
    const { vni, port } = backend;
    const ends = await this.#openEnds(
      { name: this.device, vni, port, families: this.#families, offload, plainUdp },
      underlay,
    );
    const { device, sockets, segment, rung, tunnel } = ends;
    const data = {
      device: { name: this.device, fd: device },
      sockets,
      addrs: this.#families.flatMap((family) => underlay.addr[family] ?? []),
      segment,
      merge: rung !== "none",
      tunnel: tunnel?.data,
      port,
    };
    const both = this.#threads.length === 2 && sockets !== undefined;
    const sides: readonly Side[] = both ? ["transmit", "receive"] : ["both"];
    const spare = this.#threads.slice(sides.length);
    this.#threads = this.#threads.slice(0, sides.length);
    await Promise.all(spare.map((thread) => thread.stop()));
    for (const [i, side] of sides.entries()) this.#threads[i]?.carry({ ...data, side });
    this.#ends = ends;
    this.forwards = tunnel ? [tunnel.name] : [];
    return this.#describe(underlay);
  }

  // The kernel plane's device, or flannel's, holds the UDP port while it is up.
  get rung(): Rung | undefined {
    const rung = this.#ends?.rung;
    return rung === "tunnel-gso" && !this.#tunnelOn ? "gso" : rung;
  }

  async #openEnds(want: EndsWant, underlay: Underlay): Promise<Ends> {
    const { host, log } = this.#options;
    try {
      return openEnds(want, underlay, log);
    } catch (error) {
      const cause = error instanceof DataplaneError ? error.cause : undefined;
      if (!(cause instanceof SysError) || cause.code !== "EADDRINUSE") throw error;
      const removed = await this.#takeOver.runEarly(await host.links(), this.device);
      if (removed.length === 0) throw error;
      return openEnds(want, underlay, log);
    }
  }

  // What the lease says and how large inner packets may be, both from the underlay as it is now.
  #describe(underlay: Underlay): PlaneAttrs {
    const { backend, vtepMac } = this.#options;
    const base = Math.min(backend.mtu ?? underlay.mtu, underlay.mtu);
    const mtu: { [F in Family]?: number } = {};
    for (const family of this.#families) mtu[family] = base - VXLAN_OVERHEAD[family];
    this.mtu = mtu;
    this.#attrs = {
      backendType: "vxlan",
      publicIp: underlay.publicIp,
      vtep: mapFamilies(vtepMac, (mac) => ({ vni: backend.vni, mac })),
    };
    return this.#attrs;
  }

  async reconcile(want: Want): Promise<Outcome> {
    if (!this.#ends) throw new Error(this.#closed ? "the data plane is closed" : "the data plane is not open");
    const attrs = this.#describe(want.underlay);
    const { rows, states } = peerRows(want, this.#families, this.#options.network, this.#slots);
    // The loop knows a peer before the kernel routes to it, and until the kernel has stopped: nothing falls between.
    this.#post(this.#table(want, rows));
    await Promise.race([this.done, Promise.all(this.#threads.map((thread) => thread.running))]);
    const outcome = new Map<LeaseKey, PeerState>(states);
    const kernel = await reconcileKernel(this.#options.host, {
      name: this.device,
      mtu: this.mtu,
      network: this.#options.network,
      own: want.own.subnet,
      peers: rows,
      underlay: want.underlay,
      directRouting: this.#options.backend.directRouting ?? false,
    });
    this.#isNear = kernel.isNear;
    if (this.#families.includes(6)) this.#post(this.#table(want, rows));
    for (const [i, error] of kernel.routes) {
      const row = rows[i];
      const peer = want.peers.find((each) => row && each.subnet[row.family] === row.subnet);
      if (peer) outcome.set(peer.key, { failed: error.message });
    }
    this.#forget(want);
    if (!this.#tookOver) await this.#takeOver.run(await this.#options.host.links());
    this.#tookOver = true;
    await this.#driveTunnel();
    if (kernel.others.length > 0) throw new HostError(kernel.others.join("; "));
    return { attrs, peers: outcome };
  }

  // Not before the second pass: what accepts forwarded packets is set up between the first and it.
  async #driveTunnel(): Promise<void> {
    const tunnel = this.#ends?.tunnel;
    if (!tunnel || ++this.#passes < 2) return;
    const { host, log, offload, forwardRules } = this.#options;
    const on = await tunnel.usable(host, { forced: offload === "tunnel-gso", forwardRules });
    if (tunnel.gone) this.#settleDone.reject(new Error(tunnel.unused));
    const anew = tunnel.wasDown;
    if (on === this.#tunnelOn && !anew) return;
    this.#tunnelOn = on;
    if (on) log.info("TCP leaves through the tunnel device", { device: tunnel.name });
    else log.info("the tunnel device is not used", { device: tunnel.name, reason: tunnel.unused });
    this.#order({ kind: "tunnel", on, anew });
  }

  #table(want: Want, rows: Table["rows"]): Table {
    const { backend, network, vtepMac, verifySender } = this.#options;
    const { underlay, own } = want;
    const addrs = [...Object.values(underlay.addr), ...Object.values(underlay.publicIp)];
    return {
      vni: backend.vni,
      port: backend.port,
      strict: verifySender === "strict",
      network,
      ownSubnet: own.subnet,
      ownMac: vtepMac,
      mtu: this.mtu,
      ownAddrs: addrs,
      rows: rows.map((row) => (row.family === 6 ? { ...row, near: this.#isNear(row.publicIp) } : row)),
    };
  }

  #post(table: Table): void {
    const text = JSON.stringify(table, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
    if (text === this.#posted) return;
    this.#posted = text;
    this.#order({ kind: "table", table });
  }

  #order(order: Order): void {
    for (const thread of this.#threads) thread.order(order);
  }

  // Rows of peers that have left are given back, their counters cleared for the next.
  #forget(want: Want): void {
    this.#peers = new Set(want.peers.map((peer) => peer.key));
    for (const slot of this.#slots.keep(this.#peers)) {
      for (const { memory } of this.#threads) memory.table.clearCounts(slot);
    }
  }

  stats(): DataplaneStats {
    const memories = this.#threads.map(({ memory }) => memory);
    const peers = new Map<LeaseKey, PeerStats>();
    for (const key of this.#peers) {
      const sum = { txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0 };
      for (const family of this.#families) {
        const slot = this.#slots.get(key, family);
        if (slot === undefined) continue;
        for (const { table } of memories) {
          const counts = table.counts(slot);
          sum.txPackets += counts.txPackets;
          sum.txBytes += counts.txBytes;
          sum.rxPackets += counts.rxPackets;
          sum.rxBytes += counts.rxBytes;
        }
      }
      peers.set(key, {
        txPackets: BigInt(sum.txPackets),
        txBytes: BigInt(sum.txBytes),
        rxPackets: BigInt(sum.rxPackets),
        rxBytes: BigInt(sum.rxBytes),
      });
    }
    return { counters: sumOf(memories.map(({ counters }) => counters.snapshot())), peers };
  }

  turns(): readonly number[] {
    return this.#threads.map(({ memory }) => memory.counters.value(COUNTER.loop_turns));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const threads = this.#threads;
    const ends = this.#ends;
    this.#ends = undefined;
    await Promise.all(threads.map((thread) => thread.stop()));
    ends?.close();
    this.#threads = [];
    this.#settleDone.resolve();
  }
}

function sumOf(snapshots: readonly Readonly<Record<string, bigint>>[]): Record<string, bigint> {
  const sum: Record<string, bigint> = {};
  for (const snapshot of snapshots) {
    for (const [name, value] of Object.entries(snapshot)) sum[name] = (sum[name] ?? 0n) + value;
  }
  return sum;
}
