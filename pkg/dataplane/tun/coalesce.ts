// Received packets that follow each other in one flow are written to the TUN device as one super-packet, which the
// kernel carries through its stack as one and cuts up again only where it must. merge-rules.ts says which packets; the
// rules are the kernel's own for GRO.
//
// Cutting the super-packet up again gives the packets as they came, but for
//   - IPv4's identification where DF is set: it counts up from the first packet's;
//   - a checksum that was unfinished (a kernel peer on this host) or 0xffff where TCP writes 0: it is computed anew.
//
// Packets stay where they were received until the batch ends. One super-packet, gathered by one writev:
//
//   | virtio_net_hdr | IP | TCP or UDP | payload |   | payload |   | payload | ...
//   over the Ethernet   the first packet, with       of the packets that followed
//   header              lengths of the whole

import type { Family } from "../../addr/family.ts";
import { get16le, get32, put16le, sameBytes } from "../../packet/bytes.ts";
import { fold, pseudoSum, putIpv4HeaderChecksum, SUM_OK, swap16 } from "../../packet/checksum.ts";
import { memorySum, type Sum } from "../../packet/checksum-wasm.ts";
import {
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4_HEADER_LEN,
  IPV6_HEADER_LEN,
  ipAddrLength,
  ipProtocol,
  ipSrcAt,
  putIpLength,
} from "../../packet/ip.ts";
import { putTcpFlags, TCP_ACK, TCP_CHECKSUM_AT, TCP_PSH, tcpFlags, tcpSeq } from "../../packet/tcp.ts";
import { putUdpLength, UDP_CHECKSUM_AT, UDP_HEADER_LEN } from "../../packet/udp.ts";
import {
  putVnet,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP_L4,
  VNET_HDR_LEN,
  VNET_NEEDS_CSUM,
} from "../../packet/vnet.ts";
import { type Arena, IOVEC_LEN } from "../../sys/arena.ts";
import { EINVAL } from "../../sys/errors.ts";
import { COUNTER, type Counters } from "./counters.ts";
import type { Delivery } from "./delivery.ts";
import type { ForwardingTable } from "./forwarding-table.ts";
import { continuesIp, plainIpv4, sameTcpHeader, tcpMergeHeader, udpMergeHeader } from "./merge-rules.ts";

// As many as the kernel's GRO keeps apart in one of its buckets (MAX_GRO_SKBS in net/core/gro.c).
const FLOWS = 8;
const MAX_SEGMENTS = 64; // UDP_MAX_SEGMENTS (include/linux/udp.h) of kernels before 6.8
const MAX_LENGTH = 0xffff;

export class Coalesce {
  /** Called when the kernel refuses super-packets and some kind is no longer merged: at most twice in all. */
  onStepDown: (what: string) => void = () => {};

  readonly #arena: Arena;
  readonly #delivery: Delivery;
  readonly #table: ForwardingTable;
  readonly #counters: Counters;
  readonly #sum: Sum;
  readonly #iovecs: number;
  #mergeTcp = true;
  #mergeUdp = true;

  // One row per flow; a row without segments is free.
  readonly #segments = new Int32Array(FLOWS);
  readonly #key = new Int32Array(FLOWS); // see flowKey
  readonly #sender = new Int32Array(FLOWS);
  readonly #foreign = new Uint8Array(FLOWS);
  readonly #family = new Uint8Array(FLOWS);
  readonly #protocol = new Uint8Array(FLOWS);
  readonly #headers = new Int32Array(FLOWS); // bytes of IP and transport header
  readonly #size = new Int32Array(FLOWS); // payload of every segment but the last
  readonly #length = new Int32Array(FLOWS); // of the super-packet
  readonly #nextSeq = new Int32Array(FLOWS);
  readonly #pseudo = new Int32Array(FLOWS); // sum of the pseudo-header without its length
  readonly #verified = new Uint8Array(FLOWS); // whether the first segment's checksum is known to be right
  readonly #checksum = new Int32Array(FLOWS); // field of the first segment
  /** Where the IP header of each segment begins. */
  readonly #ip = new Int32Array(FLOWS * MAX_SEGMENTS);
  #evict = 0;

  constructor(arena: Arena, delivery: Delivery, table: ForwardingTable, counters: Counters) {
    this.#arena = arena;
    this.#delivery = delivery;
    this.#table = table;
    this.#counters = counters;
    this.#sum = memorySum(arena.memory);
    this.#iovecs = arena.alloc(MAX_SEGMENTS * IOVEC_LEN, 16);
  }

  /**
   * Takes a packet of `length` bytes at `ip`, which must stay there until flush(). It is written then or before, never
   * ahead of an earlier one of its flow. The rest as in Delivery.single. HOT PATH.
   */
  add(sender: number, foreign: boolean, family: Family, ip: number, length: number, cut: number): void {
    const { bytes } = this.#arena;
    const protocol = ipProtocol(bytes, ip);
    const transport = ip + ipHeader(family);
    const end = ip + length;
    const plain = family === 6 || plainIpv4(bytes, ip);
    if (!plain || (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) || end - transport < UDP_HEADER_LEN) {
      // It may belong to any flow between these addresses: a fragment has no ports.
      this.#flushBetween(family, ip);
      return this.#delivery.single(sender, foreign, family, ip, length, cut);
    }
    const key = flowKey(bytes, transport);
    const row = this.#find(key, family, protocol, ip);
    const header = this.#mergeHeader(protocol, transport, end);
    if (header === 0 || cut > 0 || this.#isTooLong(family, protocol, ip, transport, length)) {
      if (row >= 0) this.#flushRow(row);
      return this.#delivery.single(sender, foreign, family, ip, length, cut);
    }
    if (row >= 0) {
      if (this.#join(row, sender, ip, transport, transport - ip + header, length)) return;
      this.#flushRow(row);
    }
    if (protocol === IPPROTO_TCP && (tcpFlags(bytes, transport) & TCP_PSH) !== 0) {
      return this.#delivery.single(sender, foreign, family, ip, length, cut); // nothing may follow it
    }
    this.#begin(key, sender, foreign, family, protocol, ip, transport, header, length);
  }

  /** Writes all that is kept. HOT PATH. */
  flush(): void {
    for (let row = 0; row < FLOWS; row++) if (this.#segments[row] !== 0) this.#flushRow(row);
  }

  // Bytes of the transport header if the packet may be merged, else 0.
  #mergeHeader(protocol: number, transport: number, end: number): number {
    const { bytes } = this.#arena;
    if (protocol === IPPROTO_TCP) return this.#mergeTcp ? tcpMergeHeader(bytes, transport, end) : 0;
    return this.#mergeUdp ? udpMergeHeader(bytes, transport, end) : 0;
  }

  // Longer than any packet on the way to a pod: one that Delivery says is to be cut, or that the kernel will refuse.
  #isTooLong(family: Family, protocol: number, ip: number, transport: number, length: number): boolean {
    const { podMtu } = this.#table;
    if (length <= podMtu) return false;
    if (length > (this.#table.family[family]?.mtu ?? MAX_LENGTH)) return true;
    const pseudo = pseudoSum(this.#arena.bytes, ip, family, protocol, ip + length - transport);
    return get16le(this.#arena.bytes, transport + checksumAt(protocol)) === pseudo;
  }

  #find(key: number, family: Family, protocol: number, ip: number): number {
    for (let row = 0; row < FLOWS; row++) {
      if (this.#segments[row] === 0 || this.#key[row] !== key) continue;
      if (this.#family[row] !== family || this.#protocol[row] !== protocol) continue;
      // Of equal addresses, only equal ports make equal keys.
      if (this.#sameAddresses(row, family, ip)) return row;
    }
    return -1;
  }

  #first(row: number): number {
    return this.#ip[row * MAX_SEGMENTS] as number;
  }

  #begin(
    key: number,
    sender: number,
    foreign: boolean,
    family: Family,
    protocol: number,
    ip: number,
    transport: number,
    header: number,
    length: number,
  ): void {
    const { bytes } = this.#arena;
    const row = this.#freeRow();
    const headers = transport - ip + header;
    this.#segments[row] = 1;
    this.#key[row] = key;
    this.#sender[row] = sender;
    this.#foreign[row] = foreign ? 1 : 0;
    this.#family[row] = family;
    this.#protocol[row] = protocol;
    this.#headers[row] = headers;
    this.#size[row] = length - headers;
    this.#length[row] = length;
    this.#nextSeq[row] = protocol === IPPROTO_TCP ? tcpSeq(bytes, transport) + length - headers : 0;
    this.#pseudo[row] = pseudoSum(bytes, ip, family, protocol, 0);
    this.#verified[row] = 0; // verified when a second segment comes: the kernel looks at what is written singly
    this.#checksum[row] = get16le(bytes, transport + checksumAt(protocol));
    this.#ip[row * MAX_SEGMENTS] = ip;
  }

  #freeRow(): number {
    for (let row = 0; row < FLOWS; row++) if (this.#segments[row] === 0) return row;
    const row = this.#evict;
    this.#evict = (row + 1) % FLOWS;
    this.#flushRow(row);
    return row;
  }

  // Appends a segment if it continues the flow, and ends the flow if nothing may follow.
  #join(row: number, sender: number, ip: number, transport: number, headers: number, length: number): boolean {
    const { bytes } = this.#arena;
    const segments = this.#segments[row] as number;
    const size = this.#size[row] as number;
    const payload = length - headers;
    const first = this.#first(row);
    if (sender !== this.#sender[row] || headers !== this.#headers[row]) return false;
    if (payload > size || (this.#length[row] as number) + payload > MAX_LENGTH) return false;
    if (!continuesIp(bytes, ip, first, this.#family[row] as Family, segments)) return false;
    const ihl = transport - ip;
    let push = false;
    if (this.#protocol[row] === IPPROTO_TCP) {
      const seq = tcpSeq(bytes, transport) | 0;
      if (seq !== this.#nextSeq[row]) return false;
      if (!sameTcpHeader(bytes, transport, first + ihl, headers - ihl)) return false;
      this.#nextSeq[row] = seq + payload;
      push = (tcpFlags(bytes, transport) & TCP_PSH) !== 0;
    }
    if (this.#verified[row] === 0 && !this.#checksumRight(row, first + ihl, headers - ihl + size)) return false;
    this.#verified[row] = 1;
    if (!this.#checksumRight(row, transport, length - ihl)) return false;
    this.#ip[row * MAX_SEGMENTS + segments] = ip;
    this.#segments[row] = segments + 1;
    this.#length[row] = (this.#length[row] as number) + payload;
    if (push || payload < size || segments + 1 === MAX_SEGMENTS) this.#flushRow(row);
    return true;
  }

  // Of the `length` bytes of transport header and payload at `at`. One that holds only the pseudo-header's sum counts as
  // right: a kernel peer on this host left it for later, and nothing has touched the bytes since.
  #checksumRight(row: number, at: number, length: number): boolean {
    const pseudo = fold((this.#pseudo[row] as number) + swap16(length));
    if (fold(this.#sum(at, length) + pseudo) === SUM_OK) return true;
    return get16le(this.#arena.bytes, at + checksumAt(this.#protocol[row] as number)) === pseudo;
  }

  #flushBetween(family: Family, ip: number): void {
    for (let row = 0; row < FLOWS; row++) {
      if (this.#segments[row] === 0 || this.#family[row] !== family) continue;
      if (this.#sameAddresses(row, family, ip)) this.#flushRow(row);
    }
  }

  // Source and destination stand side by side.
  #sameAddresses(row: number, family: Family, ip: number): boolean {
    const { bytes } = this.#arena;
    const from = ipSrcAt(family);
    return sameBytes(bytes, ip + from, bytes, this.#first(row) + from, 2 * ipAddrLength(family));
  }

  #flushRow(row: number): void {
    const segments = this.#segments[row] as number;
    this.#segments[row] = 0;
    if (segments === 1) return this.#single(row, 0, this.#length[row] as number);
    this.#putHeaders(row, segments);
    const n = this.#delivery.write(this.#iovecs, this.#putIovecs(row, segments));
    if (n === -EINVAL) return this.#refused(row, segments);
    if (n < 0) return this.#counters.add(COUNTER.tun_write_errors, segments);
    const repeated = (segments - 1) * (this.#headers[row] as number);
    const length = (this.#length[row] as number) + repeated;
    this.#delivery.count(this.#sender[row] as number, this.#foreign[row] !== 0, segments, length);
    this.#counters.add(COUNTER.rx_merged, segments);
  }

  #single(row: number, segment: number, length: number): void {
    const ip = this.#ip[row * MAX_SEGMENTS + segment] as number;
    const family = this.#family[row] as Family;
    this.#delivery.single(this.#sender[row] as number, this.#foreign[row] !== 0, family, ip, length, 0);
  }

  // Makes the first segment's headers those of the whole.
  #putHeaders(row: number, segments: number): void {
    const { bytes } = this.#arena;
    const ip = this.#first(row);
    const family = this.#family[row] as Family;
    const protocol = this.#protocol[row] as number;
    const headers = this.#headers[row] as number;
    const ihl = ipHeader(family);
    let type = VNET_GSO_UDP_L4;
    if (protocol === IPPROTO_TCP) {
      type = family === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
      const last = this.#ip[row * MAX_SEGMENTS + segments - 1] as number;
      putTcpFlags(bytes, ip + ihl, tcpFlags(bytes, last + ihl)); // its PSH; cutting leaves that to the last again
    }
    const length = this.#length[row] as number;
    const pseudo = fold((this.#pseudo[row] as number) + swap16(length - ihl));
    this.#putLength(row, length, pseudo);
    const size = this.#size[row] as number;
    putVnet(bytes, ip - VNET_HDR_LEN, VNET_NEEDS_CSUM, type, headers, size, ihl, checksumAt(protocol));
  }

  #putLength(row: number, length: number, checksum: number): void {
    const { bytes } = this.#arena;
    const ip = this.#first(row);
    const family = this.#family[row] as Family;
    const protocol = this.#protocol[row] as number;
    const transport = ip + ipHeader(family);
    putIpLength(bytes, ip, length);
    if (family === 4) putIpv4HeaderChecksum(bytes, ip, IPV4_HEADER_LEN);
    if (protocol === IPPROTO_UDP) putUdpLength(bytes, transport, ip + length - transport);
    put16le(bytes, transport + checksumAt(protocol), checksum);
  }

  // Returns how many there are.
  #putIovecs(row: number, segments: number): number {
    const ip = this.#first(row);
    const headers = this.#headers[row] as number;
    const size = this.#size[row] as number;
    let left = (this.#length[row] as number) - headers - size;
    this.#arena.putIovec(this.#iovecs, ip - VNET_HDR_LEN, VNET_HDR_LEN + headers + size);
    for (let i = 1; i < segments; i++) {
      const at = (this.#ip[row * MAX_SEGMENTS + i] as number) + headers;
      this.#arena.putIovec(this.#iovecs + i * IOVEC_LEN, at, Math.min(size, left));
      left -= size;
    }
    return segments;
  }

  // The kernel knows no such super-packet (UDP before Linux 6.2). The segments go one by one, as they were, and this kind
  // is not merged any more.
  #refused(row: number, segments: number): void {
    const { bytes } = this.#arena;
    const headers = this.#headers[row] as number;
    const size = this.#size[row] as number;
    const protocol = this.#protocol[row] as number;
    let left = (this.#length[row] as number) - headers;
    this.#putLength(row, headers + size, this.#checksum[row] as number);
    if (protocol === IPPROTO_TCP) putTcpFlags(bytes, this.#first(row) + ipHeader(this.#family[row] as Family), TCP_ACK);
    for (let i = 0; i < segments; i++) {
      this.#single(row, i, headers + Math.min(size, left));
      left -= size;
    }
    this.#stepDown(protocol);
  }

  #stepDown(protocol: number): void {
    if (protocol === IPPROTO_UDP && this.#mergeUdp) {
      this.#mergeUdp = false;
      this.onStepDown("merging of received UDP packets");
    } else if (protocol === IPPROTO_TCP && this.#mergeTcp) {
      this.#mergeTcp = false;
      this.#mergeUdp = false; // whoever refuses TCP's knows none
      this.onStepDown("merging of received packets");
    }
  }
}

function ipHeader(family: Family): number {
  return family === 4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
}

function checksumAt(protocol: number): number {
  return protocol === IPPROTO_TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT;
}

// Of the ports and the destination's last four bytes, which stand before them.
function flowKey(buf: Uint8Array, transport: number): number {
  return get32(buf, transport) ^ Math.imul(get32(buf, transport - 4), 0x9e3779b1);
}
