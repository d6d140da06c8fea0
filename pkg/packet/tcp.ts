// TCP header, RFC 9293 section 3.1; ECE and CWR: RFC 3168 section 6.1.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |          Source Port          |       Destination Port        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                        Sequence Number                        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                    Acknowledgment Number                      |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  Data |       |C|E|U|A|P|R|S|F|                               |
//   | Offset| Rsrvd |W|C|R|C|S|S|Y|I|            Window             |
//   |       |       |R|E|G|K|H|T|N|N|                               |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |           Checksum            |         Urgent Pointer        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                           Options ...                         |

import { get16, get32, get8, put32, put8 } from "./bytes.ts";

/** Without options. */
export const TCP_HEADER_LEN = 20;

/** Where the checksum lies in the header: csum_offset of a virtio-net header. */
export const TCP_CHECKSUM_AT = 16;
export const TCP_OPTIONS_AT = 20;

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

const OFF_SRC_PORT = 0;
const OFF_DST_PORT = 2;
const OFF_SEQ = 4;
const OFF_ACK = 8;
const OFF_DATA_OFFSET = 12;
const OFF_FLAGS = 13;
const OFF_WINDOW = 14;

export function tcpSrcPort(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_SRC_PORT);
}

export function tcpDstPort(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_DST_PORT);
}

export function tcpSeq(buf: Uint8Array, at: number): number {
  return get32(buf, at + OFF_SEQ);
}

export function putTcpSeq(buf: Uint8Array, at: number, seq: number): void {
  put32(buf, at + OFF_SEQ, seq);
}

export function tcpAck(buf: Uint8Array, at: number): number {
  return get32(buf, at + OFF_ACK);
}

export function tcpFlags(buf: Uint8Array, at: number): number {
  return get8(buf, at + OFF_FLAGS);
}

export function putTcpFlags(buf: Uint8Array, at: number, flags: number): void {
  put8(buf, at + OFF_FLAGS, flags);
}

export function tcpWindow(buf: Uint8Array, at: number): number {
  return get16(buf, at + OFF_WINDOW);
}

/** Bytes of the header with its options, or 0 when it is malformed or does not lie wholly before `end`. HOT PATH. */
export function tcpHeaderLength(buf: Uint8Array, at: number, end: number): number {
  if (end - at < TCP_HEADER_LEN) return 0;
  const length = (get8(buf, at + OFF_DATA_OFFSET) >>> 4) * 4;
  return length >= TCP_HEADER_LEN && length <= end - at ? length : 0;
}
