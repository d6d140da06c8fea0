import { addrBytes } from "../pkg/addr/addr.ts";
import { put16, put16le, put8 } from "../pkg/packet/bytes.ts";
import { finish, finishUdp, pseudoSum, sumWords } from "../pkg/packet/checksum.ts";
import {
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4_HEADER_LEN,
  IPV6_HEADER_LEN,
  putIpTos,
  putIpv4,
  putIpv6,
} from "../pkg/packet/ip.ts";
import { addr } from "./literals.ts";

export interface Inner {
  readonly src: string;
  readonly dst: string;
  readonly payload: Uint8Array;
  readonly tos?: number;
  /** Leave the transport checksum as the kernel does for its own devices: the pseudo-header's sum alone. */
  readonly partial?: boolean;
}

/** An IP packet with one UDP datagram from port 4000 to 5000, every checksum right. */
export function udpPacket(inner: Inner): Uint8Array {
  const udp = new Uint8Array(8 + inner.payload.length);
  put16(udp, 0, 4000);
  put16(udp, 2, 5000);
  put16(udp, 4, udp.length);
  udp.set(inner.payload, 8);
  return ipPacket(inner, IPPROTO_UDP, udp, 6);
}

/** An IP packet with one TCP segment from port 4000 to 5000, every checksum right. */
export function tcpPacket(inner: Inner): Uint8Array {
  const tcp = new Uint8Array(20 + inner.payload.length);
  put16(tcp, 0, 4000);
  put16(tcp, 2, 5000);
  put8(tcp, 12, 0x50);
  put8(tcp, 13, 0x10);
  put16(tcp, 14, 512);
  tcp.set(inner.payload, 20);
  return ipPacket(inner, IPPROTO_TCP, tcp, 16);
}

function ipPacket(inner: Inner, protocol: number, transport: Uint8Array, checksumAt: number): Uint8Array {
  const src = addr(inner.src);
  const dst = addr(inner.dst);
  const ihl = src.family === 4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
  const packet = new Uint8Array(ihl + transport.length);
  if (src.family === 4) {
    putIpv4(packet, 0, 0, packet.length, 7, 0x4000, 63, protocol, Number(src.value), Number(dst.value));
  } else {
    putIpv6(packet, 0, 0, transport.length, protocol, 63, addrBytes(src), 0, addrBytes(dst), 0);
  }
  if (inner.tos !== undefined) putIpTos(packet, 0, inner.tos);
  packet.set(transport, ihl);
  const pseudo = pseudoSum(packet, 0, src.family, protocol, transport.length);
  const whole = sumWords(packet, ihl, packet.length, pseudo);
  const complete = protocol === IPPROTO_UDP ? finishUdp(whole) : finish(whole);
  put16le(packet, ihl + checksumAt, inner.partial ? pseudo : complete);
  return packet;
}

/** `length` bytes that differ from place to place. */
export function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
}
