import type { Family } from "../addr/family.ts";
import { Arena } from "./arena.ts";
import { errnoName } from "./errors.ts";
import * as libc from "./libc.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const IPPROTO_IP = 0;
const IP_RECVTOS = 13;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_DONT = 0;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const IPV6_MTU_DISCOVER = 23;
const IPV6_RECVTCLASS = 66;
const SOL_UDP = 17;
const UDP_GRO = 104;

export const SOCKADDR_LEN = { 4: 16, 6: 28 } as const;

/** Where the address bytes stand in a sockaddr_in and a sockaddr_in6. */
export const SOCKADDR_ADDR = { 4: 4, 6: 8 } as const;

/** Writes a sockaddr_in or sockaddr_in6, ip(7) and ipv6(7). `addr` is 4 or 16 bytes in network order. */
export function putSockaddr(arena: Arena, at: number, family: Family, addr: Uint8Array, port: number): void {
  arena.bytes.fill(0, at, at + SOCKADDR_LEN[family]);
  arena.u16[at >>> 1] = family === 4 ? AF_INET : AF_INET6; // host order
  arena.bytes[at + 2] = port >>> 8;
  arena.bytes[at + 3] = port & 0xff;
  arena.bytes.set(addr, at + SOCKADDR_ADDR[family]);
}

export interface UdpSocket {
  readonly fd: number;
  readonly port: number;
  /** What the kernel granted, in bytes of its own accounting (twice the payload, socket(7)). */
  readonly rcvbuf: number;
  /** Whether the size that was asked for was refused and the system's limit (net.core.rmem_max) holds instead. */
  readonly limited: boolean;
  /** Whether the kernel joins datagrams of one sender (UDP_GRO) as was asked: not before Linux 5.0. */
  readonly gro: boolean;
}

/**
 * Opens a UDP socket bound to one address, non-blocking, with large buffers and the traffic class of every datagram
 * reported. DF stays clear on what it sends, as on the kernel's vxlan device ("df unset"): what does not fit a narrower
 * path is fragmented on the way rather than lost.
 *
 * SO_*BUFFORCE needs CAP_NET_ADMIN over the initial user namespace and is refused in a container; SO_*BUF then gives
 * what the limit allows. With `gro` a row of datagrams from one sender may arrive joined, their length beside them
 * (udp(7), UDP_GRO). Throws a SysError: EADDRINUSE, EADDRNOTAVAIL, EACCES.
 */
export function openUdp(
  family: Family,
  addr: Uint8Array,
  port: number,
  options: { readonly rcvbuf: number; readonly sndbuf: number; readonly gro?: boolean },
): UdpSocket {
  const domain = family === 4 ? AF_INET : AF_INET6;
  const fd = libc.check("socket", libc.socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  try {
    const scratch = Arena.create(65536);
    const set = (level: number, name: number, value: number): number => setInt(scratch, fd, level, name, value);
    if (family === 6) {
      libc.check("setsockopt IPV6_V6ONLY", set(IPPROTO_IPV6, IPV6_V6ONLY, 1));
      libc.check("setsockopt IPV6_MTU_DISCOVER", set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DONT));
      libc.check("setsockopt IPV6_RECVTCLASS", set(IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
    } else {
      libc.check("setsockopt IP_MTU_DISCOVER", set(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT));
      libc.check("setsockopt IP_RECVTOS", set(IPPROTO_IP, IP_RECVTOS, 1));
    }
    const forced = set(SOL_SOCKET, SO_RCVBUFFORCE, options.rcvbuf) === 0;
    if (!forced) libc.check("setsockopt SO_RCVBUF", set(SOL_SOCKET, SO_RCVBUF, options.rcvbuf));
    if (set(SOL_SOCKET, SO_SNDBUFFORCE, options.sndbuf) !== 0) {
      libc.check("setsockopt SO_SNDBUF", set(SOL_SOCKET, SO_SNDBUF, options.sndbuf));
    }
    const gro = options.gro === true && set(SOL_UDP, UDP_GRO, 1) === 0;
    const name = scratch.alloc(SOCKADDR_LEN[6], 8);
    putSockaddr(scratch, name, family, addr, port);
    libc.check("bind", libc.bind(fd, scratch.address(name), SOCKADDR_LEN[family]));
    const rcvbuf = getInt(scratch, fd, SOL_SOCKET, SO_RCVBUF);
    return { fd, port: boundPort(scratch, fd), rcvbuf, limited: !forced, gro };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function setInt(scratch: Arena, fd: number, level: number, name: number, value: number): number {
  const at = scratch.alloc(4, 4);
  scratch.i32[at >>> 2] = value;
  return libc.setsockopt(fd, level, name, scratch.address(at), 4);
}

function getInt(scratch: Arena, fd: number, level: number, name: number): number {
  const at = scratch.alloc(8, 4);
  scratch.i32[(at >>> 2) + 1] = 4;
  libc.check("getsockopt", libc.getsockopt(fd, level, name, scratch.address(at), scratch.address(at + 4)));
  return scratch.i32[at >>> 2] as number;
}

function boundPort(scratch: Arena, fd: number): number {
  const at = scratch.alloc(SOCKADDR_LEN[6], 8);
  const length = scratch.alloc(4, 4);
  scratch.i32[length >>> 2] = SOCKADDR_LEN[6];
  libc.check("getsockname", libc.getsockname(fd, scratch.address(at), scratch.address(length)));
  return ((scratch.bytes[at + 2] as number) << 8) | (scratch.bytes[at + 3] as number);
}

/**
 * Whether the batch calls may be used on the socket. A seccomp filter that knows recvfrom but not recvmmsg answers them
 * with EPERM or ENOSYS.
 */
export function batchesAllowed(fd: number): boolean {
  if (libc.recvmmsg(fd, 0, 0, MSG_DONTWAIT) >= 0) return true;
  const code = errnoName(libc.errno());
  return code !== "EPERM" && code !== "ENOSYS";
}
