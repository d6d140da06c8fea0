// IPv4 header, RFC 791 section 3.1; total length counts the header.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |Version|  IHL  |      TOS      |         Total Length          |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |        Identification         |R|D|M|     Fragment Offset     |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   | Time to Live  |   Protocol    |        Header Checksum        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                        Source Address                         |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                      Destination Address                      |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// IPv6 header, RFC 8200 section 3; payload length does not count the header, but all extension headers.
//
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |Version| Traffic Class |              Flow Label               |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |        Payload Length         |  Next Header  |   Hop Limit   |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                   Source Address, 16 bytes                    |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                 Destination Address, 16 bytes                 |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// A reader whose comment does not say otherwise expects a packet that ipPacketLength has accepted.

import { copyBytes, get16, get16le, get8, put16, put16le, put32, put8 } from "./bytes.ts";
import { putIpv4HeaderChecksum, SUM_OK, sumWords, updateChecksum } from "./checksum.ts";

/** Without options. */
export const IPV4_HEADER_LEN = 20;
/** Without extension headers. */
export const IPV6_HEADER_LEN = 40;

export const IPPROTO_HOPOPTS = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ICMPV6 = 58;

const IPPROTO_ROUTING = 43;
const IPPROTO_FRAGMENT = 44;
const IPPROTO_AH = 51;
const IPPROTO_DSTOPTS = 60;

/** The Don't Fragment bit, in the word that also holds the fragment offset. */
export const IPV4_DF = 0x4000;

const OFF_V4_TOS = 1;
const OFF_V4_LENGTH = 2;
const OFF_V4_ID = 4;
const OFF_V4_FRAGMENT = 6;
const OFF_V4_TTL = 8;
const OFF_V4_PROTOCOL = 9;
const OFF_V4_CHECKSUM = 10;
const OFF_V4_SRC = 12;
const OFF_V4_DST = 16;

const V4_MORE_FRAGMENTS_OR_OFFSET = 0x3fff;

const OFF_V6_LENGTH = 4;
const OFF_V6_NEXT_HEADER = 6;
const OFF_V6_HOP_LIMIT = 7;
const OFF_V6_SRC = 8;
const OFF_V6_DST = 24;

/** 4, 6, or 0 for anything else; looks at one byte. HOT PATH. */
export function ipVersion(buf: Uint8Array, at: number): number {
  const version = get8(buf, at) >>> 4;
  return version === 4 || version === 6 ? version : 0;
}

/**
 * How many of the bytes `at` to `end` the packet says are its own, or 0 when it is malformed. What follows is padding.
 * As strict as ip_rcv_core (net/ipv4/ip_input.c) and ip6_rcv_core (net/ipv6/ip6_input.c) on packets from outside, except
 * for IPv4's header checksum: see ipv4HeaderOk. HOT PATH.
 */
export function ipPacketLength(buf: Uint8Array, at: number, end: number): number {
  const room = end - at;
  if (room < IPV4_HEADER_LEN) return 0;
  const version = get8(buf, at) >>> 4;
  if (version === 4) {
    const header = (get8(buf, at) & 0x0f) * 4;
    const total = get16(buf, at + OFF_V4_LENGTH);
    // A total length of 0 (BIG TCP, which must not leave a host) is shorter than a header, too.
    return header >= IPV4_HEADER_LEN && header <= total && total <= room ? total : 0;
  }
  if (version !== 6 || room < IPV6_HEADER_LEN) return 0;
  const payload = get16(buf, at + OFF_V6_LENGTH);
  if (payload === 0) {
    // Jumbograms (RFC 2675) and BIG TCP: the length is elsewhere or nowhere, and no such packet fits a datagram.
    const next = get8(buf, at + OFF_V6_NEXT_HEADER);
    if (next === IPPROTO_HOPOPTS || next === IPPROTO_TCP || next === IPPROTO_UDP) return 0;
  }
  return payload <= room - IPV6_HEADER_LEN ? IPV6_HEADER_LEN + payload : 0;
}

/** Whether the header checksum is right; always, in IPv6, which has none. HOT PATH. */
export function ipv4HeaderOk(buf: Uint8Array, at: number): boolean {
  return ipVersion(buf, at) === 6 || sumWords(buf, at, at + ipHeaderLength(buf, at)) === SUM_OK;
}

/** Bytes before the payload; of IPv6, before the first extension header. HOT PATH. */
export function ipHeaderLength(buf: Uint8Array, at: number): number {
  const first = get8(buf, at);
  return first >>> 4 === 4 ? (first & 0x0f) * 4 : IPV6_HEADER_LEN;
}

/** Protocol, or IPv6's first next header. HOT PATH. */
export function ipProtocol(buf: Uint8Array, at: number): number {
  return get8(buf, at + (get8(buf, at) >>> 4 === 4 ? OFF_V4_PROTOCOL : OFF_V6_NEXT_HEADER));
}

/** Time to live, or hop limit. HOT PATH. */
export function ipTtl(buf: Uint8Array, at: number): number {
  return get8(buf, at + (get8(buf, at) >>> 4 === 4 ? OFF_V4_TTL : OFF_V6_HOP_LIMIT));
}

/** Type of service, or traffic class: DSCP in the upper six bits, ECN in the lower two. HOT PATH. */
export function ipTos(buf: Uint8Array, at: number): number {
  return get8(buf, at) >>> 4 === 4 ? get8(buf, at + OFF_V4_TOS) : (get16(buf, at) >>> 4) & 0xff;
}

/** Changes it; IPv4's header checksum is updated, not made right if it was wrong. HOT PATH. */
export function putIpTos(buf: Uint8Array, at: number, tos: number): void {
  const before = get16le(buf, at);
  if (get8(buf, at) >>> 4 === 4) {
    put8(buf, at + OFF_V4_TOS, tos);
    const checksum = updateChecksum(get16le(buf, at + OFF_V4_CHECKSUM), before, get16le(buf, at));
    put16le(buf, at + OFF_V4_CHECKSUM, checksum);
  } else {
    put16(buf, at, (get16(buf, at) & 0xf00f) | (tos << 4));
  }
}

/** Where the source address lies in the header. HOT PATH. */
export function ipSrcAt(version: number): number {
  return version === 4 ? OFF_V4_SRC : OFF_V6_SRC;
}

/** Where the destination address lies in the header. HOT PATH. */
export function ipDstAt(version: number): number {
  return version === 4 ? OFF_V4_DST : OFF_V6_DST;
}

/** Bytes of an address. HOT PATH. */
export function ipAddrLength(version: number): number {
  return version === 4 ? 4 : 16;
}

/** Sets total length or payload length from the length of the whole packet; leaves IPv4's checksum alone. HOT PATH. */
export function putIpLength(buf: Uint8Array, at: number, length: number): void {
  if (get8(buf, at) >>> 4 === 4) put16(buf, at + OFF_V4_LENGTH, length);
  else put16(buf, at + OFF_V6_LENGTH, length - IPV6_HEADER_LEN);
}

/** HOT PATH. */
export function ipv4Id(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_V4_ID);
}

/** Leaves the checksum alone. HOT PATH. */
export function putIpv4Id(buf: Uint8Array, at: number, id: number): void {
  put16(buf, at + OFF_V4_ID, id);
}

/** Flags and fragment offset. HOT PATH. */
export function ipv4Fragment(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_V4_FRAGMENT);
}

/** Writes a header without options, its checksum included. `src` and `dst` as get32 reads them. HOT PATH. */
export function putIpv4(
  buf: Uint8Array,
  at: number,
  tos: number,
  totalLength: number,
  id: number,
  fragment: number,
  ttl: number,
  protocol: number,
  src: number,
  dst: number,
): void {
  put8(buf, at, 0x45); // version 4, IHL 5
  put8(buf, at + OFF_V4_TOS, tos);
  put16(buf, at + OFF_V4_LENGTH, totalLength);
  put16(buf, at + OFF_V4_ID, id);
  put16(buf, at + OFF_V4_FRAGMENT, fragment);
  put8(buf, at + OFF_V4_TTL, ttl);
  put8(buf, at + OFF_V4_PROTOCOL, protocol);
  put32(buf, at + OFF_V4_SRC, src);
  put32(buf, at + OFF_V4_DST, dst);
  putIpv4HeaderChecksum(buf, at, IPV4_HEADER_LEN);
}

/** Writes a header with flow label 0. `src` and `dst` hold 16 bytes at the places named. HOT PATH. */
export function putIpv6(
  buf: Uint8Array,
  at: number,
  trafficClass: number,
  payloadLength: number,
  nextHeader: number,
  hopLimit: number,
  src: Uint8Array,
  srcAt: number,
  dst: Uint8Array,
  dstAt: number,
): void {
  put32(buf, at, 0x6000_0000 | (trafficClass << 20));
  put16(buf, at + OFF_V6_LENGTH, payloadLength);
  put8(buf, at + OFF_V6_NEXT_HEADER, nextHeader);
  put8(buf, at + OFF_V6_HOP_LIMIT, hopLimit);
  copyBytes(buf, at + OFF_V6_SRC, src, srcAt, 16);
  copyBytes(buf, at + OFF_V6_DST, dst, dstAt, 16);
}

/**
 * Whether the packet is a fragment, the first one included; also an IPv6 packet whose only fragment it is (RFC 6946).
 * HOT PATH.
 */
export function isFragment(buf: Uint8Array, at: number): boolean {
  if (get8(buf, at) >>> 4 === 4) return (get16(buf, at + OFF_V4_FRAGMENT) & V4_MORE_FRAGMENTS_OR_OFFSET) !== 0;
  const end = at + IPV6_HEADER_LEN + get16(buf, at + OFF_V6_LENGTH);
  return (walkIpv6(buf, at, end) & WALK_FRAGMENT) !== 0;
}

/**
 * Where the upper-layer header of an IPv6 packet begins, or -1 when there is none: the chain of extension headers is
 * cut short by `end` or longer than 8, or this is a fragment other than the first. HOT PATH.
 */
export function ipv6UpperLayer(buf: Uint8Array, at: number, end: number): number {
  const offset = walkIpv6(buf, at, end) & WALK_OFFSET;
  return offset === 0 ? -1 : at + offset;
}

/** The protocol of that header, or -1. HOT PATH. */
export function ipv6UpperProtocol(buf: Uint8Array, at: number, end: number): number {
  const walk = walkIpv6(buf, at, end);
  return (walk & WALK_OFFSET) === 0 ? -1 : (walk >>> WALK_PROTOCOL_SHIFT) & 0xff;
}

// More extension headers than any stack sends; what has more costs us no more than this.
const MAX_EXTENSION_HEADERS = 8;

// What a walk found, in one number since it may not allocate: the upper-layer header's offset in the packet (0: none),
// its protocol, and whether there was a fragment header.
const WALK_OFFSET = 0x1_ffff;
const WALK_PROTOCOL_SHIFT = 17;
const WALK_FRAGMENT = 1 << 25;

// Extension headers, RFC 8200 section 4. All begin with the next header's protocol, and all but Fragment with a length.
function walkIpv6(buf: Uint8Array, at: number, end: number): number {
  let protocol = get8(buf, at + OFF_V6_NEXT_HEADER);
  let offset = IPV6_HEADER_LEN;
  let found = 0;
  for (let headers = 0; headers <= MAX_EXTENSION_HEADERS; headers++) {
    const here = at + offset;
    let length: number;
    switch (protocol) {
      case IPPROTO_HOPOPTS:
      case IPPROTO_ROUTING:
      case IPPROTO_DSTOPTS:
        if (end - here < 8) return found;
        length = (get8(buf, here + 1) + 1) * 8;
        break;
      case IPPROTO_AH: // RFC 4302 section 2.2: in units of 4 bytes, less 2
        if (end - here < 8) return found;
        length = (get8(buf, here + 1) + 2) * 4;
        break;
      case IPPROTO_FRAGMENT:
        if (end - here < 8) return found;
        length = 8;
        found = WALK_FRAGMENT;
        if ((get16(buf, here + 2) & 0xfff8) !== 0) return found;
        break;
      default:
        return here < end ? found | (protocol << WALK_PROTOCOL_SHIFT) | offset : found;
    }
    protocol = get8(buf, here);
    offset += length;
  }
  return found;
}
