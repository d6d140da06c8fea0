// The user-space data plane, seen from the control thread: it opens the TUN device and the UDP sockets, starts the
// packet loop on a thread of its own, hands it tables, and keeps the kernel's side in line.

import { Worker } from "node:worker_threads";
import { formatAddr } from "../../addr/addr.ts";
import { addrBytes } from "../../addr/addr.ts";
import { FAMILIES, type Family, mapFamilies, type PerFamily } from "../../addr/family.ts";
import type { Mac } from "../../addr/mac.ts";
import { formatPrefix, type Prefix } from "../../addr/prefix.ts";
import type { Logger } from "../../base/logger.ts";
import { type Host, HostError } from "../../host/host.ts";
import type { LeaseKey } from "../../lease/lease.ts";
import { VXLAN_OVERHEAD } from "../../packet/vxlan.ts";
import * as libc from "../../sys/libc.ts";
import { batchesAllowed, openUdp } from "../../sys/udp-socket.ts";
import { WakeFd } from "../../sys/wake-fd.ts";
import type { Underlay } from "../../underlay/underlay.ts";
import {
  type Dataplane,
  type DataplaneStats,
  DataplaneError,
  type Outcome,
  type PeerState,
  type PeerStats,
  type PlaneAttrs,
  type Want,
} from "../dataplane.ts";
import type { Table } from "./forwarding-table.ts";
import { reconcileKernel } from "./kernel-state.ts";
import { LoopMemory } from "./loop-memory.ts";
import { openRung, type Rung, RUNGS, segmentWorks } from "./offload.ts";
import { openDeviceError, openSocketError } from "./open-errors.ts";
import { peerRows } from "./peer-rows.ts";
import { Slots } from "./slots.ts";
import { TunnelDevice } from "./tunnel-device.ts";
import type { Order, SteppedDown, WorkerData } from "./worker.ts";

// What absorbs a burst while the loop is busy in the other direction; smaller ones cost retransmits when measured.
const RCVBUF = 8 * 1024 * 1024;
const SNDBUF = 4 * 1024 * 1024;

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
  /** Whether somebody accepts what `forwards` names, before all other iptables rules. */
  readonly forwardRules: boolean;
  readonly host: Host;
  readonly log: Logger;
  /** The script of the packet loop's thread, cmd/twilld/packet-loop.ts. */
  readonly worker: URL;
  /** Go through node:dgram even where the batch calls are allowed. */
  readonly plainUdp?: boolean;
}

type Sockets = { [F in Family]?: number };

interface Running {
  readonly memory: LoopMemory;
  readonly worker: Worker;
  readonly wake: WakeFd;
  readonly fds: readonly number[];
  /** Settles when the thread has ended. */
  readonly ended: Promise<void>;
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
  #running: Running | undefined;
  #tunnel: TunnelDevice | undefined;
  #tunnelOn: boolean | undefined;
  #passes = 0;
  #attrs: PlaneAttrs | undefined;
  #posted = "";
  #peers = new Set<LeaseKey>();
  #closing = false;
  readonly #settleDone: { readonly resolve: () => void; readonly reject: (error: Error) => void };

  constructor(options: TunOptions) {
    this.#options = options;
    this.#families = FAMILIES.filter((family) => options.vtepMac[family] && options.network[family]);
    this.device = `twill.${options.backend.vni}`;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#settleDone = { resolve, reject };
    // Whoever runs the plane waits for `done`; until then a rejection must not count as unhandled.
    promise.catch(() => {});
  }

  async open(underlay: Underlay): Promise<PlaneAttrs> {
    const fds: number[] = [];
    try {
      const { device, rung } = this.#openDevice(underlay);
      fds.push(device);
      const sockets = this.#openSockets(underlay, rung !== "none", fds);
      this.#running = this.#start(device, this.#batched(sockets, fds), rung, underlay, fds);
    } catch (error) {
      for (const fd of fds) libc.close(fd);
      this.#tunnel?.close();
      throw error;
    }
    return this.#describe(underlay);
  }

  // The highest rung that the device opens on; one that was asked for has to work.
  #openDevice(underlay: Underlay): { device: number; rung: Rung } {
    const { offload } = this.#options;
    const rungs = offload === "auto" ? RUNGS : [offload];
    for (const rung of rungs) {
      const device = this.#tryRung(rung, underlay);
      if (device !== undefined) return { device, rung };
    }
    throw new DataplaneError(`the kernel does not offer what --offload=${offload} needs: give --offload=auto`);
  }

  #tryRung(rung: Rung, underlay: Underlay): number | undefined {
    const { vni, port } = this.#options.backend;
    try {
      if (rung === "tunnel-gso") {
        this.#tunnel = TunnelDevice.open(vni, underlay, this.#families, port);
        if (!this.#tunnel) return undefined;
        this.forwards = [this.#tunnel.name];
      }
      return openRung(this.device, rung);
    } catch (error) {
      throw openDeviceError(this.device, error);
    }
  }

  #openSockets(underlay: Underlay, gro: boolean, fds: number[]): Sockets {
    const sockets: Sockets = {};
    const { port } = this.#options.backend;
    for (const family of this.#families) {
      const addr = underlay.addr[family];
      if (!addr) {
        throw new DataplaneError(
          `the underlay interface ${underlay.name} has no IPv${family} address, which the network ` +
            `${formatPrefix(this.#options.network[family] as Prefix)} needs: give it one or choose another with --iface`,
        );
      }
      try {
        const socket = openUdp(family, addrBytes(addr), port, { rcvbuf: RCVBUF, sndbuf: SNDBUF, gro });
        fds.push(socket.fd);
        sockets[family] = socket.fd;
        if (socket.limited && socket.rcvbuf < RCVBUF) {
          this.#options.log.info("UDP buffers are limited by net.core.rmem_max", { rcvbuf: socket.rcvbuf });
        }
      } catch (error) {
        throw openSocketError(formatAddr(addr), port, this.#options.backend.vni, error);
      }
    }
    return sockets;
  }

  // Where batches are forbidden the sockets are given up: the packet loop's thread opens its own through node:dgram.
  #batched(sockets: Sockets, fds: number[]): Sockets | undefined {
    const opened = Object.values(sockets);
    if (this.#options.plainUdp !== true && opened.every(batchesAllowed)) return sockets;
    this.#options.log.warn("UDP goes one datagram per call through node:dgram, which is slow", {
      reason: this.#options.plainUdp === true ? "asked for" : "recvmmsg is forbidden here",
    });
    for (const fd of opened) {
      libc.close(fd);
      fds.splice(fds.indexOf(fd), 1);
    }
    return undefined;
  }

  #start(
    device: number,
    sockets: Sockets | undefined,
    rung: Rung,
    underlay: Underlay,
    fds: readonly number[],
  ): Running {
    const segment = rung !== "none" && segmentWorks(underlay.addr);
    this.#options.log.info("data plane open", { device: this.device, offload: rung, segment });
    const memory = new LoopMemory();
    const wake = new WakeFd();
    const workerData: WorkerData = {
      memory: memory.arena.memory,
      device: { name: this.device, fd: device },
      sockets,
      addrs: this.#families.flatMap((family) => underlay.addr[family] ?? []),
      segment,
      merge: rung !== "none",
      tunnel: this.#tunnel?.data,
      port: this.#options.backend.port,
      wakeFd: wake.fd,
    };
    const worker = new Worker(this.#options.worker, { workerData, name: "packet-loop" });
    let failure: Error | undefined;
    worker.on("message", ({ steppedDown }: SteppedDown) => {
      this.#options.log.warn("the kernel refuses an offload, going on without it", { offload: steppedDown });
    });
    worker.on("error", (error: Error) => {
      failure = error;
    });
    const ended = new Promise<void>((resolve) => {
      worker.on("exit", (code) => {
        resolve();
        if (this.#closing) return;
        const cause = failure ?? new Error(`its thread ended with code ${code}`);
        this.#settleDone.reject(new Error("the packet loop died", { cause }));
      });
    });
    return { memory, worker, wake, fds, ended };
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
    if (!this.#running) throw new Error(this.#closing ? "the data plane is closed" : "the data plane is not open");
    const attrs = this.#describe(want.underlay);
    const { rows, states } = peerRows(want, this.#families, this.#options.network, this.#slots);
    // The loop knows a peer before the kernel routes to it, and until the kernel has stopped: nothing falls between.
    this.#post(this.#table(want, rows));
    const outcome = new Map<LeaseKey, PeerState>(states);
    const problems = await reconcileKernel(this.#options.host, {
      name: this.device,
      mtu: this.mtu,
      network: this.#options.network,
      own: want.own.subnet,
      peers: rows,
      underlay: want.underlay,
      directRouting: this.#options.backend.directRouting ?? false,
    });
    for (const [i, error] of problems.routes) {
      const row = rows[i];
      const peer = want.peers.find((each) => row && each.subnet[row.family] === row.subnet);
      if (peer) outcome.set(peer.key, { failed: error.message });
    }
    this.#forget(want);
    await this.#driveTunnel();
    if (problems.others.length > 0) throw new HostError(problems.others.join("; "));
    return { attrs, peers: outcome };
  }

  // Not before the second pass: what accepts forwarded packets is set up between the first and it.
  async #driveTunnel(): Promise<void> {
    const tunnel = this.#tunnel;
    const running = this.#running;
    if (!tunnel || !running || ++this.#passes < 2) return;
    const { host, log, offload, forwardRules } = this.#options;
    const on = await tunnel.usable(host, { forced: offload === "tunnel-gso", forwardRules });
    if (on === this.#tunnelOn) return;
    this.#tunnelOn = on;
    if (on) log.info("TCP leaves through the tunnel device", { device: tunnel.name });
    else log.info("the tunnel device is not used", { device: tunnel.name, reason: tunnel.unused });
    this.#order(running, { kind: "tunnel", on });
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
      rows,
    };
  }

  #post(table: Table): void {
    const running = this.#running;
    const text = JSON.stringify(table, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
    if (!running || text === this.#posted) return;
    this.#posted = text;
    this.#order(running, { kind: "table", table });
  }

  #order(running: Running, order: Order): void {
    running.worker.postMessage(order);
    running.memory.announceOrder();
    running.wake.wake();
  }

  // Rows of peers that have left are given back, their counters cleared for the next.
  #forget(want: Want): void {
    this.#peers = new Set(want.peers.map((peer) => peer.key));
    for (const slot of this.#slots.keep(this.#peers)) this.#running?.memory.table.clearCounts(slot);
  }

  stats(): DataplaneStats {
    const memory = this.#running?.memory;
    const peers = new Map<LeaseKey, PeerStats>();
    for (const key of this.#peers) {
      const sum = { txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0 };
      for (const family of this.#families) {
        const slot = this.#slots.get(key, family);
        if (slot === undefined || !memory) continue;
        const counts = memory.table.counts(slot);
        sum.txPackets += counts.txPackets;
        sum.txBytes += counts.txBytes;
        sum.rxPackets += counts.rxPackets;
        sum.rxBytes += counts.rxBytes;
      }
      peers.set(key, {
        txPackets: BigInt(sum.txPackets),
        txBytes: BigInt(sum.txBytes),
        rxPackets: BigInt(sum.rxPackets),
        rxBytes: BigInt(sum.rxBytes),
      });
    }
    return { counters: memory?.counters.snapshot() ?? {}, peers };
  }

  async close(): Promise<void> {
    if (this.#closing) return this.#running?.ended;
    this.#closing = true;
    const running = this.#running;
    if (running) {
      this.#order(running, { kind: "stop" });
      await running.ended;
      for (const fd of running.fds) libc.close(fd);
      this.#tunnel?.close();
      running.wake.close();
      this.#running = undefined;
    }
    this.#settleDone.resolve();
  }
}
