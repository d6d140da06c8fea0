// struct virtio_net_hdr, which the kernel puts in front of every packet of a TUN device with IFF_VNET_HDR.
// include/uapi/linux/virtio_net.h; Virtual I/O Device 1.2, section 5.1.6.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     flags     |   gso_type    |            hdr_len            |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |           gso_size            |          csum_start           |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |          csum_offset          |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// The 16-bit fields are in the host's byte order (tun_is_little_endian in drivers/net/tun.c): little endian on every
// machine that Node.js is published for except s390x, where TUNSETVNETLE would have to be set.

import { get16le, get8, put16le, put8 } from "./bytes.ts";

export const VNET_HDR_LEN = 10;

/** Flags. */
export const VNET_NEEDS_CSUM = 1; // the checksum at csum_start + csum_offset holds only the pseudo-header's sum
export const VNET_DATA_VALID = 2; // the checksum is known to be right, or need not be looked at

/** GSO types: how the kernel is to cut, or would have cut, the packet. */
export const VNET_GSO_NONE = 0;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_UDP = 3; // IPv4 fragments (UFO), which no current kernel produces
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_UDP_L4 = 5; // UDP datagrams of equal length (USO)
export const VNET_GSO_ECN = 0x80; // with a TCP type: the CWR flag is set, on the first segment only

const OFF_FLAGS = 0;
const OFF_GSO_TYPE = 1;
const OFF_HDR_LEN = 2;
const OFF_GSO_SIZE = 4;
const OFF_CSUM_START = 6;
const OFF_CSUM_OFFSET = 8;

/**
 * Writes a header. HOT PATH.
 *
 * @param hdrLen bytes of IP and transport headers, which every segment repeats
 * @param gsoSize payload bytes of each segment but the last
 * @param csumStart where the checksummed bytes begin, counted from the IP header
 * @param csumOffset where the checksum field lies, counted from csumStart
 */
export function putVnet(
  buf: Uint8Array,
  at: number,
  flags: number,
  gsoType: number,
  hdrLen: number,
  gsoSize: number,
  csumStart: number,
  csumOffset: number,
): void {
  put8(buf, at + OFF_FLAGS, flags);
  put8(buf, at + OFF_GSO_TYPE, gsoType);
  put16le(buf, at + OFF_HDR_LEN, hdrLen);
  put16le(buf, at + OFF_GSO_SIZE, gsoSize);
  put16le(buf, at + OFF_CSUM_START, csumStart);
  put16le(buf, at + OFF_CSUM_OFFSET, csumOffset);
}

export function vnetFlags(buf: Uint8Array, at: number): number {
  return get8(buf, at + OFF_FLAGS);
}

export function vnetGsoType(buf: Uint8Array, at: number): number {
  return get8(buf, at + OFF_GSO_TYPE);
}

export function vnetHdrLen(buf: Uint8Array, at: number): number {
  return get16le(buf, at + OFF_HDR_LEN);
}

export function vnetGsoSize(buf: Uint8Array, at: number): number {
  return get16le(buf, at + OFF_GSO_SIZE);
}

export function vnetCsumStart(buf: Uint8Array, at: number): number {
  return get16le(buf, at + OFF_CSUM_START);
}

export function vnetCsumOffset(buf: Uint8Array, at: number): number {
  return get16le(buf, at + OFF_CSUM_OFFSET);
}
