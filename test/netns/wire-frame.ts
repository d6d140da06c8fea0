// What must be true of every VXLAN frame on a real wire, where no later hop finishes what a sender has left undone.

import { get16le } from "../../pkg/packet/bytes.ts";
import { transportChecksumOk } from "../../pkg/packet/checksum.ts";
import { ETHERNET_HEADER_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, etherType } from "../../pkg/packet/ethernet.ts";
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipAddrLength,
  ipPacketLength,
  ipSrcAt,
  ipTtl,
  ipv4HeaderOk,
  ipv6UpperLayer,
  ipv6UpperProtocol,
  ipVersion,
  ipHeaderLength,
  ipProtocol,
  isFragment,
} from "../../pkg/packet/ip.ts";
import { TCP_CHECKSUM_AT, tcpHeaderLength } from "../../pkg/packet/tcp.ts";
import { UDP_CHECKSUM_AT, UDP_HEADER_LEN, udpDstPort, udpLength, udpSrcPort } from "../../pkg/packet/udp.ts";
import { VXLAN_HEADER_LEN, VXLAN_PORT_LINUX, vxlanVni } from "../../pkg/packet/vxlan.ts";

export interface WireFrame {
  readonly outerFamily: 4 | 6;
  readonly sourcePort: number;
  /** Bytes of the outer IP packet. */
  readonly length: number;
  /** The inner packet's protocol, addresses and ports, as one text. */
  readonly flow: string;
  readonly protocol: number;
  /** Bytes that the inner TCP segment carries; 0 for other protocols. */
  readonly tcpPayload: number;
  readonly isFragment: boolean;
}

const CHECKSUM_AT: Readonly<Record<number, number>> = {
  [IPPROTO_TCP]: TCP_CHECKSUM_AT,
  [IPPROTO_UDP]: UDP_CHECKSUM_AT,
  [IPPROTO_ICMP]: 2,
  [IPPROTO_ICMPV6]: 2,
};

interface Packet {
  readonly family: 4 | 6;
  readonly end: number;
  readonly protocol: number;
  /** Where the transport header begins. */
  readonly at: number;
  readonly isFragment: boolean;
}

/** Takes a VXLAN frame apart; undefined for any other. Throws an Error that names the first thing that is wrong with it. */
export function readWireFrame(frame: Uint8Array): WireFrame | undefined {
  const type = etherType(frame, 0);
  if (type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) return undefined;
  const outerAt = ETHERNET_HEADER_LEN;
  if (ipPacketLength(frame, outerAt, frame.length) === 0) return undefined;
  const outer = readPacket(frame, outerAt, frame.length, "outer");
  if (outer.isFragment) throw new Error("the outer packet is a fragment");
  if (outer.protocol !== IPPROTO_UDP || udpDstPort(frame, outer.at) !== VXLAN_PORT_LINUX) return undefined;
  if (ipTtl(frame, outerAt) !== 64) throw new Error(`the outer TTL is ${ipTtl(frame, outerAt)}`);
  if (udpLength(frame, outer.at) !== outer.end - outer.at) throw new Error("the outer UDP length is not the packet's");
  const vxlan = outer.at + UDP_HEADER_LEN;
  if (vxlanVni(frame, vxlan, outer.end) !== 1) throw new Error("no VXLAN header of VNI 1");
  const ethernet = vxlan + VXLAN_HEADER_LEN;
  const innerAt = ethernet + ETHERNET_HEADER_LEN;
  const inner = readPacket(frame, innerAt, outer.end, "inner");
  if (etherType(frame, ethernet) !== (inner.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6)) {
    throw new Error("the inner Ethernet type is not the packet's");
  }
  if (inner.end !== outer.end) throw new Error(`${outer.end - inner.end} bytes follow the inner packet`);
  const header = inner.protocol === IPPROTO_TCP ? tcpHeaderLength(frame, inner.at, inner.end) : 0;
  const addresses = frame.subarray(
    innerAt + ipSrcAt(inner.family),
    innerAt + ipSrcAt(inner.family) + 2 * ipAddrLength(inner.family),
  );
  const ports = inner.isFragment ? "" : Buffer.from(frame.subarray(inner.at, inner.at + 4)).toString("hex");
  return {
    outerFamily: outer.family,
    sourcePort: udpSrcPort(frame, outer.at),
    length: outer.end - outerAt,
    flow: `${inner.protocol} ${Buffer.from(addresses).toString("hex")} ${ports}`,
    protocol: inner.protocol,
    tcpPayload: header === 0 ? 0 : inner.end - inner.at - header,
    isFragment: inner.isFragment,
  };
}

function readPacket(frame: Uint8Array, at: number, limit: number, which: string): Packet {
  const length = ipPacketLength(frame, at, limit);
  if (length === 0) throw new Error(`the ${which} packet's length is not what came`);
  if (!ipv4HeaderOk(frame, at)) throw new Error(`the ${which} IPv4 header's checksum is wrong`);
  const family = ipVersion(frame, at) as 4 | 6;
  const end = at + length;
  const protocol = family === 4 ? ipProtocol(frame, at) : ipv6UpperProtocol(frame, at, end);
  const upper = family === 4 ? at + ipHeaderLength(frame, at) : ipv6UpperLayer(frame, at, end);
  const fragment = isFragment(frame, at);
  const checksumAt = CHECKSUM_AT[protocol];
  // A fragment's covers what other fragments carry.
  if (checksumAt !== undefined && !fragment) {
    const field = upper + checksumAt;
    if (protocol === IPPROTO_UDP && get16le(frame, field) === 0)
      throw new Error(`the ${which} UDP checksum is missing`);
    if (!transportChecksumOk(frame, at, family, protocol, upper, end, field)) {
      throw new Error(`the ${which} checksum of protocol ${protocol} is wrong`);
    }
  }
  return { family, end, protocol, at: upper, isFragment: fragment };
}
