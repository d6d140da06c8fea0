// VXLAN header, RFC 7348 section 5.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |R|R|R|R|I|R|R|R|                   Reserved                    |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |        VXLAN Network Identifier (VNI)         |   Reserved    |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

import { get32, put32 } from "./bytes.ts";
import { ETHERNET_HEADER_LEN } from "./ethernet.ts";
import { IPV4_HEADER_LEN, IPV6_HEADER_LEN } from "./ip.ts";
import { UDP_HEADER_LEN } from "./udp.ts";

export const VXLAN_HEADER_LEN = 8;
export const VXLAN_PORT = 4789; // IANA
export const VXLAN_PORT_LINUX = 8472; // what the Linux driver used before there was an assignment; flannel's default

const OFF_FLAGS = 0;
const OFF_VNI = 4;

const FLAG_VNI = 0x0800_0000; // I: the VNI is valid
const VNI_RESERVED = 0xff;

// What VXLAN adds to an inner IP packet: outer IP, UDP, VXLAN, inner Ethernet.
const OVERHEAD_ABOVE_IP = UDP_HEADER_LEN + VXLAN_HEADER_LEN + ETHERNET_HEADER_LEN;

/** By the underlay's address family: how much smaller the overlay's MTU is than the underlay's, in bytes. */
export const VXLAN_OVERHEAD = {
  4: IPV4_HEADER_LEN + OVERHEAD_ABOVE_IP, // 50
  6: IPV6_HEADER_LEN + OVERHEAD_ABOVE_IP, // 70
} as const;

/** Writes a header. HOT PATH. */
export function putVxlan(buf: Uint8Array, at: number, vni: number): void {
  put32(buf, at + OFF_FLAGS, FLAG_VNI);
  put32(buf, at + OFF_VNI, vni << 8);
}

/** `vxlanVni` of fewer bytes than a header. */
export const VXLAN_SHORT = -1;
/** `vxlanVni` of a header whose flags are not exactly the I flag, or whose reserved bits are not all zero. */
export const VXLAN_BAD_FLAGS = -2;

/**
 * The VNI, or VXLAN_SHORT or VXLAN_BAD_FLAGS. HOT PATH.
 *
 * RFC 7348 section 5 would ignore the reserved bits on receipt. Linux drops the packet (vxlan_rcv in
 * drivers/net/vxlan/vxlan_core.c), so that an extension this end does not speak (GBP, GPE, remote checksum offload) is
 * never taken for plain VXLAN; a cluster that mixes planes needs one rule, and it is the kernel's.
 */
export function vxlanVni(buf: Uint8Array, at: number, end: number): number {
  if (end - at < VXLAN_HEADER_LEN) return VXLAN_SHORT;
  const vni = get32(buf, at + OFF_VNI);
  if (get32(buf, at + OFF_FLAGS) !== FLAG_VNI || (vni & VNI_RESERVED) !== 0) return VXLAN_BAD_FLAGS;
  return vni >>> 8;
}
