// From the underlay to the pods: every datagram is checked before its inner packet is written to the TUN device. As
// strict as the kernel's receiver (vxlan_rcv in drivers/net/vxlan/vxlan_core.c), and beyond it as to who may send what:
// the outer source must be a peer, and the inner source must be one that this peer may send from. Whatever fails is
// dropped under a name in counters.ts. ForwardingTable says what is looked up.

import { ADDR_BITS, type Family } from "../../addr/family.ts";
import { sameBytes } from "../../packet/bytes.ts";
import {
  ETHERNET_DST_AT,
  ETHERNET_HEADER_LEN,
  ETHERNET_SRC_AT,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  MAC_LEN,
  etherType,
} from "../../packet/ethernet.ts";
import { ipDstAt, ipPacketLength, ipSrcAt, ipTos, ipv4HeaderOk, ipVersion, putIpTos } from "../../packet/ip.ts";
import { VXLAN_BAD_FLAGS, VXLAN_HEADER_LEN, vxlanVni } from "../../packet/vxlan.ts";
import type { Arena } from "../../sys/arena.ts";
import type { Device } from "../../tun/device.ts";
import type { Bind } from "../../underlay/bind.ts";
import { Coalesce } from "./coalesce.ts";
import { COUNTER, type Counters } from "./counters.ts";
import { Delivery } from "./delivery.ts";
import { type FamilyTable, type ForwardingTable, HEADROOM, IN_NETWORK, IN_OWN_SUBNET } from "./forwarding-table.ts";
import { isNotUnicast } from "./special-addr.ts";

const ECN_MASK = 0b11;
const ECN_NOT_ECT = 0b00;
const ECN_ECT1 = 0b01;
const ECN_ECT0 = 0b10;
const ECN_CE = 0b11;

const ACCEPTED = -1;

export class Receive {
  readonly #arena: Arena;
  readonly #bind: Bind;
  readonly #table: ForwardingTable;
  readonly #counters: Counters;
  readonly #delivery: Delivery;
  readonly #coalesce: Coalesce | undefined;

  /** With `merge`, packets that follow each other in one flow go to the device as super-packets: see Coalesce. */
  constructor(
    arena: Arena,
    device: Device,
    bind: Bind,
    table: ForwardingTable,
    counters: Counters,
    options: { readonly merge: boolean } = { merge: false },
  ) {
    this.#arena = arena;
    this.#bind = bind;
    this.#table = table;
    this.#counters = counters;
    this.#delivery = new Delivery(arena, device, table, counters);
    this.#coalesce = options.merge ? new Coalesce(arena, this.#delivery, table, counters) : undefined;
  }

  /** Errno of a device that is gone for good, else 0. */
  get fault(): number {
    return this.#delivery.fault;
  }

  /** Calls `tell`, at most twice in all, when the kernel refuses super-packets and some kind is no longer merged. */
  onStepDown(tell: (what: string) => void): void {
    if (this.#coalesce) this.#coalesce.onStepDown = tell;
  }

  /** Carries one batch of datagrams. Returns how many came. HOT PATH. */
  turn(): number {
    const { rx } = this.#bind;
    const rows = this.#bind.recv();
    if (rows < 0) {
      this.#counters.add(COUNTER.rx_recv_errors, 1);
      return 0;
    }
    for (let row = 0; row < rows; row++) {
      let at = rx.at[row] as number;
      const end = at + (rx.length[row] as number);
      const part = rx.partLength[row] as number;
      if (part === 0 || this.#isWhole(at, end, part)) {
        this.#datagram(row, at, end, part);
        continue;
      }
      for (; at < end; at += part) this.#datagram(row, at, Math.min(end, at + part), 0);
    }
    this.#coalesce?.flush();
    return rows;
  }

  // A UDP super-packet that the kernel's vxlan device on a veth or on this host left uncut is one datagram, and comes with
  // a part length nevertheless: that of the pod's datagrams in it (net/ipv4/udp.c, udp_cmsg_recv). An inner packet that is
  // longer than a part and ends with the row is no part.
  #isWhole(at: number, end: number, part: number): boolean {
    const length = ipPacketLength(this.#arena.bytes, at + HEADROOM, end);
    return HEADROOM + length > part && at + HEADROOM + length === end;
  }

  #datagram(row: number, at: number, end: number, cut: number): void {
    const verdict = this.#carry(row, at, end, cut);
    if (verdict !== ACCEPTED) this.#counters.add(verdict, 1);
  }

  // `cut` is where a UDP super-packet is to be cut, else 0. Returns ACCEPTED when the packet is the device's now, or the counter that it is dropped under.
  #carry(row: number, at: number, end: number, cut: number): number {
    const { bytes } = this.#arena;
    const table = this.#table;
    const { rx } = this.#bind;
    if (end - at < HEADROOM) return COUNTER.rx_short;
    const vni = vxlanVni(bytes, at, end);
    if (vni === VXLAN_BAD_FLAGS) return COUNTER.rx_bad_flags;
    if (vni !== table.vni) return COUNTER.rx_bad_vni;

    const outer = table.family[rx.family[row] as Family];
    const from = rx.from[row] as number;
    const sender = outer ? outer.senders.lookup(bytes, from) : -1;
    if (!outer || sender < 0) return COUNTER.rx_unknown_peer;

    const ethernet = at + VXLAN_HEADER_LEN;
    if (!sameBytes(bytes, ethernet + ETHERNET_DST_AT, outer.mac, 0, MAC_LEN)) return COUNTER.rx_bad_mac;
    if (sameBytes(bytes, ethernet + ETHERNET_SRC_AT, outer.mac, 0, MAC_LEN)) return COUNTER.rx_bad_mac;

    const type = etherType(bytes, ethernet);
    const family: Family = type === ETHERTYPE_IPV6 ? 6 : 4;
    const inner = table.family[family];
    if ((type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) || !inner) return COUNTER.rx_not_ip;
    const ip = ethernet + ETHERNET_HEADER_LEN;
    const length = ipPacketLength(bytes, ip, end);
    if (length === 0 || ipVersion(bytes, ip) !== family || !ipv4HeaderOk(bytes, ip)) return COUNTER.rx_bad_ip;

    const source = this.#checkSource(inner, family, ip, sender, from, rx.family[row] as Family);
    if (source !== ACCEPTED && source !== COUNTER.rx_foreign_accepted) return source;
    const destination = ip + ipDstAt(family);
    if (isNotUnicast(bytes, destination, family)) return COUNTER.rx_bad_destination;
    // In the pod network but not ours: the kernel would send it out again, to and fro until its TTL is used up.
    if (inner.network.lookup(bytes, destination) === IN_NETWORK) return COUNTER.rx_bad_destination;
    if (inner.routes.lookup(bytes, destination) >= 0) return COUNTER.rx_bad_destination;

    const ecn = this.#mergeEcn(ip, rx.tos[row] as number);
    if (ecn !== ACCEPTED) return ecn;
    const foreign = source !== ACCEPTED;
    if (this.#coalesce) this.#coalesce.add(sender, foreign, family, ip, length, cut);
    else this.#delivery.single(sender, foreign, family, ip, length, cut);
    return ACCEPTED;
  }

  #checkSource(
    inner: FamilyTable,
    family: Family,
    ip: number,
    sender: number,
    from: number,
    outerFamily: Family,
  ): number {
    const { bytes } = this.#arena;
    const source = ip + ipSrcAt(family);
    const slot = inner.routes.lookup(bytes, source);
    if (slot >= 0) return this.#table.senderOf[slot] === sender ? ACCEPTED : COUNTER.rx_spoofed_source;
    const where = inner.network.lookup(bytes, source);
    if (where === IN_OWN_SUBNET || where === IN_NETWORK) return COUNTER.rx_spoofed_source;
    if (inner.own.lookup(bytes, source) >= 0) return COUNTER.rx_spoofed_source;
    if (isNotUnicast(bytes, source, family)) return COUNTER.rx_martian;
    if (family === outerFamily && sameBytes(bytes, source, bytes, from, ADDR_BITS[family] / 8)) return ACCEPTED;
    return this.#table.strict ? COUNTER.rx_foreign_source : COUNTER.rx_foreign_accepted;
  }

  // RFC 6040 section 4.2, figure 4: what the underlay marked on the outer header goes over to the inner one.
  #mergeEcn(ip: number, outerTos: number): number {
    const { bytes } = this.#arena;
    const outer = outerTos & ECN_MASK;
    if (outer !== ECN_CE && outer !== ECN_ECT1) return ACCEPTED;
    const tos = ipTos(bytes, ip);
    const inner = tos & ECN_MASK;
    if (outer === ECN_CE) {
      if (inner === ECN_NOT_ECT) return COUNTER.rx_ecn;
      if (inner !== ECN_CE) putIpTos(bytes, ip, tos | ECN_CE);
    } else if (inner === ECN_ECT0) {
      putIpTos(bytes, ip, (tos & ~ECN_MASK) | ECN_ECT1);
    }
    return ACCEPTED;
  }
}
