// ICMP message, RFC 792 and RFC 4443 section 2.1. What the second word means depends on the type; in an error the rest
// is the packet that caused it, as much as fits.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Type      |     Code      |           Checksum            |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  echo: Identifier             |  Sequence Number              |
//   |  IPv4 fragmentation needed: 0 |  Next-Hop MTU (RFC 1191)      |
//   |  IPv6 packet too big:        MTU                              |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                           Data ...                            |

import { copyBytes, get16, get32, get8, put16, put16le, put32, put8 } from "./bytes.ts";
import { finish, pseudoSum, sumWords } from "./checksum.ts";
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPV4_DF,
  IPV4_HEADER_LEN,
  IPV6_HEADER_LEN,
  ipDstAt,
  ipHeaderLength,
  ipProtocol,
  ipSrcAt,
  ipv4Fragment,
  ipv6UpperLayer,
  ipv6UpperProtocol,
  ipVersion,
  putIpv4,
  putIpv6,
} from "./ip.ts";

export const ICMP_HEADER_LEN = 8;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
/** Code of ICMP_UNREACHABLE: fragmentation needed, and Don't Fragment set. */
export const ICMP_FRAGMENTATION_NEEDED = 4;

export const ICMPV6_UNREACHABLE = 1;
export const ICMPV6_PACKET_TOO_BIG = 2;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;

const OFF_CODE = 1;
const OFF_CHECKSUM = 2;
const OFF_ID = 4;
const OFF_SEQ = 6;

const ICMPV6_ERRORS_END = 128; // RFC 4443 section 2.1: errors have the high bit clear
const ICMPV6_REDIRECT = 137;

// What an error may measure: RFC 1812 section 4.3.2.3, and the least MTU of IPv6 (RFC 4443 section 2.4c).
const MAX_ERROR_LEN = { 4: 576, 6: 1280 } as const;
const ERROR_TTL = 64;
const TOS_INTERNETWORK_CONTROL = 0xc0; // RFC 1812 section 4.3.2.5

export function icmpType(buf: Uint8Array, at: number): number {
  return get8(buf, at);
}

export function icmpCode(buf: Uint8Array, at: number): number {
  return get8(buf, at + OFF_CODE);
}

/** Identifier of an echo request or reply. */
export function icmpEchoId(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_ID);
}

/** Sequence number of an echo request or reply. */
export function icmpEchoSeq(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_SEQ);
}

/**
 * Writes the header of an echo request or reply (`type` of either family) and then the checksum over it and the data
 * up to `end`, which are in place. The IP header at `ipAt` is complete. HOT PATH.
 */
export function putIcmpEcho(
  buf: Uint8Array,
  ipAt: number,
  at: number,
  end: number,
  type: number,
  id: number,
  seq: number,
): void {
  put16(buf, at, type << 8);
  put16(buf, at + OFF_ID, id);
  put16(buf, at + OFF_SEQ, seq);
  putChecksum(buf, ipAt, at, end);
}

/**
 * Writes to `out` the whole packet that tells the sender of the packet at `at` to `end` that it is too big: ICMP
 * fragmentation needed, or ICMPv6 packet too big. `from` holds at `fromAt` the address that speaks, of the same family.
 * Returns its length, at most 576 or 1280 bytes, or 0 when the packet may not be answered. HOT PATH.
 */
export function putPacketTooBig(
  out: Uint8Array,
  outAt: number,
  buf: Uint8Array,
  at: number,
  end: number,
  from: Uint8Array,
  fromAt: number,
  mtu: number,
): number {
  if (!mayAnswer(buf, at, end, true)) return 0;
  return ipVersion(buf, at) === 4
    ? putIcmpError(out, outAt, buf, at, end, from, fromAt, ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, mtu)
    : putIcmpError(out, outAt, buf, at, end, from, fromAt, ICMPV6_PACKET_TOO_BIG, 0, mtu);
}

/**
 * Writes to `out` an ICMP error about the packet at `at` to `end`, with its beginning inside and `info` as the second
 * word. Does not ask mayAnswer. Returns its length. HOT PATH.
 */
export function putIcmpError(
  out: Uint8Array,
  outAt: number,
  buf: Uint8Array,
  at: number,
  end: number,
  from: Uint8Array,
  fromAt: number,
  type: number,
  code: number,
  info: number,
): number {
  const version = ipVersion(buf, at) === 4 ? 4 : 6;
  const header = version === 4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
  const quoted = Math.min(end - at, MAX_ERROR_LEN[version] - header - ICMP_HEADER_LEN);
  const length = header + ICMP_HEADER_LEN + quoted;
  const icmpAt = outAt + header;
  const dstAt = at + ipSrcAt(version);
  if (version === 4) {
    const src = get32(from, fromAt);
    putIpv4(out, outAt, TOS_INTERNETWORK_CONTROL, length, 0, IPV4_DF, ERROR_TTL, IPPROTO_ICMP, src, get32(buf, dstAt));
  } else {
    putIpv6(out, outAt, 0, length - header, IPPROTO_ICMPV6, ERROR_TTL, from, fromAt, buf, dstAt);
  }
  put8(out, icmpAt, type);
  put8(out, icmpAt + OFF_CODE, code);
  put32(out, icmpAt + OFF_ID, info);
  copyBytes(out, icmpAt + ICMP_HEADER_LEN, buf, at, quoted);
  putChecksum(out, outAt, icmpAt, outAt + length);
  return length;
}

/**
 * Whether an ICMP error may be sent about the packet at `at` to `end`: not about an ICMP error, a multicast or
 * broadcast, a fragment other than the first, or a packet whose source is no single host (RFC 1122 section 3.2.2, RFC
 * 4443 section 2.4e). `tooBig` is for ICMPv6 packet too big, which answers multicast as well. Broadcast addresses of
 * subnets cannot be told from the packet. HOT PATH.
 */
export function mayAnswer(buf: Uint8Array, at: number, end: number, tooBig: boolean): boolean {
  return ipVersion(buf, at) === 4 ? mayAnswer4(buf, at, end) : mayAnswer6(buf, at, end, tooBig);
}

function mayAnswer4(buf: Uint8Array, at: number, end: number): boolean {
  const source = get8(buf, at + ipSrcAt(4));
  const notOneHost = source === 0 || source === 127 || source >= 224; // 0/8, loopback, multicast, class E, broadcast
  if (notOneHost || get8(buf, at + ipDstAt(4)) >= 224) return false;
  if ((ipv4Fragment(buf, at) & 0x1fff) !== 0) return false;
  if (ipProtocol(buf, at) !== IPPROTO_ICMP) return true;
  const icmpAt = at + ipHeaderLength(buf, at);
  return icmpAt < end && !isIcmpError(get8(buf, icmpAt));
}

function mayAnswer6(buf: Uint8Array, at: number, end: number, tooBig: boolean): boolean {
  const srcAt = at + ipSrcAt(6);
  // ::, ::1 and other addresses of 0/96 name no host of the overlay
  const low = get32(buf, srcAt) === 0 && get32(buf, srcAt + 4) === 0 && get32(buf, srcAt + 8) === 0;
  if (low || get8(buf, srcAt) === 0xff) return false;
  if (!tooBig && get8(buf, at + ipDstAt(6)) === 0xff) return false;
  const icmpAt = ipv6UpperLayer(buf, at, end);
  if (icmpAt < 0) return false; // it might be an error
  if (ipv6UpperProtocol(buf, at, end) !== IPPROTO_ICMPV6) return true;
  const type = get8(buf, icmpAt);
  return type >= ICMPV6_ERRORS_END && type !== ICMPV6_REDIRECT;
}

// Echo, router discovery (9, 10), timestamp, information and mask (13 to 18) ask or reply. Any other type is an error or
// may become one; icmp_send (net/ipv4/icmp.c) takes unknown types so, too.
function isIcmpError(type: number): boolean {
  const query = type === ICMP_ECHO_REPLY || (type >= ICMP_ECHO_REQUEST && type <= 10) || (type >= 13 && type <= 18);
  return !query;
}

function putChecksum(buf: Uint8Array, ipAt: number, at: number, end: number): void {
  put16(buf, at + OFF_CHECKSUM, 0);
  const initial = ipVersion(buf, ipAt) === 4 ? 0 : pseudoSum(buf, ipAt, 6, IPPROTO_ICMPV6, end - at);
  put16le(buf, at + OFF_CHECKSUM, finish(sumWords(buf, at, end, initial)));
}
