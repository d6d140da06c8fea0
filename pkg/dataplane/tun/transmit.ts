// From the pods to the underlay: what the kernel routed to the TUN device gets VXLAN and Ethernet headers in the room in
// front of it and leaves in runs, as many datagrams of one length to one peer as come in a row.
//
// One packet in the arena; nothing is ever moved:
//
//    0               8                        22
//   +---------------+------------------------+-------------------------//--+
//   | VXLAN (8)     | inner Ethernet (14)    | inner IP packet             |
//   +---------------+-------+----------------+-------------------------//--+
//                           | virtio_net_hdr |  The TUN read begins at 12; its
//                           12           (10)   header is used up, then written over.

import type { Family } from "../../addr/family.ts";
import { ipDstAt, ipPacketLength, ipTos, ipVersion } from "../../packet/ip.ts";
import { VNET_GSO_NONE, VNET_HDR_LEN, vnetGsoType } from "../../packet/vnet.ts";
import { type Arena, IOVEC_LEN } from "../../sys/arena.ts";
import { EBADFD } from "../../sys/errors.ts";
import type { Device } from "../../tun/device.ts";
import type { Bind, TxRun } from "../../underlay/bind.ts";
import { COUNTER, type Counters } from "./counters.ts";
import { type ForwardingTable, HEADROOM } from "./forwarding-table.ts";

const READS_PER_TURN = 64;
const READ_ROOM = VNET_HDR_LEN + 65536;
const ARENA_LEN = 512 * 1024;

// The kernel cuts a run into datagrams from one buffer of at most 64 KB (net/ipv4/udp.c, udp_send_skb).
const RUN_BYTES = 65000;

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
  readonly #packets: number;
  readonly #iovecs: number;
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
  #runSlot = -1;
  #runEnded = false; // the last datagram was shorter: nothing may follow it
  // A packet that was read but could not join the run because the socket was full.
  #heldAt = 0;
  #heldLength = 0;
  #heldSlot = -1;
  #heldFamily: Family = 4;
  #heldTos = 0;

  constructor(arena: Arena, device: Device, bind: Bind, table: ForwardingTable, counters: Counters) {
    this.#arena = arena;
    this.#device = device;
    this.#bind = bind;
    this.#table = table;
    this.#counters = counters;
    this.#packets = arena.alloc(ARENA_LEN);
    this.#iovecs = arena.alloc(bind.maxRun * IOVEC_LEN, 16);
  }

  /** Carries what waits on the device, within bounds. Returns how many packets were read. HOT PATH. */
  turn(): number {
    if (this.blocked && !this.#resume()) return 0;
    const end = this.#packets + ARENA_LEN - READ_ROOM;
    let at = this.#packets;
    let reads = 0;
    while (reads < READS_PER_TURN && at <= end) {
      // The IP header is put at a multiple of 4, which makes the place of the headers before it even.
      const ip = (at + HEADROOM + 3) & ~3;
      const n = this.#device.read(ip - VNET_HDR_LEN, READ_ROOM);
      if (n <= 0) {
        if (n < 0) this.#readFailed(-n);
        break;
      }
      reads++;
      at = ip + n;
      this.#packet(ip, ip - VNET_HDR_LEN + n);
      if (this.blocked) return reads;
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
    const length = ipPacketLength(bytes, ip, end);
    if (length === 0) return this.#counters.add(COUNTER.tx_not_ip, 1);
    if (vnetGsoType(bytes, ip - VNET_HDR_LEN) !== VNET_GSO_NONE) return this.#counters.add(COUNTER.tx_bad_gso, 1);
    const family = ipVersion(bytes, ip) as Family;
    const table = this.#table.family[family];
    const slot = table ? table.routes.lookup(bytes, ip + ipDstAt(family)) : -1;
    if (slot < 0) return this.#counters.add(COUNTER.tx_no_route, 1);
    const tos = ipTos(bytes, ip) & ECN_MASK; // RFC 6040 section 4.1: the inner ECN field is copied out
    const at = ip - HEADROOM;
    this.#table.putHeaders(slot, at);
    this.#append(family, slot, at, HEADROOM + length, tos);
  }

  #append(family: Family, slot: number, at: number, length: number, tos: number): void {
    const run = this.#run;
    if (run.datagrams > 0 && !this.#fits(slot, length, tos)) {
      this.#flush();
      if (this.blocked) {
        this.#heldAt = at;
        this.#heldLength = length;
        this.#heldSlot = slot;
        this.#heldFamily = family;
        this.#heldTos = tos;
        return;
      }
    }
    if (run.datagrams === 0) {
      run.family = family;
      run.to = this.#table.sockaddr(slot);
      run.iov = this.#iovecs;
      run.iovCount = 0;
      run.length = length;
      run.total = 0;
      run.tos = tos;
      this.#runSlot = slot;
      this.#runEnded = false;
    }
    this.#arena.putIovec(run.iov + run.iovCount * IOVEC_LEN, at, length);
    run.iovCount++;
    run.datagrams++;
    run.total += length;
    this.#runEnded = length < run.length;
  }

  #fits(slot: number, length: number, tos: number): boolean {
    const run = this.#run;
    return (
      slot === this.#runSlot &&
      !this.#runEnded &&
      length <= run.length &&
      tos === run.tos &&
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
    this.#table.countTx(this.#runSlot, packets, carried);
    this.#counters.add(COUNTER.tx_packets, packets);
    this.#counters.add(COUNTER.tx_bytes, carried);
    if (lost > 0) this.#counters.add(COUNTER.tx_send_errors, lost);
  }

  #resume(): boolean {
    this.#flush();
    if (this.blocked) return false;
    if (this.#heldSlot >= 0) {
      const slot = this.#heldSlot;
      this.#heldSlot = -1;
      this.#append(this.#heldFamily, slot, this.#heldAt, this.#heldLength, this.#heldTos);
      this.#flush();
    }
    return !this.blocked;
  }
}
