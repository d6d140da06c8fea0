// Accepted inner packets on their way to the pods: written to the TUN device and counted. Delivery writes them one by
// one, Coalesce (coalesce.ts) several of a flow at once.

import type { Family } from "../../addr/family.ts";
import { get16le } from "../../packet/bytes.ts";
import { pseudoSum } from "../../packet/checksum.ts";
import {
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipHeaderLength,
  ipProtocol,
  ipv6UpperLayer,
  ipv6UpperProtocol,
  isFragment,
} from "../../packet/ip.ts";
import { TCP_CHECKSUM_AT, tcpHeaderLength } from "../../packet/tcp.ts";
import { UDP_CHECKSUM_AT, UDP_HEADER_LEN } from "../../packet/udp.ts";
import {
  putVnet,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP_L4,
  VNET_HDR_LEN,
  VNET_NEEDS_CSUM,
} from "../../packet/vnet.ts";
import { type Arena, IOVEC_LEN } from "../../sys/arena.ts";
import { EBADFD } from "../../sys/errors.ts";
import type { Device } from "../../tun/device.ts";
import { COUNTER, type Counters } from "./counters.ts";
import type { ForwardingTable } from "./forwarding-table.ts";

// Where TCP super-packets are cut whose segments' length is lost: every link carries as much (RFC 8200 section 5). Cut
// larger than the pods' links, they would all be sent back as too big, and the sender, whose segments were smaller all the
// time, would never find out.
const TCP_CUT = 1280;

export class Delivery {
  /** Errno of a device that is gone for good, else 0. */
  fault = 0;

  readonly #arena: Arena;
  readonly #device: Device;
  readonly #table: ForwardingTable;
  readonly #counters: Counters;
  readonly #iovec: number;

  constructor(arena: Arena, device: Device, table: ForwardingTable, counters: Counters) {
    this.#arena = arena;
    this.#device = device;
    this.#table = table;
    this.#counters = counters;
    this.#iovec = arena.alloc(IOVEC_LEN, 16);
  }

  /**
   * Writes the packet of `length` bytes at `ip`, over whose last VNET_HDR_LEN bytes in front a virtio-net header is put.
   * `sender` is the slot of the peer it came from, `foreign` whether its source is none of the pod network's. `cut` is the
   * payload of each datagram in a UDP super-packet, where the socket gave it, else 0. HOT PATH.
   */
  single(sender: number, foreign: boolean, family: Family, ip: number, length: number, cut: number): void {
    const header = ip - VNET_HDR_LEN; // over the Ethernet header, which has been read
    if (!this.#putVnet(header, family, ip, length, cut)) return this.#counters.add(COUNTER.rx_uncut_udp, 1);
    this.#arena.putIovec(this.#iovec, header, VNET_HDR_LEN + length);
    const n = this.write(this.#iovec, 1);
    if (n < 0) return this.#counters.add(COUNTER.tun_write_errors, 1);
    this.count(sender, foreign, 1, length);
  }

  /** Writes what the iovecs hold and looks after a device that is gone; counts nothing. As Device.write. HOT PATH. */
  write(iov: number, count: number): number {
    const n = this.#device.write(iov, count);
    if (n === -EBADFD) this.fault = EBADFD;
    return n;
  }

  /** Counts packets of one sender that were written. HOT PATH. */
  count(sender: number, foreign: boolean, packets: number, length: number): void {
    if (foreign) this.#counters.add(COUNTER.rx_foreign_accepted, packets);
    this.#table.countRx(sender, packets, length);
    this.#counters.add(COUNTER.rx_packets, packets);
    this.#counters.add(COUNTER.rx_bytes, length);
  }

  // The kernel's vxlan device on a veth or on this host hands over packets that no wire would carry: checksums that hold
  // only the pseudo-header's sum, and TCP and UDP super-packets. This is said to the TUN device, which finishes them. TCP
  // may be cut anywhere. A sum that is right as it stands equals the pseudo-header's by chance once
  // in 65,536 times; the kernel then computes the same sum again. Returns false for a UDP super-packet of which it is not
  // known where to cut it.
  #putVnet(header: number, family: Family, ip: number, length: number, cut: number): boolean {
    const { bytes } = this.#arena;
    const transport = family === 4 ? ip + ipHeaderLength(bytes, ip) : ipv6UpperLayer(bytes, ip, ip + length);
    const protocol = family === 4 ? ipProtocol(bytes, ip) : ipv6UpperProtocol(bytes, ip, ip + length);
    const ihl = transport - ip;
    const room = length - ihl;
    const tcp = protocol === IPPROTO_TCP ? tcpHeaderLength(bytes, transport, ip + length) : 0;
    if (tcp > 0 && !isFragment(bytes, ip)) {
      if (get16le(bytes, transport + TCP_CHECKSUM_AT) === pseudoSum(bytes, ip, family, protocol, room)) {
        const { podMtu } = this.#table;
        const size = Math.min(TCP_CUT, podMtu) - ihl - tcp;
        const large = length > podMtu && size > 0;
        const type = !large ? VNET_GSO_NONE : family === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
        putVnet(bytes, header, VNET_NEEDS_CSUM, type, ihl + tcp, large ? size : 0, ihl, TCP_CHECKSUM_AT);
        return true;
      }
    } else if (protocol === IPPROTO_UDP && room >= UDP_HEADER_LEN && !isFragment(bytes, ip)) {
      const checksum = get16le(bytes, transport + UDP_CHECKSUM_AT);
      if (checksum !== 0 && checksum === pseudoSum(bytes, ip, family, protocol, room)) {
        const mtu = this.#table.family[family]?.mtu ?? 0xffff;
        if (length > mtu && cut === 0) return false;
        const type = cut === 0 ? VNET_GSO_NONE : VNET_GSO_UDP_L4;
        putVnet(bytes, header, VNET_NEEDS_CSUM, type, ihl + UDP_HEADER_LEN, cut, ihl, UDP_CHECKSUM_AT);
        return true;
      }
    }
    if (cut > 0) return false; // no kernel leaves one uncut and yet finishes its checksum
    putVnet(bytes, header, 0, VNET_GSO_NONE, 0, 0, 0, 0);
    return true;
  }
}
