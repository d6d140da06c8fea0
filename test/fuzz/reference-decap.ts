// What a receiver has to do with a datagram on the VXLAN port, in the plainest way: RFC 7348, the strictness of the
// kernel's receiver, our rules for who may send what, RFC 6040 for ECN. The packet loop is compared with this. Nothing of
// pkg/packet is used, so that one mistake cannot hide in both.

import { type Addr, addrFromBytes, sameAddr } from "../../pkg/addr/addr.ts";
import type { Family } from "../../pkg/addr/family.ts";
import { macFromBytes } from "../../pkg/addr/mac.ts";
import { containsAddr, parsePrefix, type Prefix } from "../../pkg/addr/prefix.ts";
import type { CounterName } from "../../pkg/dataplane/tun/counters.ts";
import type { Table } from "../../pkg/dataplane/tun/forwarding-table.ts";
import { naiveSum } from "../naive-sum.ts";

/** A datagram as the socket gives it: outer source, outer traffic class, payload. */
export interface Received {
  readonly from: Addr;
  readonly tos: number;
  readonly bytes: Uint8Array;
}

/** The inner packet as it goes to the pods, and whether its source is one that only strict mode would drop; or why not. */
export type Verdict = { readonly deliver: Uint8Array; readonly foreign: boolean } | { readonly drop: CounterName };

interface Inner {
  readonly family: Family;
  readonly source: Addr;
  readonly destination: Addr;
  /** Without what follows the length that the packet claims. */
  readonly bytes: Uint8Array;
}

/** What the receiver with this table does: the first rule that the datagram breaks names the drop. */
export function referenceDecap(table: Table, { from, tos, bytes }: Received): Verdict {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 8 + 14) return { drop: "rx_short" };
  if (view.getUint32(0) !== 0x08000000 || view.getUint8(7) !== 0) return { drop: "rx_bad_flags" };
  if (view.getUint32(4) / 256 !== table.vni) return { drop: "rx_bad_vni" };

  // A node is known by a PublicIP of one family and carries that family in its subnets there.
  const peer = table.rows.filter((row) => sameAddr(row.publicIp, from));
  if (peer.length === 0) return { drop: "rx_unknown_peer" };

  const destinationMac = macFromBytes(bytes.slice(8, 14));
  const sourceMac = macFromBytes(bytes.slice(14, 20));
  const ownMac = table.ownMac[from.family];
  if (destinationMac !== ownMac || sourceMac === ownMac) return { drop: "rx_bad_mac" };

  const type = view.getUint16(20);
  const family = type === 0x0800 ? 4 : type === 0x86dd ? 6 : undefined;
  if (family === undefined || table.ownMac[family] === undefined) return { drop: "rx_not_ip" };
  const inner = family === 4 ? readIpv4(bytes.slice(22)) : readIpv6(bytes.slice(22));
  if (!inner) return { drop: "rx_bad_ip" };

  const isPeers = peer.some((row) => containsAddr(row.subnet, inner.source));
  const isOurs = table.ownAddrs.some((addr) => sameAddr(addr, inner.source));
  if (!isPeers && (isOurs || inPodNetwork(table, inner.source))) return { drop: "rx_spoofed_source" };
  if (isSpecial(inner.source) && !isPeers) return { drop: "rx_martian" };
  const foreign = !isPeers && !sameAddr(inner.source, from);
  if (foreign && table.strict) return { drop: "rx_foreign_source" };

  const own = table.ownSubnet[family];
  const inOwn = own !== undefined && containsAddr(own, inner.destination);
  if (isSpecial(inner.destination)) return { drop: "rx_bad_destination" };
  if (inPodNetwork(table, inner.destination) && !inOwn) return { drop: "rx_bad_destination" };

  const deliver = withOuterEcn(inner, tos & 3);
  if (!deliver) return { drop: "rx_ecn" };
  const mtu = table.mtu[family];
  if (mtu !== undefined && deliver.length > mtu && isUnfinishedUdp(inner)) return { drop: "rx_uncut_udp" };
  return { deliver, foreign };
}

function inPodNetwork(table: Table, addr: Addr): boolean {
  const prefixes = [table.network[addr.family], table.ownSubnet[addr.family], ...table.rows.map((row) => row.subnet)];
  return prefixes.some((prefix) => prefix !== undefined && containsAddr(prefix, addr));
}

// RFC 6890's blocks that no packet between nodes has for an address, in either place.
const SPECIAL = [
  "0.0.0.0/8", // this network
  "127.0.0.0/8", // loopback
  "169.254.0.0/16", // link-local
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, and the broadcast address
  "::/128", // unspecified
  "::1/128", // loopback
  "::ffff:0:0/96", // IPv4-mapped
  "fe80::/10", // link-local
  "ff00::/8", // multicast
].map((text) => parsePrefix(text) as Prefix);

function isSpecial(addr: Addr): boolean {
  return SPECIAL.some((prefix) => containsAddr(prefix, addr));
}

// RFC 791; net/ipv4/ip_input.c, ip_rcv_core().
function readIpv4(bytes: Uint8Array): Inner | undefined {
  if (bytes.length < 20) return undefined;
  const view = new DataView(bytes.buffer);
  const version = Math.floor(view.getUint8(0) / 16);
  const header = (view.getUint8(0) % 16) * 4;
  const total = view.getUint16(2);
  if (version !== 4 || header < 20 || total < header || total > bytes.length) return undefined;
  if (naiveSum(bytes, 0, header) !== 0xffff) return undefined;
  const source = addrFromBytes(bytes.slice(12, 16));
  return { family: 4, source, destination: addrFromBytes(bytes.slice(16, 20)), bytes: bytes.slice(0, total) };
}

// RFC 8200; net/ipv6/ip6_input.c, ip6_rcv_core(). A payload length of 0 is a jumbogram's or BIG TCP's when it cannot be
// the length of what comes next.
function readIpv6(bytes: Uint8Array): Inner | undefined {
  if (bytes.length < 40) return undefined;
  const view = new DataView(bytes.buffer);
  const version = Math.floor(view.getUint8(0) / 16);
  const payload = view.getUint16(4);
  if (version !== 6 || payload > bytes.length - 40) return undefined;
  if (payload === 0 && [0, 6, 17].includes(view.getUint8(6))) return undefined;
  const source = addrFromBytes(bytes.slice(8, 24));
  return { family: 6, source, destination: addrFromBytes(bytes.slice(24, 40)), bytes: bytes.slice(0, 40 + payload) };
}

const NOT_ECT = 0;
const ECT1 = 1;
const ECT0 = 2;
const CE = 3;

// RFC 6040 section 4.2, figure 4: what goes on, by inner and by outer codepoint. Undefined is a drop.
const ECN: Readonly<Record<number, Readonly<Record<number, number>>>> = {
  [NOT_ECT]: { [NOT_ECT]: NOT_ECT, [ECT0]: NOT_ECT, [ECT1]: NOT_ECT },
  [ECT0]: { [NOT_ECT]: ECT0, [ECT0]: ECT0, [ECT1]: ECT1, [CE]: CE },
  [ECT1]: { [NOT_ECT]: ECT1, [ECT0]: ECT1, [ECT1]: ECT1, [CE]: CE },
  [CE]: { [NOT_ECT]: CE, [ECT0]: CE, [ECT1]: CE, [CE]: CE },
};

// The packet with the outer header's congestion mark on it, or undefined when it cannot carry the mark.
function withOuterEcn(inner: Inner, outer: number): Uint8Array | undefined {
  const bytes = inner.bytes.slice();
  const view = new DataView(bytes.buffer);
  if (inner.family === 6) {
    const word = view.getUint16(0); // version, traffic class, the flow label's first 4 bits
    const before = Math.floor(word / 16) % 4;
    const after = ECN[before]?.[outer];
    if (after === undefined) return undefined;
    view.setUint16(0, word + (after - before) * 16);
    return bytes;
  }
  const before = view.getUint8(1) % 4;
  const after = ECN[before]?.[outer];
  if (after === undefined) return undefined;
  view.setUint8(1, view.getUint8(1) + after - before);
  view.setUint16(10, 0);
  view.setUint16(10, 0xffff - networkOrder(naiveSum(bytes, 0, (view.getUint8(0) % 16) * 4)));
  return bytes;
}

// A UDP checksum that holds only the pseudo-header's sum: the sender leaves the rest, and perhaps the cutting, to a NIC.
function isUnfinishedUdp(inner: Inner): boolean {
  const view = new DataView(inner.bytes.slice().buffer);
  const upper = inner.family === 4 ? upperLayerIpv4(view) : upperLayerIpv6(view);
  if (upper === undefined || upper.protocol !== 17) return false;
  const { header, protocol } = upper;
  const length = inner.bytes.length - header;
  if (length < 8) return false;
  const addresses = inner.family === 4 ? inner.bytes.slice(12, 20) : inner.bytes.slice(8, 40);
  const pseudo = [...addresses, ...[24, 16, 8, 0].map((shift) => (length >>> shift) & 0xff), 0, 0, 0, protocol];
  const field = view.getUint16(header + 6);
  return field !== 0 && field === networkOrder(naiveSum(Uint8Array.from(pseudo), 0, pseudo.length));
}

interface UpperLayer {
  readonly header: number;
  readonly protocol: number;
}

// Undefined for a fragment, whose checksum says nothing about its own bytes.
function upperLayerIpv4(view: DataView): UpperLayer | undefined {
  if ((view.getUint16(6) & 0x3fff) !== 0) return undefined;
  return { header: (view.getUint8(0) % 16) * 4, protocol: view.getUint8(9) };
}

// RFC 8200 section 4: hop-by-hop options, routing header, destination options in units of 8 bytes less one, the
// authentication header (RFC 4302) in units of 4 less two. More than eight are nobody's.
function upperLayerIpv6(view: DataView): UpperLayer | undefined {
  let protocol = view.getUint8(6);
  let header = 40;
  for (let n = 0; [0, 43, 51, 60].includes(protocol); n++) {
    if (n === 8 || header + 8 > view.byteLength) return undefined;
    const units = view.getUint8(header + 1);
    const next = view.getUint8(header);
    header += protocol === 51 ? (units + 2) * 4 : (units + 1) * 8;
    protocol = next;
  }
  return protocol === 44 || header >= view.byteLength ? undefined : { header, protocol };
}

function networkOrder(littleEndian: number): number {
  return (littleEndian % 256) * 256 + Math.floor(littleEndian / 256);
}
