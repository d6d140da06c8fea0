// The ladder of offloads. A rung says in what form packets cross into the kernel and back; every rung carries the same
// packets. What a rung needs is tried when the plane opens, and left when the kernel comes to refuse it.
//
//   tunnel-gso   As gso; and TCP leaves whole, through a TAP device whose kernel cuts it last of all (tunnel-gso.ts), where
//                the kernel has that (Linux 6.17) and nobody's firewall stands between: tunnel-device.ts.
//   gso    The TUN device hands over TCP and UDP super-packets of up to 64 KB, which are cut here (segment.ts); runs of
//          datagrams leave in one buffer that the kernel cuts (UDP_SEGMENT).
//   none   Whole packets one by one, each datagram a message of its own.

import { type Addr, addrBytes } from "../../addr/addr.ts";
import { FAMILIES, type PerFamily } from "../../addr/family.ts";
import { VNET_HDR_LEN } from "../../packet/vnet.ts";
import { Arena, IOVEC_LEN } from "../../sys/arena.ts";
import { SysError } from "../../sys/errors.ts";
import { openTun, TUN_OFFLOAD } from "../../sys/tun-device.ts";
import { openUdp, putSockaddr, SOCKADDR_LEN } from "../../sys/udp-socket.ts";
import { UDP_BIND_ARENA, UdpBind } from "../../underlay/udp-bind.ts";

export type Rung = "tunnel-gso" | "gso" | "none";

/** Highest first. */
export const RUNGS: readonly Rung[] = ["tunnel-gso", "gso", "none"];

const { csum, tso4, tso6, tsoEcn, uso4, uso6 } = TUN_OFFLOAD;

// USO came with Linux 6.2; before, UDP comes in single packets.
const SUPER_PACKETS = [csum | tso4 | tso6 | tsoEcn | uso4 | uso6, csum | tso4 | tso6 | tsoEcn];
const OFFLOADS: Readonly<Record<Rung, readonly number[]>> = {
  "tunnel-gso": SUPER_PACKETS,
  gso: SUPER_PACKETS,
  none: [TUN_OFFLOAD.none],
};

/** The device on a rung: its descriptor, and whether it knows UDP super-packets. */
export interface RungDevice {
  readonly fd: number;
  readonly uso: boolean;
}

/** Opens the device on a rung; undefined when the kernel does not offer the rung. Throws a SysError. */
export function openRung(name: string, rung: Rung): RungDevice | undefined {
  for (const offload of OFFLOADS[rung]) {
    try {
      return { fd: openTun(name, VNET_HDR_LEN, offload), uso: (offload & uso4) !== 0 };
    } catch (error) {
      if (!(error instanceof SysError) || error.syscall !== "ioctl TUNSETOFFLOAD" || error.code !== "EINVAL")
        throw error;
    }
  }
  return undefined;
}

const PARTS = 3;
const PART_LEN = 600;
const TRIES = 50;

/**
 * Whether runs may be left to the kernel to cut: a run is sent from one socket of this host to another and compared with
 * what arrives. Some kernels take UDP_SEGMENT and send wrong lengths or checksums (Linux 7.0 to 7.1.4). An address that
 * cannot be reached from itself, since loopback is down, proves nothing; the kernel's refusal while running then tells.
 */
export function segmentWorks(addrs: PerFamily<Addr>): boolean {
  return FAMILIES.every((family) => {
    const addr = addrs[family];
    return addr === undefined || runArrives(addr);
  });
}

function runArrives(addr: Addr): boolean {
  const { family } = addr;
  const arena = Arena.create(2 * UDP_BIND_ARENA + 65_536);
  const [from, to] = [0, 1].map(() => {
    const { fd, port } = openUdp(family, addrBytes(addr), 0, { rcvbuf: 1 << 17, sndbuf: 1 << 17 });
    return new UdpBind(arena, { [family]: fd }, port, true);
  });
  if (!from || !to) return false;
  try {
    const total = PARTS * PART_LEN - 1;
    const at = arena.alloc(total);
    for (let i = 0; i < total; i++) arena.bytes[at + i] = i * 31 + (i >> 8);
    const name = arena.alloc(SOCKADDR_LEN[family], 8);
    putSockaddr(arena, name, family, addrBytes(addr), to.port);
    const iov = arena.alloc(IOVEC_LEN * PARTS, 16);
    for (let i = 0; i < PARTS; i++)
      arena.putIovec(iov + i * IOVEC_LEN, at + i * PART_LEN, Math.min(PART_LEN, total - i * PART_LEN));
    const run = {
      family,
      to: name,
      iov,
      iovCount: PARTS,
      iovPerDatagram: 1,
      datagrams: PARTS,
      length: PART_LEN,
      total,
      tos: 0,
    };
    from.send(run);
    if (from.lost > 0) return from.segment;
    return from.segment && arrived(arena, to, at, total);
  } finally {
    from.close();
    to.close();
  }
}

// Over loopback a datagram is there when send returns, softirq included; a few tries more cost nothing. Nothing at all is
// what a firewall does.
function arrived(arena: Arena, to: UdpBind, at: number, total: number): boolean {
  let done = 0;
  for (let tries = 0; tries < TRIES && done < total; tries++) {
    const rows = to.recv();
    for (let row = 0; row < rows; row++) {
      const length = to.rx.length[row] as number;
      const got = to.rx.at[row] as number;
      const joined = (to.rx.partLength[row] as number) > 0;
      if (!joined && length > PART_LEN) return false;
      for (let i = 0; i < length; i++) if (arena.bytes[got + i] !== arena.bytes[at + done + i]) return false;
      done += length;
    }
  }
  return done === total || done === 0;
}
