// Cuts a super-packet, as the kernel hands it over from a TUN device with segmentation offloads, into the packets that
// go out: as skb_segment() would (net/core/skbuff.c; tcp_gso_segment, __udp_gso_segment). The headers of each are written
// to a slot of their own, the payload stays where it is.
//
//   super-packet   | IP | TCP or UDP | payload ............................................ |
//   segments       | IP | TCP | ──▶ slice 0 | IP | TCP | ──▶ slice 1 | ...
//
// All sums are of little-endian words (packet/checksum.ts). What is the same in every segment is summed once.

import type { Family } from "../../addr/family.ts";
import { get16le, put16le } from "../../packet/bytes.ts";
import { finish, finishUdp, fold, pseudoSum, swap16 } from "../../packet/checksum.ts";
import type { Sum } from "../../packet/checksum-wasm.ts";
import { IPPROTO_TCP, IPPROTO_UDP, ipv4Id, ipVersion, putIpLength, putIpv4Id } from "../../packet/ip.ts";
import {
  putTcpFlags,
  putTcpSeq,
  TCP_CHECKSUM_AT,
  TCP_CWR,
  TCP_FIN,
  TCP_PSH,
  tcpFlags,
  tcpHeaderLength,
  tcpSeq,
} from "../../packet/tcp.ts";
import { putUdpLength, UDP_CHECKSUM_AT, UDP_HEADER_LEN } from "../../packet/udp.ts";
import {
  VNET_GSO_ECN,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP_L4,
  vnetCsumStart,
  vnetGsoSize,
  vnetGsoType,
} from "../../packet/vnet.ts";
import type { Arena } from "../../sys/arena.ts";

const OFF_IPV4_CHECKSUM = 10;

/** The most that the headers of a segment take: an IPv4 header with options, or IPv6's with extensions, and TCP's. */
export const SEGMENT_HEADERS = 256;

export class Segmenter {
  /** Of the segment that `next` made last. */
  payloadAt = 0;
  payloadLength = 0;
  /** Bytes of every segment's headers, IP and transport. */
  headers = 0;

  readonly #bytes: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #sum: Sum;
  #family: Family = 4;
  #ip = 0;
  #ihl = 0;
  #isTcp = false;
  #size = 0;
  #at = 0;
  #end = 0;
  #index = 0;
  #seq = 0;
  #id = 0;
  #flags = 0;
  #ipSum = 0; // of an IPv4 header without length, id and checksum
  #transportSum = 0; // of pseudo-header and transport header without length, sequence number, flags and checksum

  constructor(arena: Arena, sum: Sum) {
    this.#bytes = arena.bytes;
    this.#u32 = arena.u32;
    this.#sum = sum;
  }

  /**
   * Takes the super-packet at `ip`, a multiple of 4, to `end`, with its virtio-net header at `vnet`. Returns whether it can be cut: false
   * for a type that was not asked for and for headers that make no sense. HOT PATH.
   */
  begin(vnet: number, ip: number, end: number): boolean {
    const bytes = this.#bytes;
    const type = vnetGsoType(bytes, vnet) & ~VNET_GSO_ECN;
    const family = ipVersion(bytes, ip) as Family;
    const ihl = vnetCsumStart(bytes, vnet);
    const size = vnetGsoSize(bytes, vnet);
    const transport = ip + ihl;
    const isTcp = type === (family === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6);
    if (!isTcp && type !== VNET_GSO_UDP_L4) return false;
    const header = isTcp
      ? tcpHeaderLength(bytes, transport, end)
      : end - transport > UDP_HEADER_LEN
        ? UDP_HEADER_LEN
        : 0;
    const headers = ihl + header;
    if (ihl < 20 || (ihl & 3) !== 0 || header === 0 || size === 0 || headers > SEGMENT_HEADERS || ip + headers >= end)
      return false;

    this.#family = family;
    this.#ip = ip;
    this.#ihl = ihl;
    this.#isTcp = isTcp;
    this.#size = size;
    this.headers = headers;
    this.#at = ip + headers;
    this.#end = end;
    this.#index = 0;
    const protocol = isTcp ? IPPROTO_TCP : IPPROTO_UDP;
    const transportSum = fold(pseudoSum(bytes, ip, family, protocol, 0) + this.#sum(transport, header));
    if (isTcp) {
      this.#seq = tcpSeq(bytes, transport);
      this.#flags = tcpFlags(bytes, transport);
      const varying = seqSum(this.#seq) + (this.#flags << 8) + get16le(bytes, transport + TCP_CHECKSUM_AT);
      this.#transportSum = subtract(transportSum, fold(varying));
    } else {
      const varying = get16le(bytes, transport + 4) + get16le(bytes, transport + UDP_CHECKSUM_AT);
      this.#transportSum = subtract(transportSum, fold(varying));
    }
    if (family === 4) {
      this.#id = ipv4Id(bytes, ip);
      const varying = get16le(bytes, ip + 2) + get16le(bytes, ip + 4) + get16le(bytes, ip + OFF_IPV4_CHECKSUM);
      this.#ipSum = subtract(this.#sum(ip, ihl), fold(varying));
    }
    return true;
  }

  /** Writes the next segment's headers to `to`, a multiple of 4. Returns the segment's length, 0 when there is none. HOT PATH. */
  next(to: number): number {
    const left = this.#end - this.#at;
    if (left <= 0) return 0;
    const bytes = this.#bytes;
    const payload = left < this.#size ? left : this.#size;
    const last = payload === left;
    const length = this.headers + payload;
    this.#copyHeaders(to);
    putIpLength(bytes, to, length);
    if (this.#family === 4) {
      const id = (this.#id + this.#index) & 0xffff;
      putIpv4Id(bytes, to, id);
      put16le(bytes, to + OFF_IPV4_CHECKSUM, finish(fold(this.#ipSum + swap16(length) + swap16(id))));
    }
    const transport = to + this.#ihl;
    const transportLength = length - this.#ihl;
    const sum = this.#transportSum + swap16(transportLength) + this.#sum(this.#at, payload);
    if (this.#isTcp) this.#putTcp(transport, sum, last);
    else this.#putUdp(transport, sum, transportLength);
    this.payloadAt = this.#at;
    this.payloadLength = payload;
    this.#at += payload;
    this.#index++;
    return length;
  }

  // Both places and the length are multiples of 4, as the headers of IP and TCP are; UDP's too.
  #copyHeaders(to: number): void {
    const u32 = this.#u32;
    const from = this.#ip >>> 2;
    const words = this.headers >>> 2;
    to >>>= 2;
    for (let i = 0; i < words; i++) u32[to + i] = u32[from + i] as number;
  }

  #putTcp(transport: number, sum: number, last: boolean): void {
    const bytes = this.#bytes;
    const seq = (this.#seq + this.#index * this.#size) >>> 0;
    let flags = this.#flags;
    if (!last) flags &= ~(TCP_PSH | TCP_FIN);
    if (this.#index > 0) flags &= ~TCP_CWR;
    putTcpSeq(bytes, transport, seq);
    if (flags !== this.#flags) putTcpFlags(bytes, transport, flags);
    put16le(bytes, transport + TCP_CHECKSUM_AT, finish(fold(sum + seqSum(seq) + (flags << 8))));
  }

  #putUdp(transport: number, sum: number, length: number): void {
    const bytes = this.#bytes;
    putUdpLength(bytes, transport, length);
    put16le(bytes, transport + UDP_CHECKSUM_AT, finishUdp(fold(sum + swap16(length))));
  }
}

/** A sequence number's two words. HOT PATH. */
function seqSum(seq: number): number {
  return swap16(seq >>> 16) + swap16(seq & 0xffff);
}

/** One's complement subtraction of folded sums. HOT PATH. */
function subtract(sum: number, part: number): number {
  return fold(sum + (~part & 0xffff));
}
