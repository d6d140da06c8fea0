import { formatAddr } from "../../pkg/addr/addr.ts";
import { macFromBytes } from "../../pkg/addr/mac.ts";
import { get16le } from "../../pkg/packet/bytes.ts";
import { fold, pseudoSum, transportChecksumOk } from "../../pkg/packet/checksum.ts";
import { ETHERNET_HEADER_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, etherType } from "../../pkg/packet/ethernet.ts";
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipAddrLength,
  ipDstAt,
  ipHeaderLength,
  ipPacketLength,
  ipProtocol,
  ipSrcAt,
  ipTtl,
  ipv4HeaderOk,
  ipVersion,
} from "../../pkg/packet/ip.ts";
import { TCP_CHECKSUM_AT } from "../../pkg/packet/tcp.ts";
import { UDP_CHECKSUM_AT, UDP_HEADER_LEN, udpDstPort, udpLength } from "../../pkg/packet/udp.ts";
import { VXLAN_HEADER_LEN, vxlanVni } from "../../pkg/packet/vxlan.ts";

const PROTOCOLS: Record<number, { name: string; checksumAt: number }> = {
  [IPPROTO_ICMP]: { name: "icmp", checksumAt: 2 },
  [IPPROTO_TCP]: { name: "tcp", checksumAt: TCP_CHECKSUM_AT },
  [IPPROTO_UDP]: { name: "udp", checksumAt: UDP_CHECKSUM_AT },
  [IPPROTO_ICMPV6]: { name: "icmp6", checksumAt: 2 },
};

/** One line about an Ethernet frame on the underlay, by our decoders: outer packet, VXLAN, inner frame. */
export function describeFrame(frame: Uint8Array): string {
  const type = etherType(frame, 0);
  const outer = describeIp(frame, ETHERNET_HEADER_LEN, frame.length);
  const at = ETHERNET_HEADER_LEN + ipHeaderLength(frame, ETHERNET_HEADER_LEN);
  if (ipProtocol(frame, ETHERNET_HEADER_LEN) !== IPPROTO_UDP) return `${type.toString(16)} ${outer}`;
  const end = at + udpLength(frame, at);
  const length = end === at ? "no length" : end > frame.length ? "too long" : `${end - at}`;
  return `${outer} ${length} to ${udpDstPort(frame, at)} | ${describeVxlan(frame, at + UDP_HEADER_LEN, frame.length)}`;
}

/** One line about the payload of a UDP datagram. */
export function describeVxlan(buf: Uint8Array, at: number, end: number): string {
  const vni = vxlanVni(buf, at, end);
  if (vni < 0) return vni === -1 ? "short" : "bad flags";
  const inner = at + VXLAN_HEADER_LEN;
  const dst = macFromBytes(buf.subarray(inner, inner + 6));
  const src = macFromBytes(buf.subarray(inner + 6, inner + 12));
  const type = etherType(buf, inner);
  const isIp = type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6;
  const what = isIp ? describeIp(buf, inner + ETHERNET_HEADER_LEN, end) : `type ${type.toString(16)}`;
  return `vni ${vni} | ${src} > ${dst} | ${what}`;
}

function describeIp(buf: Uint8Array, at: number, end: number): string {
  const version = ipVersion(buf, at);
  if (version === 0) return "not IP";
  const length = ipPacketLength(buf, at, end);
  const src = formatAt(buf, at + ipSrcAt(version), version);
  const dst = formatAt(buf, at + ipDstAt(version), version);
  const what = PROTOCOLS[ipProtocol(buf, at)];
  const name = `${src} > ${dst} ttl ${ipTtl(buf, at)} ${what?.name ?? "other"}`;
  if (length === 0) return `${name} bad length`;
  if (!ipv4HeaderOk(buf, at)) return `${name} bad header checksum`;
  if (!what) return `${name} ${length}`;
  const upper = at + ipHeaderLength(buf, at);
  return `${name} ${length} ${describeChecksum(buf, at, version, upper, at + length, upper + what.checksumAt)}`;
}

function describeChecksum(
  buf: Uint8Array,
  ipAt: number,
  version: number,
  at: number,
  end: number,
  checksumAt: number,
): string {
  const protocol = ipProtocol(buf, ipAt);
  const field = get16le(buf, checksumAt);
  if (protocol === IPPROTO_UDP && field === 0) return "no checksum";
  if (transportChecksumOk(buf, ipAt, version, protocol, at, end, checksumAt)) return "checksum ok";
  // A sender that leaves the rest to its NIC has summed only the pseudo-header.
  const partial = fold(pseudoSum(buf, ipAt, version, protocol, end - at));
  return field === partial ? "checksum partial" : "checksum wrong";
}

function formatAt(buf: Uint8Array, at: number, version: number): string {
  const digits = Buffer.from(buf.subarray(at, at + ipAddrLength(version))).toString("hex");
  return formatAddr({ family: version === 4 ? 4 : 6, value: BigInt(`0x${digits}`) });
}
