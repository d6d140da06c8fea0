// Ethernet header without a VLAN tag, IEEE 802.3 clause 3.1.1 (RFC 894, RFC 2464).
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                    Destination MAC address                    |
//   +                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                               |                               |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               +
//   |                      Source MAC address                       |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |           EtherType           |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

import { get16, get32, put16, put32 } from "./bytes.ts";

export const ETHERNET_HEADER_LEN = 14;
export const MAC_LEN = 6;

/** Where the addresses lie in the header. */
export const ETHERNET_DST_AT = 0;
export const ETHERNET_SRC_AT = 6;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;

const OFF_TYPE = 12;

/** Writes a header; `addresses` holds 12 bytes, the destination MAC and then the source MAC. HOT PATH. */
export function putEthernet(buf: Uint8Array, at: number, addresses: Uint8Array, etherType: number): void {
  put32(buf, at, get32(addresses, 0));
  put32(buf, at + 4, get32(addresses, 4));
  put32(buf, at + 8, get32(addresses, 8));
  put16(buf, at + OFF_TYPE, etherType);
}

/** HOT PATH. */
export function etherType(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_TYPE);
}
