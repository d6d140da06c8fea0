// The packet loop's thread. It has no event loop while it works: it sleeps in poll(2), and looks into its message port
// when the control thread has announced an order.

import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { Addr } from "../../addr/addr.ts";
import { Arena } from "../../sys/arena.ts";
import { LinuxTun } from "../../tun/linux-tun.ts";
import { DgramBind } from "../../underlay/dgram-bind.ts";
import { UdpBind } from "../../underlay/udp-bind.ts";
import { COUNTER } from "./counters.ts";
import type { Table } from "./forwarding-table.ts";
import { LoopMemory } from "./loop-memory.ts";
import { PacketLoop, type Side } from "./packet-loop.ts";
import { type TunnelData, TunnelGso } from "./tunnel-gso.ts";

/** What the thread is started with. The file descriptors stay the control thread's: it closes them. */
export interface WorkerData {
  readonly memory: WebAssembly.Memory;
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
  readonly wakeFd: number;
  /** What this thread carries; both ways without sockets. */
  readonly side: Side;
}

/** What the thread tells: that the kernel refuses an offload, which it then goes on without. */
export interface SteppedDown {
  readonly steppedDown: string;
}

export type Order =
  | { readonly kind: "table"; readonly table: Table }
  /** Whether the host forwards what comes from the tunnel device; `anew` where it was down, and refused for that. */
  | { readonly kind: "tunnel"; readonly on: boolean; readonly anew: boolean }
  | { readonly kind: "stop" };

/** Carries packets until it is told to stop. Rejects when the device is gone. */
export async function runPacketLoop(data: WorkerData, port: MessagePort): Promise<void> {
  const memory = new LoopMemory(new Arena(data.memory));
  const { arena, counters, table } = memory;
  const device = new LinuxTun(arena, data.device.name, data.device.fd);
  let seen = 0;
  let stopped = false;
  let watched: UdpBind | undefined;
  const tunnel = data.tunnel && new TunnelGso(arena, data.tunnel);
  let tunnelTold = false;
  const stepDown = (steppedDown: string): void => {
    const told: SteppedDown = { steppedDown };
    port.postMessage(told);
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
      seen = orders;
      for (let got = receiveMessageOnPort(port); got; got = receiveMessageOnPort(port)) {
        const order = got.message as Order;
        if (order.kind === "table") table.load(order.table);
        else if (order.kind === "stop") stopped = true;
        else if (tunnel) {
          if (order.anew) tunnel.refused = false;
          tunnel.on = order.on && !tunnel.refused;
        }
      }
    }
    return !stopped;
  };
  if (data.sockets) {
    const bind = new UdpBind(arena, data.sockets, data.port, data.segment);
    if (data.segment) watched = bind;
    const loop = new PacketLoop(arena, device, bind, table, counters, { merge: data.merge, tunnel });
    loop.receive.onStepDown(stepDown);
    loop.run(data.wakeFd, control, data.side);
    return;
  }
  const bind = await DgramBind.open(arena, data.addrs, data.port);
  try {
    await new PacketLoop(arena, device, bind, table, counters).runEvented(data.wakeFd, bind, control);
  } finally {
    bind.close();
  }
}
