// From the underlay to the pods: every datagram is checked before its inner packet is written to the TUN device. As
// strict as the kernel's receiver (vxlan_rcv in drivers/net/vxlan/vxlan_core.c), and beyond it as to who may send what:
// the outer source must be a peer, and the inner source must be one that this peer may send from. Whatever fails is
// dropped under a name in counters.ts. ForwardingTable says what is looked up.

import { ADDR_BITS, type Family } from "../../addr/family.ts";
import { get16le, sameBytes } from "../../packet/bytes.ts";
import { pseudoSum } from "../../packet/checksum.ts";
import {
  ETHERNET_DST_AT,
  ETHERNET_HEADER_LEN,
  ETHERNET_SRC_AT,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  MAC_LEN,
  etherType,
} from "../../packet/ethernet.ts";
import {
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipDstAt,
  ipHeaderLength,
  ipPacketLength,
  ipProtocol,
  ipSrcAt,
  ipTos,
  ipv4HeaderOk,
  ipv6UpperLayer,
  ipv6UpperProtocol,
  ipVersion,
  isFragment,
  putIpTos,
} from "../../packet/ip.ts";
import { TCP_CHECKSUM_AT, tcpHeaderLength } from "../../packet/tcp.ts";
import { UDP_CHECKSUM_AT, UDP_HEADER_LEN } from "../../packet/udp.ts";
import {
  putVnet,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_HDR_LEN,
  VNET_NEEDS_CSUM,
} from "../../packet/vnet.ts";
import { VXLAN_BAD_FLAGS, VXLAN_HEADER_LEN, vxlanVni } from "../../packet/vxlan.ts";
import { type Arena, IOVEC_LEN } from "../../sys/arena.ts";
import { EBADFD } from "../../sys/errors.ts";
import type { Device } from "../../tun/device.ts";
import type { Bind } from "../../underlay/bind.ts";
import { COUNTER, type Counters } from "./counters.ts";
import { type FamilyTable, type ForwardingTable, HEADROOM, IN_NETWORK, IN_OWN_SUBNET } from "./forwarding-table.ts";
import { isNotUnicast } from "./special-addr.ts";

const ECN_MASK = 0b11;
const ECN_NOT_ECT = 0b00;
const ECN_ECT1 = 0b01;
const ECN_ECT0 = 0b10;
const ECN_CE = 0b11;

const ACCEPTED = -1;

export class Receive {
  /** Errno of a device that is gone for good, else 0. */
  fault = 0;

  readonly #arena: Arena;
  readonly #device: Device;
  readonly #bind: Bind;
  readonly #table: ForwardingTable;
  readonly #counters: Counters;
  readonly #iovec: number;

  constructor(arena: Arena, device: Device, bind: Bind, table: ForwardingTable, counters: Counters) {
    this.#arena = arena;
    this.#device = device;
    this.#bind = bind;
    this.#table = table;
    this.#counters = counters;
    this.#iovec = arena.alloc(IOVEC_LEN, 16);
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
      if (part === 0) {
        this.#datagram(row, at, end);
        continue;
      }
      for (; at < end; at += part) this.#datagram(row, at, Math.min(end, at + part));
    }
    return rows;
  }

  #datagram(row: number, at: number, end: number): void {
    const verdict = this.#carry(row, at, end);
    if (verdict !== ACCEPTED) this.#counters.add(verdict, 1);
  }

  // Returns ACCEPTED, or the counter that the packet is dropped under.
  #carry(row: number, at: number, end: number): number {
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
    const verdict = this.#write(family, inner.mtu, ip, length);
    if (verdict !== ACCEPTED) return verdict;
    if (source !== ACCEPTED) this.#counters.add(source, 1);
    table.countRx(sender, 1, length);
    this.#counters.add(COUNTER.rx_packets, 1);
    this.#counters.add(COUNTER.rx_bytes, length);
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

  #write(family: Family, mtu: number, ip: number, length: number): number {
    const header = ip - VNET_HDR_LEN; // over the Ethernet header, which has been read
    if (!this.#putVnet(header, family, mtu, ip, length)) return COUNTER.rx_uncut_udp;
    this.#arena.putIovec(this.#iovec, header, VNET_HDR_LEN + length);
    const n = this.#device.write(this.#iovec, 1);
    if (n >= 0) return ACCEPTED;
    if (n === -EBADFD) this.fault = EBADFD;
    return COUNTER.tun_write_errors;
  }

  // The kernel's vxlan device on a veth or on this host hands over packets that no wire would carry: checksums that hold
  // only the pseudo-header's sum, and TCP super-packets larger than the MTU. Both are said to the TUN device, which
  // finishes them. A sum that is right as it stands equals the pseudo-header's by chance once in 65,536 times; the
  // kernel then computes the same sum again. Returns false for a UDP super-packet: where it has to be cut is lost.
  #putVnet(header: number, family: Family, mtu: number, ip: number, length: number): boolean {
    const { bytes } = this.#arena;
    const transport = family === 4 ? ip + ipHeaderLength(bytes, ip) : ipv6UpperLayer(bytes, ip, ip + length);
    const protocol = family === 4 ? ipProtocol(bytes, ip) : ipv6UpperProtocol(bytes, ip, ip + length);
    const ihl = transport - ip;
    const room = length - ihl;
    const tcp = protocol === IPPROTO_TCP ? tcpHeaderLength(bytes, transport, ip + length) : 0;
    if (tcp > 0 && !isFragment(bytes, ip)) {
      if (get16le(bytes, transport + TCP_CHECKSUM_AT) === pseudoSum(bytes, ip, family, protocol, room)) {
        const size = mtu - ihl - tcp;
        const cut = length > mtu && size > 0;
        const type = !cut ? VNET_GSO_NONE : family === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
        putVnet(bytes, header, VNET_NEEDS_CSUM, type, ihl + tcp, cut ? size : 0, ihl, TCP_CHECKSUM_AT);
        return true;
      }
    } else if (protocol === IPPROTO_UDP && room >= UDP_HEADER_LEN && !isFragment(bytes, ip)) {
      const checksum = get16le(bytes, transport + UDP_CHECKSUM_AT);
      if (checksum !== 0 && checksum === pseudoSum(bytes, ip, family, protocol, room)) {
        if (length > mtu) return false;
        putVnet(bytes, header, VNET_NEEDS_CSUM, VNET_GSO_NONE, ihl + UDP_HEADER_LEN, 0, ihl, UDP_CHECKSUM_AT);
        return true;
      }
    }
    putVnet(bytes, header, 0, VNET_GSO_NONE, 0, 0, 0, 0);
    return true;
  }
}
