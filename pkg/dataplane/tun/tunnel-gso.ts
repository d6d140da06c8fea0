// The quickest way out for TCP: a super-packet leaves whole, with all outer headers in front, through a TAP device whose
// kernel knows UDP tunnels (Linux 6.17). The host forwards it like any packet, and it is cut at the last moment, by the
// kernel or the network card, as the packets of the kernel's own vxlan device are. Nothing is cut, summed or copied here,
// and a peer on the same machine gets one large packet instead of many.
//
//    0             24        38                58/78     66/86     74/94          88/108
//   +-------------+---------+-----------------+---------+---------+--------------+--------------//--+
//   | virtio (24) | Eth (14)| IPv4 20, IPv6 40| UDP (8) | VXLAN(8)| inner Eth(14)| inner IP packet |
//   +-------------+---------+-----------------+---------+---------+--------------+--------------//--+
//
// A TAP, not a TUN: the kernel wants the outer transport header at 34 bytes at least (include/linux/virtio_net.h,
// virtio_net_hdr_tnl_to_skb). The source port is free, so it is hashed from the inner flow (RFC 7348 section 5).

import { type Addr, addrBytes } from "../../addr/addr.ts";
import type { Family, PerFamily } from "../../addr/family.ts";
import { copyBytes, put16, put16le } from "../../packet/bytes.ts";
import { pseudoSum, putIpv4HeaderChecksum } from "../../packet/checksum.ts";
import { ETHERNET_HEADER_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, putEthernet } from "../../packet/ethernet.ts";
import {
  IPPROTO_UDP,
  IPV4_HEADER_LEN,
  IPV6_HEADER_LEN,
  ipHeaderLength,
  ipTos,
  putIpLength,
  putIpTos,
  putIpv4,
  putIpv4Id,
  putIpv6,
} from "../../packet/ip.ts";
import { TCP_CHECKSUM_AT, tcpHeaderLength } from "../../packet/tcp.ts";
import { putUdp, UDP_CHECKSUM_AT, UDP_HEADER_LEN } from "../../packet/udp.ts";
import { putVnet, VNET_GSO_NONE, VNET_HDR_LEN, VNET_NEEDS_CSUM } from "../../packet/vnet.ts";
import { type Arena, IOVEC_LEN } from "../../sys/arena.ts";
import { EBADFD, EINVAL, EIO } from "../../sys/errors.ts";
import * as libc from "../../sys/libc.ts";
import { SOCKADDR_ADDR } from "../../sys/udp-socket.ts";
import { HEADROOM } from "./forwarding-table.ts";

/** struct virtio_net_hdr_v1_hash_tunnel, linux/virtio_net.h. */
export const TUNNEL_VNET_LEN = 24;
const OFF_OUTER_TH = 20;
const OFF_INNER_NH = 22;
const VNET_UDP_TUNNEL_CSUM = 8; // flag: the outer checksum, too, is to be filled in
const VNET_UDP_TUNNEL = { 4: 0x20, 6: 0x40 } as const; // added to the GSO type, by the outer family

const IP_HEADER_LEN = { 4: IPV4_HEADER_LEN, 6: IPV6_HEADER_LEN } as const;

/** Room that a packet needs in front of it. */
export const TUNNEL_HEADROOM = TUNNEL_VNET_LEN + ETHERNET_HEADER_LEN + IPV6_HEADER_LEN + UDP_HEADER_LEN + HEADROOM;

// The host takes one off when it forwards; 64 arrive on the wire, as from the kernel's device.
const TTL = 65;

// RFC 7348 section 5: the dynamic range.
const FIRST_PORT = 49152;
const PORT_MASK = 0x3fff;

const ECN_MASK = 0b11;
const MAX_IP_LENGTH = 0xffff;

/** What the packet loop's thread needs of it. */
export interface TunnelData {
  readonly fd: number;
  /** The TAP's own MAC, which its kernel takes packets for. */
  readonly mac: Uint8Array;
  /** Where our datagrams come from, by family. */
  readonly from: PerFamily<Addr>;
  readonly port: number;
}

export class TunnelGso {
  /** Whether packets may go this way: set when the host forwards them, cleared for good when the kernel refuses them. */
  on = false;
  refused = false;

  readonly #arena: Arena;
  readonly #fd: number;
  readonly #iovec: number;
  // Ethernet, IP and UDP header as far as they are the same in every packet.
  readonly #base: { readonly [F in Family]: Uint8Array };
  #id = 0;

  constructor(arena: Arena, data: TunnelData) {
    this.#arena = arena;
    this.#fd = data.fd;
    this.#iovec = arena.alloc(IOVEC_LEN, 16);
    this.#base = { 4: baseHeaders(data, 4), 6: baseHeaders(data, 6) };
  }

  /**
   * Sends the TCP packet at `ip`, whose VXLAN and Ethernet header stand before it already, to the socket address at
   * `to`. `gsoType` and `gsoSize` are the super-packet's as it was read from the TUN device (its checksum holds the
   * pseudo-header's sum); both 0 for a single packet, whose checksum is complete. Returns 1 when it was sent, 0 when it
   * was lost, -1 when it cannot go this way and is still to be sent: with the outer headers it is too long, or the kernel
   * will not have it, and then none may go this way any more. HOT PATH.
   */
  send(family: Family, to: number, ip: number, length: number, gsoType: number, gsoSize: number): number {
    const { bytes } = this.#arena;
    const ipLength = IP_HEADER_LEN[family];
    const udpLength = UDP_HEADER_LEN + HEADROOM + length;
    if (ipLength + udpLength > MAX_IP_LENGTH) return -1;
    const base = this.#base[family];
    const frame = ip - HEADROOM - base.length;
    const outerIp = frame + ETHERNET_HEADER_LEN;
    const udp = outerIp + ipLength;
    copyBytes(bytes, frame, base, 0, base.length);
    copyBytes(bytes, outerIp + (family === 4 ? 16 : 24), bytes, to + SOCKADDR_ADDR[family], family === 4 ? 4 : 16);
    putIpLength(bytes, outerIp, ipLength + udpLength);
    const tos = ipTos(bytes, ip) & ECN_MASK;
    if (family === 4) {
      putIpv4Id(bytes, outerIp, this.#id);
      this.#id = (this.#id + 64) & 0xffff; // a super-packet takes as many as it is cut into
      if (tos !== 0) putIpTos(bytes, outerIp, tos);
      putIpv4HeaderChecksum(bytes, outerIp, ipLength);
    } else if (tos !== 0) {
      putIpTos(bytes, outerIp, tos);
    }
    put16(bytes, udp, FIRST_PORT + (this.#flowHash(family, ip) & PORT_MASK));
    put16(bytes, udp + 4, udpLength);
    put16le(bytes, udp + UDP_CHECKSUM_AT, pseudoSum(bytes, outerIp, family, IPPROTO_UDP, udpLength));
    this.#putVnet(frame, family, ip, ip + length, gsoType, gsoSize);
    this.#arena.putIovec(this.#iovec, frame - TUNNEL_VNET_LEN, ip + length - frame + TUNNEL_VNET_LEN);
    if (libc.writev(this.#fd, this.#arena.address(this.#iovec), 1) >= 0) return 1;
    const errno = libc.errno();
    if (errno !== EINVAL && errno !== EIO && errno !== EBADFD) return 0;
    this.on = false;
    this.refused = true;
    return -1;
  }

  // The flow's two ends, whichever way the words are read.
  #flowHash(family: Family, ip: number): number {
    const { u32 } = this.#arena;
    const first = (ip + (family === 4 ? 12 : 8)) >>> 2;
    const words = family === 4 ? 2 : 8;
    let h = u32[(ip + ipHeaderLength(this.#arena.bytes, ip)) >>> 2] as number; // the ports
    for (let i = 0; i < words; i++) h = Math.imul(h ^ (u32[first + i] as number), 0x9e3779b1);
    return h ^ (h >>> 15);
  }

  #putVnet(frame: number, family: Family, ip: number, end: number, gsoType: number, gsoSize: number): void {
    const { bytes } = this.#arena;
    const at = frame - TUNNEL_VNET_LEN;
    const outerTransport = ETHERNET_HEADER_LEN + IP_HEADER_LEN[family];
    for (let i = VNET_HDR_LEN; i < TUNNEL_VNET_LEN; i++) bytes[at + i] = 0;
    if (gsoSize === 0) {
      putVnet(bytes, at, VNET_NEEDS_CSUM, VNET_GSO_NONE, 0, 0, outerTransport, UDP_CHECKSUM_AT);
      return;
    }
    const inner = ip - frame;
    const start = inner + ipHeaderLength(bytes, ip);
    const headers = start + tcpHeaderLength(bytes, frame + start, end);
    const flags = VNET_NEEDS_CSUM | VNET_UDP_TUNNEL_CSUM;
    putVnet(bytes, at, flags, gsoType | VNET_UDP_TUNNEL[family], headers, gsoSize, start, TCP_CHECKSUM_AT);
    put16le(bytes, at + OFF_OUTER_TH, outerTransport);
    put16le(bytes, at + OFF_INNER_NH, inner);
  }
}

function baseHeaders(data: TunnelData, family: Family): Uint8Array {
  const ipLength = IP_HEADER_LEN[family];
  const bytes = new Uint8Array(ETHERNET_HEADER_LEN + ipLength + UDP_HEADER_LEN);
  const from = data.from[family];
  if (!from) return bytes;
  // To the TAP's own MAC, from one that is not: the kernel drops what seems to come from itself.
  const other = data.mac.slice();
  other[5] = (other[5] as number) ^ 1;
  const type = family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  putEthernet(bytes, 0, Uint8Array.from([...data.mac, ...other]), type);
  if (family === 4) putIpv4(bytes, ETHERNET_HEADER_LEN, 0, 0, 0, 0, TTL, IPPROTO_UDP, Number(from.value), 0);
  else putIpv6(bytes, ETHERNET_HEADER_LEN, 0, 0, IPPROTO_UDP, TTL, addrBytes(from), 0, new Uint8Array(16), 0);
  putUdp(bytes, ETHERNET_HEADER_LEN + ipLength, 0, data.port, 0);
  return bytes;
}
