// The two ends of the packet loop on this host: the TUN device and the UDP sockets, and the tunnel device where the rung
// has one. Opened on the control thread, so that what is wrong is told as a sentence before a thread runs.

import { addrBytes, formatAddr } from "../../addr/addr.ts";
import type { Family } from "../../addr/family.ts";
import type { Logger } from "../../base/logger.ts";
import * as libc from "../../sys/libc.ts";
import { batchesAllowed, openUdp } from "../../sys/udp-socket.ts";
import type { Underlay } from "../../underlay/underlay.ts";
import { DataplaneError } from "../dataplane.ts";
import { openRung, type Rung, type RungDevice, RUNGS, segmentWorks } from "./offload.ts";
import { openDeviceError, openSocketError } from "./open-errors.ts";
import { TunnelDevice } from "./tunnel-device.ts";

// What absorbs a burst while the loop is busy in the other direction; smaller ones cost retransmits when measured.
const RCVBUF = 8 * 1024 * 1024;
const SNDBUF = 4 * 1024 * 1024;

export interface EndsWant {
  readonly name: string;
  readonly vni: number;
  readonly port: number;
  readonly families: readonly Family[];
  /** A rung of offload.ts, or the highest that works here. */
  readonly offload: "auto" | Rung;
  /** Go through node:dgram even where the batch calls are allowed. */
  readonly plainUdp: boolean;
}

export interface Ends {
  readonly rung: Rung;
  readonly device: number;
  /** Undefined where the loop has to go through node:dgram. */
  readonly sockets: { readonly [F in Family]?: number } | undefined;
  /** Whether the sockets may be given runs to cut. */
  readonly segment: boolean;
  readonly tunnel: TunnelDevice | undefined;
  close(): void;
}

/** Throws a DataplaneError that says what is in the way. Everything is opened before it returns, in this thread's namespace. */
export function openEnds(want: EndsWant, underlay: Underlay, log: Logger): Ends {
  const opened: { close(): void }[] = [];
  const close = (): void => {
    for (const each of opened.splice(0)) each.close();
  };
  try {
    const { rung, device, tunnel } = openDevices(want, underlay, opened);
    // Joined datagrams may be a kernel peer's UDP super-packet, which only a device that knows such can be given; without
    // UDP_GRO the kernel cuts it before we see it.
    const sockets = openSockets(want, underlay, device.uso, log, opened);
    const segment = rung !== "none" && sockets !== undefined && segmentWorks(underlay.addr);
    log.info("data plane open", { device: want.name, offload: rung, segment });
    return { rung, device: device.fd, sockets, segment, tunnel, close };
  } catch (error) {
    close();
    throw error;
  }
}

// The highest rung that the devices open on; one that was asked for has to work.
function openDevices(
  want: EndsWant,
  underlay: Underlay,
  opened: { close(): void }[],
): { rung: Rung; device: RungDevice; tunnel: TunnelDevice | undefined } {
  const { name, vni, port, families, offload } = want;
  try {
    for (const rung of offload === "auto" ? RUNGS : [offload]) {
      let tunnel: TunnelDevice | undefined;
      if (rung === "tunnel-gso") {
        tunnel = TunnelDevice.open(vni, underlay, families, port);
        if (!tunnel) continue;
        opened.push(tunnel);
      }
      const device = openRung(name, rung);
      if (device === undefined) continue;
      opened.push({ close: () => libc.close(device.fd) });
      return { rung, device, tunnel };
    }
  } catch (error) {
    throw openDeviceError(name, error);
  }
  throw new DataplaneError(`the kernel does not offer what --offload=${offload} needs: give --offload=auto`);
}

function openSockets(
  want: EndsWant,
  underlay: Underlay,
  gro: boolean,
  log: Logger,
  opened: { close(): void }[],
): { [F in Family]?: number } | undefined {
  const sockets: { [F in Family]?: number } = {};
  for (const family of want.families) {
    const addr = underlay.addr[family];
    if (!addr) {
      throw new DataplaneError(
        `the underlay interface ${underlay.name} has no IPv${family} address, which the network needs: ` +
          `give it one or choose another with --iface`,
      );
    }
    try {
      const socket = openUdp(family, addrBytes(addr), want.port, { rcvbuf: RCVBUF, sndbuf: SNDBUF, gro });
      sockets[family] = socket.fd;
      if (socket.limited && socket.rcvbuf < RCVBUF) {
        log.info("UDP buffers are limited by net.core.rmem_max", { rcvbuf: socket.rcvbuf });
      }
    } catch (error) {
      for (const fd of Object.values(sockets)) libc.close(fd);
      throw openSocketError(formatAddr(addr), want.port, error);
    }
  }
  const fds = Object.values(sockets);
  const closeSockets = (): void => {
    for (const fd of fds) libc.close(fd);
  };
  if (!want.plainUdp && fds.every(batchesAllowed)) {
    opened.push({ close: closeSockets });
    return sockets;
  }
  // The packet loop's thread opens its own through node:dgram.
  log.warn("UDP goes one datagram per call through node:dgram, which is slow", {
    reason: want.plainUdp ? "asked for" : "recvmmsg is forbidden here",
  });
  closeSockets();
  return undefined;
}
