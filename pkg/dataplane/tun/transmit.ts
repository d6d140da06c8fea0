// From the pods to the underlay: what the kernel routed to the TUN device gets VXLAN and Ethernet headers and leaves in
// runs, as many datagrams of one length to one peer as come in a row.
//
// A packet gets its headers in the room in front of it; nothing is moved:
//
//    0               8                        22
//   +---------------+------------------------+-------------------------//--+
//   | VXLAN (8)     | inner Ethernet (14)    | inner IP packet             |
//   +---------------+-------+----------------+-------------------------//--+
//                           | virtio_net_hdr |  The TUN read begins at 12; its
//                           12           (10)   header is used up, then written over.
//
// A super-packet is cut (segment.ts): each segment's headers stand in a slot of their own with the same picture, and a
// datagram is gathered from two places, slot and payload.

import type { Family } from "../../addr/family.ts";
import { put16le } from "../../packet/bytes.ts";
import { finish, finishUdp } from "../../packet/checksum.ts";
import { memorySum, type Sum } from "../../packet/checksum-wasm.ts";
import {
  IPPROTO_TCP,
  ipDstAt,
  ipHeaderLength,
  ipPacketLength,
  ipProtocol,
  ipTos,
  ipVersion,
  isFragment,
} from "../../packet/ip.ts";
import { tcpHeaderLength } from "../../packet/tcp.ts";
import { UDP_CHECKSUM_AT } from "../../packet/udp.ts";
import {
  putVnet,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_UDP_L4,
  VNET_HDR_LEN,
  VNET_NEEDS_CSUM,
  vnetCsumOffset,
  vnetCsumStart,
  vnetFlags,
  vnetGsoSize,
  vnetGsoType,
} from "../../packet/vnet.ts";
import { type Arena, IOVEC_LEN } from "../../sys/arena.ts";
import { EBADFD } from "../../sys/errors.ts";
import type { Device } from "../../tun/device.ts";
import type { Bind, TxRun } from "../../underlay/bind.ts";
import { COUNTER, type Counters } from "./counters.ts";
import { type ForwardingTable, HEADROOM } from "./forwarding-table.ts";
import { SEGMENT_HEADERS, Segmenter } from "./segment.ts";
import { TUNNEL_HEADROOM, type TunnelGso } from "./tunnel-gso.ts";

const READS_PER_TURN = 64;
const READ_ROOM = VNET_HDR_LEN + 65536;
const ARENA_LEN = 512 * 1024;
const ROOM_BEFORE = TUNNEL_HEADROOM + 4;

// The kernel cuts a run into datagrams from one buffer of at most 64 KB (net/ipv4/udp.c, udp_send_skb).
const RUN_BYTES = 65000;

// Header slots in turn: a run and the datagram that did not fit it any more must not share one.
const SLOT_LEN = HEADROOM + SEGMENT_HEADERS + 2;
const SLOT_IP = HEADROOM + 2; // at a multiple of 4, which leaves the headers before it at an even place

const ECN_MASK = 0b11;

export class Transmit {
  /** The socket was full: a run is kept, and the TUN is not read until it has gone. */
  blocked = false;
  /** Errno of a device that is gone for good, else 0. */
  fault = 0;

  readonly #arena: Arena;
  readonly #device: Device;
  readonly #bind: Bind;
  readonly #table: ForwardingTable;
  readonly #counters: Counters;
  readonly #sum: Sum;
  readonly #segmenter: Segmenter;
  readonly #tunnel: TunnelGso | undefined;
  readonly #packets: number;
  readonly #iovecs: number;
  readonly #slots: number;
  readonly #slotCount: number;
  #nextSlot = 0;
  readonly #run: TxRun = {
    family: 4,
    to: 0,
    iov: 0,
    iovCount: 0,
    iovPerDatagram: 1,
    datagrams: 0,
    length: 0,
    total: 0,
    tos: 0,
  };
  #runPeer = -1;
  #runEnded = false; // the last datagram was shorter: nothing may follow it

  // The packet in hand: whom it goes to.
  #family: Family = 4;
  #peer = -1;
  #tos = 0;
  // Whether it is a super-packet of which segments are still to be cut.
  #cutting = false;
  // The datagram in hand, which could not join the run because the socket was full. Length 0: none.
  #heldAt = 0;
  #heldLength = 0;
  #heldPayloadAt = 0;
  #heldPayloadLength = 0;

  /** With `tunnel`, TCP goes out that way while it is on. */
  constructor(
    arena: Arena,
    device: Device,
    bind: Bind,
    table: ForwardingTable,
    counters: Counters,
    tunnel?: TunnelGso,
  ) {
    this.#arena = arena;
    this.#device = device;
    this.#bind = bind;
    this.#table = table;
    this.#counters = counters;
    this.#sum = memorySum(arena.memory);
    this.#segmenter = new Segmenter(arena, this.#sum);
    this.#tunnel = tunnel;
    this.#packets = arena.alloc(ARENA_LEN);
    this.#iovecs = arena.alloc(bind.maxRun * 2 * IOVEC_LEN, 16);
    this.#slotCount = bind.maxRun + 2;
    this.#slots = arena.alloc(this.#slotCount * SLOT_LEN);
  }

  /** Carries what waits on the device, within bounds. Returns how many packets were read. HOT PATH. */
  turn(): number {
    if (this.blocked && !this.#resume()) return 0;
    const end = this.#packets + ARENA_LEN - READ_ROOM - ROOM_BEFORE;
    let at = this.#packets;
    let reads = 0;
    while (reads < READS_PER_TURN && at <= end) {
      // The IP header is put at a multiple of 4, which makes the place of the headers before it even.
      const ip = (at + ROOM_BEFORE) & ~3;
      const n = this.#device.read(ip - VNET_HDR_LEN, READ_ROOM);
      if (n <= 0) {
        if (n < 0) this.#readFailed(-n);
        break;
      }
      reads++;
      this.#packet(ip, ip - VNET_HDR_LEN + n);
      if (this.blocked) return reads;
      // What has left whole leaves its room to the next packet, which then finds it in the processor's cache.
      at = this.#run.datagrams === 0 ? this.#packets : ip + n;
    }
    this.#flush();
    return reads;
  }

  #readFailed(errno: number): void {
    this.#counters.add(COUNTER.tun_read_errors, 1);
    if (errno === EBADFD) this.fault = errno;
  }

  #packet(ip: number, end: number): void {
    const { bytes } = this.#arena;
    const vnet = ip - VNET_HDR_LEN;
    const length = ipPacketLength(bytes, ip, end);
    if (length === 0) return this.#counters.add(COUNTER.tx_not_ip, 1);
    const family = ipVersion(bytes, ip) as Family;
    const table = this.#table.family[family];
    const peer = table ? table.routes.lookup(bytes, ip + ipDstAt(family)) : -1;
    if (peer < 0) return this.#counters.add(COUNTER.tx_no_route, 1);
    this.#family = family;
    this.#peer = peer;
    this.#tos = ipTos(bytes, ip) & ECN_MASK; // RFC 6040 section 4.1: the inner ECN field is copied out
    const { forwardable } = this.#table;
    if (this.#tunnel?.on === true && forwardable[peer] === 1 && this.#sendWhole(this.#tunnel, vnet, ip, length)) return;
    if (vnetGsoType(bytes, vnet) !== VNET_GSO_NONE) {
      if (!this.#segmenter.begin(vnet, ip, ip + length)) return this.#counters.add(COUNTER.tx_bad_gso, 1);
      this.#cutting = true;
      return this.#cut();
    }
    if ((vnetFlags(bytes, vnet) & VNET_NEEDS_CSUM) !== 0) this.#finishChecksum(vnet, ip, ip + length);
    const at = ip - HEADROOM;
    this.#table.putHeaders(peer, at);
    this.#append(at, HEADROOM + length, 0, 0);
  }

  // TCP that carries data, super-packet or not: one flow then has one source port. Returns false for everything else, and
  // when it has to go the other way after all; the virtio-net header is then as it was.
  #sendWhole(tunnel: TunnelGso, vnet: number, ip: number, length: number): boolean {
    const { bytes } = this.#arena;
    const gsoType = vnetGsoType(bytes, vnet);
    if ((gsoType & ~VNET_GSO_ECN) === VNET_GSO_UDP_L4 || ipProtocol(bytes, ip) !== IPPROTO_TCP) return false;
    const ihl = ipHeaderLength(bytes, ip);
    const tcp = tcpHeaderLength(bytes, ip + ihl, ip + length);
    const payload = length - ihl - tcp;
    if (tcp === 0 || payload === 0 || isFragment(bytes, ip)) return false;
    // What was read before and goes to the same peer leaves before.
    if (this.#run.datagrams > 0 && this.#runPeer === this.#peer) {
      this.#flush();
      if (this.blocked) return false;
    }
    let flags = vnetFlags(bytes, vnet);
    const gsoSize = gsoType === VNET_GSO_NONE ? 0 : vnetGsoSize(bytes, vnet);
    const csumStart = vnetCsumStart(bytes, vnet);
    const csumOffset = vnetCsumOffset(bytes, vnet);
    if (gsoSize === 0 && (flags & VNET_NEEDS_CSUM) !== 0) {
      this.#finishChecksum(vnet, ip, ip + length);
      flags &= ~VNET_NEEDS_CSUM;
    }
    this.#table.putHeaders(this.#peer, ip - HEADROOM);
    const sent = tunnel.send(this.#family, this.#table.sockaddr(this.#peer), ip, length, gsoType, gsoSize);
    if (sent < 0) {
      putVnet(bytes, vnet, flags, gsoType, ihl + tcp, gsoSize, csumStart, csumOffset);
      return false;
    }
    const packets = gsoSize === 0 ? 1 : Math.ceil(payload / gsoSize);
    if (sent === 0) {
      this.#counters.add(COUNTER.tx_send_errors, packets);
      return true;
    }
    const carried = length + (packets - 1) * (ihl + tcp);
    this.#table.countTx(this.#peer, packets, carried);
    this.#counters.add(COUNTER.tx_packets, packets);
    this.#counters.add(COUNTER.tx_bytes, carried);
    return true;
  }

  // The field holds the pseudo-header's sum, so it is summed with the rest.
  #finishChecksum(vnet: number, ip: number, end: number): void {
    const { bytes } = this.#arena;
    const start = ip + vnetCsumStart(bytes, vnet);
    const offset = vnetCsumOffset(bytes, vnet);
    if (start + offset + 2 > end) return;
    const sum = this.#sum(start, end - start);
    put16le(bytes, start + offset, offset === UDP_CHECKSUM_AT ? finishUdp(sum) : finish(sum));
  }

  #cut(): void {
    const segmenter = this.#segmenter;
    for (;;) {
      const slot = this.#slots + this.#nextSlot * SLOT_LEN;
      const length = segmenter.next(slot + SLOT_IP);
      if (length === 0) break;
      this.#nextSlot = this.#nextSlot + 1 === this.#slotCount ? 0 : this.#nextSlot + 1;
      const at = slot + SLOT_IP - HEADROOM;
      this.#table.putHeaders(this.#peer, at);
      this.#append(at, HEADROOM + segmenter.headers, segmenter.payloadAt, segmenter.payloadLength);
      if (this.blocked) return;
    }
    this.#cutting = false;
  }

  // Adds a datagram that stands in one place, or in two where `payloadLength` is not 0.
  #append(at: number, length: number, payloadAt: number, payloadLength: number): void {
    const run = this.#run;
    const whole = length + payloadLength;
    const pieces = payloadLength === 0 ? 1 : 2;
    // While the socket is full nothing joins what waits for it: only what is held says where to go on.
    if (run.datagrams > 0 && (this.blocked || !this.#fits(whole, pieces))) {
      this.#flush();
      if (this.blocked) {
        this.#heldAt = at;
        this.#heldLength = length;
        this.#heldPayloadAt = payloadAt;
        this.#heldPayloadLength = payloadLength;
        return;
      }
    }
    if (run.datagrams === 0) {
      run.family = this.#family;
      run.to = this.#table.sockaddr(this.#peer);
      run.iov = this.#iovecs;
      run.iovCount = 0;
      run.iovPerDatagram = pieces;
      run.length = whole;
      run.total = 0;
      run.tos = this.#tos;
      this.#runPeer = this.#peer;
    }
    this.#arena.putIovec(run.iov + run.iovCount * IOVEC_LEN, at, length);
    if (pieces === 2) this.#arena.putIovec(run.iov + (run.iovCount + 1) * IOVEC_LEN, payloadAt, payloadLength);
    run.iovCount += pieces;
    run.datagrams++;
    run.total += whole;
    this.#runEnded = whole < run.length;
  }

  #fits(length: number, pieces: number): boolean {
    const run = this.#run;
    return (
      this.#peer === this.#runPeer &&
      !this.#runEnded &&
      length <= run.length &&
      pieces === run.iovPerDatagram &&
      this.#tos === run.tos &&
      run.datagrams < this.#bind.maxRun &&
      run.total + length <= RUN_BYTES
    );
  }

  #flush(): void {
    const run = this.#run;
    if (run.datagrams === 0) return;
    const lostBefore = this.#bind.lost;
    const done = this.#bind.send(run);
    const all = done === run.datagrams;
    this.#count(done, all ? run.total : done * run.length, this.#bind.lost - lostBefore);
    if (all) {
      this.blocked = false;
      run.datagrams = 0;
      return;
    }
    if (!this.blocked) this.#counters.add(COUNTER.tx_blocked, 1);
    this.blocked = true;
    run.iov += done * run.iovPerDatagram * IOVEC_LEN;
    run.iovCount -= done * run.iovPerDatagram;
    run.datagrams -= done;
    run.total -= done * run.length;
  }

  // Which datagrams of a run were lost is not known: all but the last have one length, which is taken for them.
  #count(done: number, bytes: number, lost: number): void {
    const packets = done - lost;
    const carried = packets === 0 ? 0 : bytes - lost * this.#run.length - packets * HEADROOM;
    this.#table.countTx(this.#runPeer, packets, carried);
    this.#counters.add(COUNTER.tx_packets, packets);
    this.#counters.add(COUNTER.tx_bytes, carried);
    if (lost > 0) this.#counters.add(COUNTER.tx_send_errors, lost);
  }

  // Sends what was kept, then the datagram in hand, then cuts the rest of its super-packet.
  #resume(): boolean {
    this.#flush();
    if (this.blocked) return false;
    if (this.#heldLength > 0) {
      const length = this.#heldLength;
      this.#heldLength = 0;
      this.#append(this.#heldAt, length, this.#heldPayloadAt, this.#heldPayloadLength);
      if (this.#cutting) this.#cut();
      if (!this.blocked) this.#flush();
    }
    return !this.blocked;
  }
}
