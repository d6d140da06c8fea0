// The Internet checksum, RFC 1071: the one's complement of the one's complement sum of 16-bit words.
//
// Words are read in little endian, the order of the machine, although the wire is big endian. The sum does not depend
// on the byte order as long as the result is stored in the order in which the words were loaded (RFC 1071 section 2B),
// so nothing is ever swapped: a sum, a checksum and a field in this package are all little-endian words, kept with
// get16le and put16le. Numbers that are not loaded from the packet, such as a length, are swapped once (`swap16`).
//
// A partial sum is folded: 0 to 0xffff. It is 0 only if every byte was 0, so a finished checksum over anything else is
// never 0xffff, and updating (RFC 1624) gives the same field as computing anew.

import { get16le, get8, put16le } from "./bytes.ts";

/** The sum of an intact packet with its checksum field included. */
export const SUM_OK = 0xffff;

const IPPROTO_ICMP = 1;
const IPPROTO_UDP = 17;

const OFF_IPV4_CHECKSUM = 10;
const OFF_IPV4_ADDRS = 12; // source and destination side by side
const IPV4_ADDRS_LEN = 8;
const OFF_IPV6_ADDRS = 8;
const IPV6_ADDRS_LEN = 32;

/** Folds the carries of an unsigned 32-bit sum back in: 0 to 0xffff. HOT PATH. */
export function fold(sum: number): number {
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

/** A host-order 16-bit number as it stands in the words of a sum. HOT PATH. */
export function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

/**
 * The folded sum of bytes `at` to `end` (at most 16 MB) and of `initial`, another folded sum. An odd last byte counts as
 * if a zero followed, so only the last of several chained pieces may have an odd length. `at` may be odd. HOT PATH.
 */
export function sumWords(buf: Uint8Array, at: number, end: number, initial = 0): number {
  // Bytes at even and at odd places are summed apart: neither can leave 31 bits, and no word has to be put together.
  let low = 0;
  let high = 0;
  for (; at + 8 <= end; at += 8) {
    low += get8(buf, at) + get8(buf, at + 2) + get8(buf, at + 4) + get8(buf, at + 6);
    high += get8(buf, at + 1) + get8(buf, at + 3) + get8(buf, at + 5) + get8(buf, at + 7);
  }
  for (; at + 2 <= end; at += 2) {
    low += get8(buf, at);
    high += get8(buf, at + 1);
  }
  if (at < end) low += get8(buf, at);
  return fold(low + (fold(high) << 8) + initial);
}

/** The checksum of a folded sum, as the word to store. HOT PATH. */
export function finish(sum: number): number {
  return ~sum & 0xffff;
}

/** The same for UDP, where a field of 0 means that there is no checksum (RFC 768). HOT PATH. */
export function finishUdp(sum: number): number {
  return sum === SUM_OK ? SUM_OK : ~sum & 0xffff;
}

/**
 * The checksum after words that summed to `before` (folded) have been replaced by words that sum to `after`:
 * RFC 1624 section 3, equation 3, `HC' = ~(~HC + ~m + m')`. HOT PATH.
 */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return finish(fold((~checksum & 0xffff) + (~before & 0xffff) + after));
}

/**
 * The folded sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1) of the packet whose IP header begins
 * at `ipAt`. `length` counts the transport header and its payload. The destination is the header's: a packet that still
 * has a routing header to work off is not summed right. HOT PATH.
 */
export function pseudoSum(buf: Uint8Array, ipAt: number, version: number, protocol: number, length: number): number {
  const fixed = fold((protocol << 8) + swap16(length) + swap16(length >>> 16));
  return version === 4
    ? sumWords(buf, ipAt + OFF_IPV4_ADDRS, ipAt + OFF_IPV4_ADDRS + IPV4_ADDRS_LEN, fixed)
    : sumWords(buf, ipAt + OFF_IPV6_ADDRS, ipAt + OFF_IPV6_ADDRS + IPV6_ADDRS_LEN, fixed);
}

/** What the checksum field of an IPv4 header of `headerLength` bytes has to be, whatever it is now. HOT PATH. */
export function ipv4HeaderChecksum(buf: Uint8Array, at: number, headerLength: number): number {
  const before = sumWords(buf, at, at + OFF_IPV4_CHECKSUM);
  return finish(sumWords(buf, at + OFF_IPV4_CHECKSUM + 2, at + headerLength, before));
}

/** Computes and stores the checksum of an IPv4 header. HOT PATH. */
export function putIpv4HeaderChecksum(buf: Uint8Array, at: number, headerLength: number): void {
  put16le(buf, at + OFF_IPV4_CHECKSUM, ipv4HeaderChecksum(buf, at, headerLength));
}

/**
 * Whether the checksum of a TCP segment, UDP datagram or ICMP message at `at` to `end` is right. `checksumAt` is the
 * place of its field. UDP over IPv4 may have none (0); over IPv6 it may not (RFC 8200 section 8.1). HOT PATH.
 */
export function transportChecksumOk(
  buf: Uint8Array,
  ipAt: number,
  version: number,
  protocol: number,
  at: number,
  end: number,
  checksumAt: number,
): boolean {
  if (protocol === IPPROTO_UDP && get16le(buf, checksumAt) === 0) return version === 4;
  const initial = version === 4 && protocol === IPPROTO_ICMP ? 0 : pseudoSum(buf, ipAt, version, protocol, end - at);
  return sumWords(buf, at, end, initial) === SUM_OK;
}
