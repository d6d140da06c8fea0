// Which received packets may be merged: the kernel's own rules for GRO (inet_gro_receive in net/ipv4/af_inet.c,
// ipv6_gro_receive in net/ipv6/ip6_offload.c, tcp_gro_receive in net/ipv4/tcp_offload.c, udp_gro_receive_segment in
// net/ipv4/udp_offload.c), in places stricter: whatever cutting the super-packet up again would not bring back keeps
// packets apart. What may change is listed at Coalesce. HOT PATH.

import type { Family } from "../../addr/family.ts";
import { get16, get16le, get32, get8, sameBytes } from "../../packet/bytes.ts";
import { IPV4_DF, ipTos, ipTtl, ipv4Fragment, ipv4Id } from "../../packet/ip.ts";
import {
  TCP_ACK,
  TCP_HEADER_LEN,
  TCP_OPTIONS_AT,
  TCP_PSH,
  tcpAck,
  tcpFlags,
  tcpHeaderLength,
} from "../../packet/tcp.ts";
import { UDP_CHECKSUM_AT, UDP_HEADER_LEN, udpLength } from "../../packet/udp.ts";

const IPV4_NO_OPTIONS = 0x45;
const TCP_OFFSET_AT = 12;
const TCP_WINDOW_AT = 14;
const TCP_URGENT_AT = 18;

/** Whether an IPv4 packet has no options, is no fragment and has the reserved bit clear. */
export function plainIpv4(buf: Uint8Array, ip: number): boolean {
  return get8(buf, ip) === IPV4_NO_OPTIONS && (ipv4Fragment(buf, ip) & ~IPV4_DF) === 0;
}

/**
 * Bytes of the header of a TCP segment that may be merged with its neighbours, or 0 for one that has to go alone: no
 * data, or a flag other than ACK and PSH. ECE and CWR mean one segment, and cutting sets CWR on the first alone.
 */
export function tcpMergeHeader(buf: Uint8Array, at: number, end: number): number {
  const header = tcpHeaderLength(buf, at, end);
  if (header === 0 || header === end - at) return 0;
  if ((tcpFlags(buf, at) & ~TCP_PSH) !== TCP_ACK || (get8(buf, at + TCP_OFFSET_AT) & 0x0f) !== 0) return 0;
  return header;
}

/**
 * The same for UDP: no data, a length other than what IP says, or no checksum. Merging would give those without one a
 * checksum, which a tunnel end point in a pod may not expect (RFC 6936), and cutting would lose the odd length.
 */
export function udpMergeHeader(buf: Uint8Array, at: number, end: number): number {
  const length = udpLength(buf, at);
  if (length !== end - at || length === UDP_HEADER_LEN || get16le(buf, at + UDP_CHECKSUM_AT) === 0) return 0;
  return UDP_HEADER_LEN;
}

/**
 * Whether the IP header at `ip` is that of segment `n` of the flow whose first has its at `head`; addresses and protocol
 * were compared before. With DF set nobody needs the identification (RFC 6864) and cutting makes it anew; without, it
 * has to be what cutting will make it.
 */
export function continuesIp(buf: Uint8Array, ip: number, head: number, family: Family, n: number): boolean {
  if (ipTtl(buf, ip) !== ipTtl(buf, head)) return false;
  if (family === 6) return get32(buf, ip) === get32(buf, head); // traffic class and flow label
  const fragment = ipv4Fragment(buf, ip);
  if (fragment !== ipv4Fragment(buf, head) || ipTos(buf, ip) !== ipTos(buf, head)) return false;
  return fragment === IPV4_DF || ipv4Id(buf, ip) === ((ipv4Id(buf, head) + n) & 0xffff);
}

/** Whether two headers of `length` bytes that tcpMergeHeader accepts differ in sequence number, checksum and PSH at most. */
export function sameTcpHeader(buf: Uint8Array, at: number, head: number, length: number): boolean {
  return (
    tcpAck(buf, at) === tcpAck(buf, head) &&
    get16(buf, at + TCP_WINDOW_AT) === get16(buf, head + TCP_WINDOW_AT) &&
    get16(buf, at + TCP_URGENT_AT) === get16(buf, head + TCP_URGENT_AT) &&
    sameBytes(buf, at + TCP_OPTIONS_AT, buf, head + TCP_OPTIONS_AT, length - TCP_HEADER_LEN)
  );
}
