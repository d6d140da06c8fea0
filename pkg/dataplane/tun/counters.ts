import type { Arena } from "../../sys/arena.ts";

/**
 * What the packet loop counts. A packet is either carried (tx_packets, rx_packets) or dropped under exactly one of the
 * other names, but for those marked "also". tx is from the pods to the underlay, rx the other way.
 */
export const COUNTERS = [
  "tx_packets",
  "tx_bytes", // inner bytes, without VXLAN and what is around it
  "tx_not_ip", // neither IPv4 nor IPv6
  "tx_no_route", // no peer holds the destination
  "tx_bad_gso", // a super-packet that we did not ask for and cannot cut
  "tx_send_errors", // the kernel refused the datagram for good: no route to the peer, a firewall
  "tx_blocked", // also: how often the socket was full and the TUN queue had to wait
  "rx_packets",
  "rx_bytes",
  "rx_merged", // also: packets that went to the device as part of a super-packet
  "rx_short",
  "rx_bad_flags", // a bit of the VXLAN header is set that must not be, as vxlan_rcv() drops it
  "rx_bad_vni",
  "rx_unknown_peer", // the outer source is no peer's PublicIP
  "rx_bad_mac", // not addressed to our VTEP, or claiming to come from it
  "rx_not_ip",
  "rx_bad_ip", // header malformed, longer than what came, or with a wrong checksum
  "rx_spoofed_source", // inner source in the pod network but not in the sender's subnet, or one of our own addresses
  "rx_martian", // inner source that no packet may have
  "rx_bad_destination", // inner destination that is not unicast, or in somebody else's subnet
  "rx_foreign_source", // inner source outside the pod network, with --verify-sender=strict
  "rx_foreign_accepted", // also: the same, let in without strict
  "rx_ecn", // congestion was marked on the underlay but the inner packet cannot carry the mark (RFC 6040)
  "rx_uncut_udp", // a UDP super-packet of a kernel peer whose datagram length is lost
  "rx_recv_errors", // also
  "tun_read_errors", // also
  "tun_write_errors", // the kernel refused the packet: device down, no memory
  "offload_steps_down", // also: offloads that the kernel came to refuse
  "loop_turns", // also: rises at least once a second while the loop lives
] as const;

export type CounterName = (typeof COUNTERS)[number];

/** Index of each counter. */
export const COUNTER = Object.fromEntries(COUNTERS.map((name, i) => [name, i])) as Readonly<
  Record<CounterName, number>
>;

/**
 * Counters in the arena: written by the packet loop alone, read by the control thread at any time. A double holds whole
 * numbers up to 2^53, and an aligned 8-byte store is seen whole by other threads on the machines we run on.
 */
export class Counters {
  readonly #f64: Float64Array;
  readonly #first: number;

  constructor(arena: Arena) {
    this.#f64 = arena.f64;
    this.#first = arena.alloc(COUNTERS.length * 8) / 8;
  }

  /** HOT PATH */
  add(counter: number, n: number): void {
    const i = this.#first + counter;
    this.#f64[i] = (this.#f64[i] as number) + n;
  }

  value(counter: number): number {
    return this.#f64[this.#first + counter] as number;
  }

  snapshot(): Record<string, bigint> {
    return Object.fromEntries(COUNTERS.map((name, i) => [name, BigInt(this.value(i))]));
  }
}
