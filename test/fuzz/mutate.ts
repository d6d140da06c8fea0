// Datagrams for a receiver of VXLAN: most are what a peer sends, others differ from that in one place or several. The
// same seed gives the same datagrams.

import { type Addr, addrBytes, addrFromBytes } from "../../pkg/addr/addr.ts";
import { ADDR_BITS, type Family } from "../../pkg/addr/family.ts";
import { macBytes } from "../../pkg/addr/mac.ts";
import type { Prefix } from "../../pkg/addr/prefix.ts";
import type { Table, TableRow } from "../../pkg/dataplane/tun/forwarding-table.ts";
import { hex } from "../hex.ts";
import { naiveSum } from "../naive-sum.ts";
import type { Received } from "./reference-decap.ts";

// Addresses that no packet between nodes has, or that only clients outside the cluster have (the last of each).
const STRAY: Readonly<Record<Family, readonly Uint8Array[]>> = {
  4: [
    "00000000", // unspecified
    "00ffffff",
    "01000000",
    "7effffff",
    "7f000001", // loopback
    "80000000",
    "a9fe0101", // link-local
    "a9ff0101",
    "dfffffff",
    "e0000001", // multicast
    "f0000001", // reserved
    "ffffffff", // broadcast
    "08080808",
  ].map(hex),
  6: [
    "00".repeat(16),
    `${"00".repeat(15)}01`,
    `${"00".repeat(15)}02`,
    `${"00".repeat(10)}ffff0a050101`, // IPv4-mapped
    `${"00".repeat(10)}fffe0a050101`,
    `${"00".repeat(9)}01ffff0a050101`,
    `fe7f${"ff".repeat(14)}`,
    `fe80${"00".repeat(13)}01`, // link-local
    `febf${"ff".repeat(14)}`,
    `fec0${"00".repeat(14)}`,
    `ff02${"00".repeat(13)}01`, // multicast
    `feff${"ff".repeat(14)}`,
    `20010db8${"00".repeat(11)}01`,
  ].map(hex),
};

const PROTOCOLS: Readonly<Record<Family, readonly number[]>> = { 4: [1, 6, 17, 17, 47, 253], 6: [58, 6, 17, 17, 59] };

// ARP, a VLAN tag, both families (one of them the wrong one), MPLS, a length as in IEEE 802.3.
const ETHERTYPES = ["0806", "8100", "86dd", "0800", "8847", "0026"].map(hex);

/** Makes datagrams for the node that `table` describes; `random` gives numbers in [0, 1). */
export class DatagramMaker {
  readonly #table: Table;
  readonly #random: () => number;
  /** VXLAN and Ethernet header of a datagram from that peer, as they should be. */
  readonly #headers = new Map<TableRow, Uint8Array>();

  constructor(table: Table, random: () => number) {
    this.#table = table;
    this.#random = random;
  }

  /** A datagram that is right in six of ten cases. */
  next(): Received {
    const row = this.#pick(this.#table.rows);
    const strangePacket = this.#chance(0.2);
    const ip = this.#packet(row, strangePacket);
    const datagram: { bytes: Uint8Array; from: Addr; tos: number } = {
      bytes: concat(this.#headers.get(row) ?? this.#makeHeaders(row), ip),
      from: row.publicIp,
      tos: this.#chance(0.3) ? this.#below(256) : 0,
    };
    if (this.#chance(0.25)) for (let i = this.#below(3); i >= 0; i--) this.#mutate(datagram, row);
    return datagram;
  }

  #makeHeaders(row: TableRow): Uint8Array {
    const { vni, ownMac } = this.#table;
    const own = ownMac[row.family];
    const vxlan = [8, 0, 0, 0, vni >>> 16, (vni >>> 8) & 0xff, vni & 0xff, 0];
    const type = row.family === 4 ? [0x08, 0x00] : [0x86, 0xdd];
    const headers = Uint8Array.from([
      ...vxlan,
      ...(own ? macBytes(own) : hex("020000000001")),
      ...macBytes(row.mac),
      ...type,
    ]);
    this.#headers.set(row, headers);
    return headers;
  }

  // Changes one thing about the datagram.
  #mutate(datagram: { bytes: Uint8Array; from: Addr }, row: TableRow): void {
    const { bytes } = datagram;
    switch (this.#below(16)) {
      case 0: // cut short
        datagram.bytes = bytes.slice(0, this.#below(bytes.length + 1));
        break;
      case 1: // cut short within the headers
        datagram.bytes = bytes.slice(0, this.#below(64));
        break;
      case 2: // another flag, or none
        if (bytes.length > 0) bytes[0] = this.#pick([0x00, 0x88, 0x0c, 0x18, 0x09, 0xff]);
        break;
      case 3: // a reserved bit
        this.#flip(bytes, this.#pick([1, 2, 3, 7]));
        break;
      case 4: // another VNI
        this.#flip(bytes, this.#pick([4, 5, 6]));
        break;
      case 5: // a MAC of somebody else
        this.#flip(bytes, 8 + this.#below(12));
        break;
      case 6: // both MACs ours, or both the peer's
        if (this.#chance(0.5)) bytes.copyWithin(14, 8, Math.min(14, bytes.length));
        else bytes.copyWithin(8, 14, Math.min(20, bytes.length));
        break;
      case 7: // broadcast
        bytes.fill(0xff, 8, 14);
        break;
      case 8: // another EtherType
        if (bytes.length >= 22) bytes.set(this.#pick(ETHERTYPES), 20);
        break;
      case 9: // a VLAN tag before the packet
        datagram.bytes = concat(bytes.slice(0, 20), hex("81000007"), bytes.slice(20));
        break;
      case 10: // an unknown sender, or another peer
        datagram.from = this.#chance(0.5) ? this.#stranger(row.family) : this.#pick(this.#table.rows).publicIp;
        break;
      case 11: // a length field
        if (bytes.length >= 30) bytes[(row.family === 4 ? 24 : 26) + this.#below(2)] = this.#below(256);
        break;
      case 12: // version, header length, traffic class
        if (bytes.length > 22) bytes[22] = this.#below(256);
        break;
      case 13: // one bit anywhere
        this.#flip(bytes, this.#below(bytes.length));
        break;
      case 14: // bytes behind the packet
        datagram.bytes = concat(bytes, this.#bytes(this.#below(30)));
        break;
      default: // junk
        datagram.bytes = this.#bytes(this.#below(120));
    }
  }

  #packet(row: TableRow, strange: boolean): Uint8Array {
    const { family } = row;
    const source = strange && this.#chance(0.5) ? this.#someAddress(family) : this.#source(row);
    const destination = strange && this.#chance(0.5) ? this.#someAddress(family) : this.#destination(family);
    return family === 4 ? this.#ipv4(source, destination, strange) : this.#ipv6(source, destination, strange);
  }

  #ipv4(source: Uint8Array, destination: Uint8Array, strange: boolean): Uint8Array {
    const options = this.#chance(0.1) ? this.#bytes(4 * (1 + this.#below(10))) : new Uint8Array();
    const protocol = this.#pick(PROTOCOLS[4]);
    const payload = this.#transport(protocol, source, destination);
    const header = 20 + options.length;
    const bytes = concat(new Uint8Array(20), options, payload);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, 0x40 + header / 4);
    view.setUint8(1, this.#chance(0.5) ? 0 : this.#below(256));
    view.setUint16(2, bytes.length);
    view.setUint16(4, this.#below(65536));
    view.setUint16(6, this.#chance(0.1) ? this.#pick([0x2000, 0x00b9, 0x20b9, 0x8000]) : 0x4000);
    view.setUint8(8, 1 + this.#below(64));
    view.setUint8(9, protocol);
    bytes.set(source, 12);
    bytes.set(destination, 16);
    const sum = naiveSum(bytes, 0, header) ^ 0xffff;
    view.setUint16(10, strange && this.#chance(0.1) ? sum ^ (1 << this.#below(16)) : sum, true);
    return bytes;
  }

  #ipv6(source: Uint8Array, destination: Uint8Array, strange: boolean): Uint8Array {
    const protocol = this.#pick(PROTOCOLS[6]);
    const chain: number[] = [];
    let first = protocol;
    for (let i = this.#chance(0.15) ? 1 + this.#below(9) : 0; i > 0; i--) {
      const kind = this.#pick([0, 43, 44, 60]);
      const length = kind === 44 ? 0 : this.#below(3);
      chain.unshift(first, length, ...this.#bytes(6 + length * 8));
      first = kind;
    }
    const payload = protocol === 59 ? new Uint8Array() : this.#transport(protocol, source, destination);
    const bytes = concat(new Uint8Array(40), Uint8Array.from(chain), payload);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x6000_0000 + this.#below(0x1000_0000));
    view.setUint16(4, strange && this.#chance(0.05) ? 0 : bytes.length - 40);
    view.setUint8(6, first);
    view.setUint8(7, 1 + this.#below(64));
    bytes.set(source, 8);
    bytes.set(destination, 24);
    return bytes;
  }

  // Header and data, with a checksum that is right, left to the NIC, absent or wrong.
  #transport(protocol: number, source: Uint8Array, destination: Uint8Array): Uint8Array {
    const bytes = this.#bytes(8 + this.#below(this.#chance(0.05) ? 1400 : 40));
    const at = protocol === 17 ? 6 : protocol === 6 ? 16 : 2;
    if (protocol === 17) bytes.set([bytes.length >>> 8, bytes.length & 0xff], 4);
    if (protocol === 6 && bytes.length > 13) bytes[12] = 0x50 | this.#below(16);
    if (bytes.length < at + 2) return bytes;
    const { length } = bytes;
    const pseudo = [...source, ...destination, 0, 0, length >>> 8, length & 0xff, 0, 0, 0, protocol];
    const partial = naiveSum(Uint8Array.from(pseudo), 0, pseudo.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(at, 0);
    const how = this.#below(4);
    if (how === 0) view.setUint16(at, partial, true);
    if (how === 1) view.setUint16(at, naiveSum(bytes, 0, length, partial) ^ 0xffff, true);
    if (how === 2) view.setUint16(at, this.#below(65536));
    return bytes;
  }

  // Where a peer's packets come from: its pods, mostly, or the node itself.
  #source(row: TableRow): Uint8Array {
    return this.#chance(0.1) ? addrBytes(row.publicIp) : this.#addressIn(row.subnet);
  }

  #destination(family: Family): Uint8Array {
    const own = this.#table.ownSubnet[family];
    return own && this.#chance(0.9) ? this.#addressIn(own) : this.#ownAddress(family);
  }

  #ownAddress(family: Family): Uint8Array {
    const own = this.#table.ownAddrs.filter((addr) => addr.family === family);
    return own.length > 0 ? addrBytes(this.#pick(own)) : this.#pick(STRAY[family]);
  }

  // Any address that some rule is about.
  #someAddress(family: Family): Uint8Array {
    const { network, ownSubnet, rows } = this.#table;
    const prefixes = [network[family], ownSubnet[family]].filter((prefix) => prefix !== undefined);
    switch (this.#below(5)) {
      case 0:
        return this.#ownAddress(family);
      case 1:
        return prefixes.length > 0 ? this.#addressIn(this.#pick(prefixes)) : this.#bytes(ADDR_BITS[family] / 8);
      case 2: {
        const peers = rows.filter((row) => row.family === family);
        return this.#addressIn(this.#pick(peers).subnet);
      }
      case 3:
        return this.#pick(STRAY[family]);
      default:
        return this.#bytes(ADDR_BITS[family] / 8);
    }
  }

  #stranger(family: Family): Addr {
    const own = this.#table.ownAddrs.filter((addr) => addr.family === family);
    if (own.length > 0 && this.#chance(0.3)) return this.#pick(own);
    return addrFromBytes(this.#someAddress(family));
  }

  #addressIn(prefix: Prefix): Uint8Array {
    const hostBits = BigInt(ADDR_BITS[prefix.family] - prefix.length);
    const noise = addrFromBytes(this.#bytes(ADDR_BITS[prefix.family] / 8)).value;
    return addrBytes({ family: prefix.family, value: prefix.value | (noise & ((1n << hostBits) - 1n)) });
  }

  #flip(bytes: Uint8Array, at: number): void {
    if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#below(8));
  }

  #bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let word = 0;
    for (let i = 0; i < length; i++) {
      word = i % 4 === 0 ? this.#below(2 ** 32) : word >>> 8;
      bytes[i] = word;
    }
    return bytes;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  #pick<T>(values: readonly T[]): T {
    const value = values[this.#below(values.length)];
    if (value === undefined) throw new Error("there is nothing to pick from");
    return value;
  }
}

// Into memory of its own: small Buffers share theirs.
function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
