// UDP header, RFC 768.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |          Source Port          |       Destination Port        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |            Length             |           Checksum            |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

import { get16, put16 } from "./bytes.ts";

export const UDP_HEADER_LEN = 8;

/** Where the checksum lies in the header: csum_offset of a virtio-net header. */
export const UDP_CHECKSUM_AT = 6;

const OFF_SRC_PORT = 0;
const OFF_DST_PORT = 2;
const OFF_LENGTH = 4;

export function udpSrcPort(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_SRC_PORT);
}

export function udpDstPort(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_DST_PORT);
}

/** Bytes of header and payload. */
export function udpLength(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_LENGTH);
}

export function putUdpLength(buf: Uint8Array, at: number, length: number): void {
  put16(buf, at + OFF_LENGTH, length);
}

/** Writes a header whose checksum is 0: none given (IPv4), or yet to be computed. */
export function putUdp(buf: Uint8Array, at: number, srcPort: number, dstPort: number, length: number): void {
  put16(buf, at + OFF_SRC_PORT, srcPort);
  put16(buf, at + OFF_DST_PORT, dstPort);
  put16(buf, at + OFF_LENGTH, length);
  put16(buf, at + UDP_CHECKSUM_AT, 0);
}
