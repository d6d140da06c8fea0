// Who may send us what, as nft rules: what the tun plane checks in its packet loop. They see each datagram for our UDP port
// in the hook `input`: there it is whole, where in prerouting a fragment could hide the inner header, and it is for this
// host, so that VXLAN of others which is only routed through here passes. Every datagram ends in exactly one rule; the
// last one drops, so that what is too short for a rule to look at is not let in.

import { ADDR_BITS, type Family } from "../../addr/family.ts";
import { type Prefix, parsePrefix } from "../../addr/prefix.ts";
import { type Addr, formatAddr } from "../../addr/addr.ts";
import type { Mac } from "../../addr/mac.ts";
import type { NftChain } from "../../host/host.ts";
import type { Destination } from "./peer-entries.ts";

/** The table, one for each family: `ip twill-sender`, `ip6 twill-sender`. */
export const SENDER_TABLE = "twill-sender";

/** The chain that the kernel enters, and the one to which peers are added that came after the table was written. */
export const INPUT = "input";
export const NEWCOMERS = "newcomers";

export interface SenderWant {
  readonly vni: number;
  readonly port: number;
  /** Of our VTEP in this family. */
  readonly mac: Mac;
  /** Whether the device speaks the group policy extension, which sets further bits of the header. */
  readonly gbp: boolean;
  readonly network: Prefix;
  readonly own: Prefix;
  /** Addresses of this node that no peer may send from. */
  readonly ownAddrs: readonly Addr[];
  readonly peers: readonly Destination[];
  readonly strict: boolean;
}

/** A rule, and the counter that it adds to. */
export interface SenderRule {
  readonly expr: readonly object[];
  readonly counter?: string;
}

const RAW = -300; // NF_IP_PRI_RAW: before anybody else has work with what is dropped
const UDP = 17;
const LEAST_UDP_LENGTH = 8 + 8 + 14; // UDP, VXLAN and Ethernet header

// Bits from the UDP header on: UDP 8 bytes, VXLAN 8, Ethernet 14, then the inner IP header.
const FLAGS = { at: 64, length: 32 };
const VNI = { at: 96, length: 24 };
const RESERVED = { at: 120, length: 8 };
const MAC_DESTINATION = { at: 128, length: 48 };
const MAC_SOURCE = { at: 176, length: 48 };
const ETHERTYPE = { at: 224, length: 16 };
const INNER = {
  4: { protocol: "ip", type: 0x0800, source: 240 + 96, destination: 240 + 128 },
  6: { protocol: "ip6", type: 0x86dd, source: 240 + 64, destination: 240 + 192 },
} as const;

// As isNotUnicast of the tun plane, and in IPv6 also what is mapped from IPv4.
const NEVER = {
  4: ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"],
  6: ["::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"],
} as const;

// nft takes one set as one argument of at most 128 KiB; an element of two IPv6 addresses has about 100 bytes.
const MOST_ELEMENTS = 1000;

/** The table's rules in order. */
export function senderRules(want: SenderWant): readonly SenderRule[] {
  const { network, own, vni, port, peers, strict } = want;
  const { family } = network;
  const inner = INNER[family];
  const ethertype = payload(ETHERTYPE.at, ETHERTYPE.length);
  const source = payload(inner.source, ADDR_BITS[family]);
  const destination = payload(inner.destination, ADDR_BITS[family]);
  const never = { set: NEVER[family].map((text) => range(mustPrefix(text))) };
  const foreign = strict ? drop("rx_foreign_source") : { ...drop("rx_foreign_accepted"), verdict: { accept: null } };
  return [
    { expr: [match("!=", { meta: { key: "l4proto" } }, UDP), { accept: null }] },
    ...(family === 6 ? [noFragments()] : []),
    { expr: [match("!=", { payload: { protocol: "udp", field: "dport" } }, port), { accept: null }] },
    // By the length of the UDP header; what is too short for the rules below matches none of them.
    rule([match("<", { payload: { protocol: "udp", field: "length" } }, LEAST_UDP_LENGTH)], drop("rx_short")),
    // Another network's device may share the port.
    { expr: [match("!=", payload(VNI.at, VNI.length), vni), { accept: null }] },
    // The kernel's device drops these too, but counts them nowhere, or among others.
    ...(want.gbp
      ? []
      : [
          rule([match("!=", payload(FLAGS.at, FLAGS.length), hexOf(0x0800_0000n))], drop("rx_bad_flags")),
          rule([match("!=", payload(RESERVED.at, RESERVED.length), 0)], drop("rx_bad_flags")),
        ]),
    rule([match("!=", payload(MAC_DESTINATION.at, MAC_DESTINATION.length), hexOfMac(want.mac))], drop("rx_bad_mac")),
    rule([match("==", payload(MAC_SOURCE.at, MAC_SOURCE.length), hexOfMac(want.mac))], drop("rx_bad_mac")),
    rule([match("!=", ethertype, inner.type)], drop("rx_not_ip")),
    rule([match("==", destination, never)], drop("rx_bad_destination")),
    rule(
      [match("==", masked(destination, network), hex(network)), match("!=", masked(destination, own), hex(own))],
      drop("rx_bad_destination"),
    ),
    { expr: [{ jump: { target: NEWCOMERS } }] },
    ...podRules(family, peers),
    rule([match("==", masked(source, network), hex(network))], drop("rx_spoofed_source")),
    ...chunks(want.ownAddrs).map((chunk) =>
      rule([match("==", source, { set: chunk.map(hex) })], drop("rx_spoofed_source")),
    ),
    rule([match("==", source, never)], drop("rx_martian")),
    // A peer's host, and pods in its network namespace.
    ...chunks(uniqueAddrs(peers)).map((chunk) => ({
      expr: [
        match(
          "==",
          { concat: [outerSource(family), source] },
          { set: chunk.map((addr) => ({ concat: [formatAddr(addr), hex(addr)] })) },
        ),
        { accept: null },
      ],
    })),
    ...chunks(uniqueAddrs(peers)).map((chunk) =>
      rule([match("==", outerSource(family), { set: chunk.map(formatAddr) })], foreign),
    ),
    rule([], drop("rx_unknown_peer")),
  ];
}

/** The rules that let in what comes from pods of these peers. */
export function podRules(family: Family, peers: readonly Destination[]): readonly SenderRule[] {
  const source = payload(INNER[family].source, ADDR_BITS[family]);
  return bySubnetLength(peers).flatMap(([length, some]) =>
    chunks(some).map((chunk) => ({
      expr: [
        match(
          "==",
          { concat: [outerSource(family), masked(source, { family, length })] },
          { set: chunk.map(({ publicIp, subnet }) => ({ concat: [formatAddr(publicIp), hex(subnet)] })) },
        ),
        { accept: null },
      ],
    })),
  );
}

/** The table's chains. */
export function senderChains(rules: readonly SenderRule[], newcomers: readonly SenderRule[]): readonly NftChain[] {
  const input = { name: INPUT, type: "filter", hook: "input", priority: RAW } as const;
  return [
    { name: NEWCOMERS, rules: newcomers.map(({ expr }) => expr) },
    { ...input, rules: rules.map(({ expr }) => expr) },
  ];
}

// IPv6 puts fragments together after `input`, unless connection tracking has done so before it. A rule that looks at
// the state of connections makes the kernel do that; what is a fragment even so cannot be checked.
function noFragments(): SenderRule {
  const states = ["invalid", "established", "related", "new", "untracked"];
  return rule(
    [
      match("==", { exthdr: { name: "frag" } }, true),
      { match: { op: "in", left: { ct: { key: "state" } }, right: states } },
    ],
    drop("rx_fragments"),
  );
}

interface Verdict {
  readonly counter: string;
  readonly verdict: object;
}

function drop(counter: string): Verdict {
  return { counter, verdict: { drop: null } };
}

function rule(matches: readonly object[], { counter, verdict }: Verdict): SenderRule {
  return { expr: [...matches, { counter: null }, verdict], counter };
}

function bySubnetLength(peers: readonly Destination[]): [number, Destination[]][] {
  const groups = new Map<number, Destination[]>();
  for (const peer of peers) {
    const { length } = peer.subnet;
    const group = groups.get(length);
    if (group) group.push(peer);
    else groups.set(length, [peer]);
  }
  return [...groups].toSorted(([a], [b]) => a - b);
}

// A set must not hold an element twice, and a peer may have two subnets.
function uniqueAddrs(peers: readonly Destination[]): Addr[] {
  return [...new Map(peers.map(({ publicIp }) => [formatAddr(publicIp), publicIp])).values()];
}

function chunks<T>(list: readonly T[]): T[][] {
  const out: T[][] = [];
  for (let i = 0; i < list.length; i += MOST_ELEMENTS) out.push(list.slice(i, i + MOST_ELEMENTS));
  return out;
}

function outerSource(family: Family): object {
  return { payload: { protocol: INNER[family].protocol, field: "saddr" } };
}

function payload(offset: number, len: number): object {
  return { payload: { base: "th", offset, len } };
}

function masked(address: object, { family, length }: { readonly family: Family; readonly length: number }): object {
  const bits = ADDR_BITS[family];
  const ones = (1n << BigInt(bits)) - 1n;
  return { "&": [address, hexOf(ones ^ (ones >> BigInt(length)))] };
}

function range(prefix: Prefix): object {
  const host = (1n << BigInt(ADDR_BITS[prefix.family] - prefix.length)) - 1n;
  return { range: [hexOf(prefix.value), hexOf(prefix.value + host)] };
}

function hex({ value }: { readonly value: bigint }): string {
  return hexOf(value);
}

// As text, since JSON's numbers end at 2^53.
function hexOf(value: bigint): string {
  return `0x${value.toString(16)}`;
}

function hexOfMac(mac: Mac): string {
  return `0x${mac.replaceAll(":", "")}`;
}

function match(op: "==" | "!=" | "<", left: object, right: unknown): object {
  return { match: { op, left, right } };
}

function mustPrefix(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(`${text} is no prefix`);
  return prefix;
}
