// The packet loop's thread. It has no event loop while it works: it sleeps in poll(2), and looks into its message port
// when the control thread has announced an order.

import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { Addr } from "../../addr/addr.ts";
import { Arena } from "../../sys/arena.ts";
import { POLLIN, PollSet } from "../../sys/poll-set.ts";
import { drainWakeFd } from "../../sys/wake-fd.ts";
import { LinuxTun } from "../../tun/linux-tun.ts";
import { DgramBind } from "../../underlay/dgram-bind.ts";
import { UdpBind } from "../../underlay/udp-bind.ts";
import { COUNTER } from "./counters.ts";
import type { Table } from "./forwarding-table.ts";
import { LoopMemory } from "./loop-memory.ts";
import { LONGEST_SLEEP_MS, PacketLoop, type Side } from "./packet-loop.ts";
import { type TunnelData, TunnelGso } from "./tunnel-gso.ts";

/** What the thread is started with. */
export interface WorkerData {
  readonly memory: WebAssembly.Memory;
  readonly wakeFd: number;
}

/** What it is to carry packets between. The file descriptors stay the control thread's: it closes them. */
export interface LoopEnds {
  readonly device: { readonly name: string; readonly fd: number };
  /** One per family; without any, the thread opens `addrs` through node:dgram. */
  readonly sockets: { readonly 4?: number; readonly 6?: number } | undefined;
  readonly addrs: readonly Addr[];
  /** Whether the sockets cut runs (UDP_SEGMENT). */
  readonly segment: boolean;
  /** Whether received packets are merged. */
  readonly merge: boolean;
  readonly tunnel: TunnelData | undefined;
  readonly port: number;
  /** What this thread carries; both ways without sockets. */
  readonly side: Side;
}

/** What the thread tells: that it carries packets, or that the kernel refuses an offload, which it then goes on without. */
export type Told = "running" | { readonly steppedDown: string };

export type Order =
  /** The first one. */
  | { readonly kind: "carry"; readonly ends: LoopEnds }
  | { readonly kind: "table"; readonly table: Table }
  /** Whether the host forwards what comes from the tunnel device; `anew` where it was down, and refused for that. */
  | { readonly kind: "tunnel"; readonly on: boolean; readonly anew: boolean }
  | { readonly kind: "stop" };

/** Waits for its ends and carries packets between them until it is told to stop. Rejects when the device is gone. */
export async function runPacketLoop({ memory: shared, wakeFd }: WorkerData, port: MessagePort): Promise<void> {
  const memory = new LoopMemory(new Arena(shared));
  const { arena, counters, table } = memory;
  const ends = firstOrder(arena, wakeFd, port);
  if (!ends) return;
  const device = new LinuxTun(arena, ends.device.name, ends.device.fd);
  let seen = 0;
  let stopped = false;
  let watched: UdpBind | undefined;
  const tunnel = ends.tunnel && new TunnelGso(arena, ends.tunnel);
  let tunnelTold = false;
  const tell = (told: Told): void => port.postMessage(told);
  const stepDown = (steppedDown: string): void => {
    tell({ steppedDown });
    counters.add(COUNTER.offload_steps_down, 1);
  };
  const control = (): boolean => {
    if (watched && !watched.segment) {
      watched = undefined;
      stepDown("UDP_SEGMENT");
    }
    if (tunnel && tunnel.refused !== tunnelTold) {
      tunnelTold = tunnel.refused;
      if (tunnelTold) stepDown("tunnel-gso");
    }
    const { orders } = memory;
    if (orders !== seen) {
      const first = seen === 0;
      seen = orders;
      for (let got = receiveMessageOnPort(port); got; got = receiveMessageOnPort(port)) {
        const order = got.message as Order;
        if (order.kind === "table") table.load(order.table);
        else if (order.kind === "stop") stopped = true;
        else if (order.kind === "tunnel" && tunnel) {
          if (order.anew) tunnel.refused = false;
          tunnel.on = order.on && !tunnel.refused;
        }
      }
      if (first) tell("running");
    }
    return !stopped;
  };
  if (ends.sockets) {
    const bind = new UdpBind(arena, ends.sockets, ends.port, ends.segment);
    if (ends.segment) watched = bind;
    const loop = new PacketLoop(arena, device, bind, table, counters, { merge: ends.merge, tunnel });
    loop.receive.onStepDown(stepDown);
    loop.run(wakeFd, control, ends.side);
    return;
  }
  const bind = await DgramBind.open(arena, ends.addrs, ends.port);
  try {
    await new PacketLoop(arena, device, bind, table, counters).runEvented(wakeFd, bind, control);
  } finally {
    bind.close();
  }
}

function firstOrder(arena: Arena, wakeFd: number, port: MessagePort): LoopEnds | undefined {
  const poll = new PollSet(arena, [wakeFd]);
  const scratch = arena.alloc(8, 8);
  poll.want(0, POLLIN);
  for (;;) {
    const order = receiveMessageOnPort(port)?.message as Order | undefined;
    if (order?.kind === "carry") return order.ends;
    if (order) return undefined;
    poll.wait(LONGEST_SLEEP_MS);
    drainWakeFd(wakeFd, arena, scratch);
  }
}
