// What the packet loop knows of the peers. The control thread makes a Table, a plain value; the loop turns it into hash
// tables and rows in the arena and replaces the old ones as a whole, between two turns. Every peer has one row for each
// family of inner packets: that family's subnet, PublicIP and VTEP MAC. As with flannel, IPv4 travels over IPv4 and
// IPv6 over IPv6.

import { type Addr, addrBytes } from "../../addr/addr.ts";
import { ADDR_BITS, FAMILIES, type Family, type PerFamily } from "../../addr/family.ts";
import { type Mac, macBytes } from "../../addr/mac.ts";
import type { Prefix } from "../../addr/prefix.ts";
import { ETHERNET_HEADER_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, putEthernet } from "../../packet/ethernet.ts";
import { VXLAN_HEADER_LEN, putVxlan } from "../../packet/vxlan.ts";
import type { Arena } from "../../sys/arena.ts";
import { putSockaddr } from "../../sys/udp-socket.ts";
import { PrefixTable } from "./prefix-table.ts";

/** Rows there can be: more than a /8 of /24 subnets needs. */
export const MAX_ROWS = 65536;

/** What stands in front of every inner packet: VXLAN and Ethernet header. */
export const HEADROOM = VXLAN_HEADER_LEN + ETHERNET_HEADER_LEN;

/** One peer and family. */
export interface TableRow {
  /** Which row of the counters and of the arena is this peer's; below MAX_ROWS, and kept while the peer is there. */
  readonly slot: number;
  readonly family: Family;
  readonly subnet: Prefix;
  readonly publicIp: Addr;
  readonly mac: Mac;
  /** Of IPv6: whether there is surely no router on the way, which could find a packet of the underlay's MTU too large. */
  readonly near?: boolean;
}

export interface Table {
  readonly vni: number;
  readonly port: number;
  /** Drop inner sources outside the pod network other than the sender's PublicIP. */
  readonly strict: boolean;
  readonly network: PerFamily<Prefix>;
  readonly ownSubnet: PerFamily<Prefix>;
  readonly ownMac: PerFamily<Mac>;
  /** What one inner packet may measure. */
  readonly mtu: PerFamily<number>;
  /** This node's own addresses, which nobody else may send from. */
  readonly ownAddrs: readonly Addr[];
  readonly rows: readonly TableRow[];
}

// A row in the arena: sockaddr (28 bytes), then the header template (22 bytes), both where u16 stores reach them.
const ROW_LEN = 64;
const ROW_SOCKADDR = 0;
const ROW_HEADER = 32;

// Per row: packets and bytes sent, packets and bytes received.
const COUNTS = 4;
const TX_PACKETS = 0;
const TX_BYTES = 1;
const RX_PACKETS = 2;
const RX_BYTES = 3;

/** Counters of one row. */
export interface RowCounts {
  readonly txPackets: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly rxBytes: number;
}

/** What is looked up for one family. */
export interface FamilyTable {
  /** Destination or source address -> slot. */
  readonly routes: PrefixTable;
  /** Outer source address -> a slot of that sender. */
  readonly senders: PrefixTable;
  /** 1 where the address lies in our own subnet, 2 where it lies elsewhere in the pod network. */
  readonly network: PrefixTable;
  /** This node's own addresses. */
  readonly own: PrefixTable;
  /** Our VTEP's MAC. */
  readonly mac: Uint8Array;
  /** What one inner packet may measure. */
  readonly mtu: number;
}

export const IN_OWN_SUBNET = 1;
export const IN_NETWORK = 2;

export class ForwardingTable {
  vni = 0;
  strict = false;
  /** What goes to a pod by any family: its interface has one MTU for both, the smaller. */
  podMtu = 0xffff;
  family: { [F in Family]: FamilyTable | undefined } = { 4: undefined, 6: undefined };
  /** slot -> the slot that `senders` answers for the same PublicIP, so that one comparison tells whose packet it is. */
  readonly senderOf = new Int32Array(MAX_ROWS);
  /** slot -> 1 where the peer may be sent forwarded packets of the underlay's whole MTU. */
  readonly forwardable = new Uint8Array(MAX_ROWS);

  readonly #arena: Arena;
  readonly #rows: number;
  readonly #counts: number;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#rows = arena.alloc(MAX_ROWS * ROW_LEN);
    this.#counts = arena.alloc(MAX_ROWS * COUNTS * 8) / 8;
  }

  /** Replaces everything. Rows whose slot is MAX_ROWS or more are a defect of the caller: a RangeError. */
  load(table: Table): void {
    this.vni = table.vni;
    this.strict = table.strict;
    this.podMtu = Math.min(0xffff, ...FAMILIES.map((family) => table.mtu[family] ?? 0xffff));
    for (const family of FAMILIES) this.family[family] = this.#loadFamily(table, family);
  }

  #loadFamily(table: Table, family: Family): FamilyTable | undefined {
    const mac = table.ownMac[family];
    if (!mac) return undefined;
    const rows = table.rows.filter((row) => row.family === family);
    const bits = ADDR_BITS[family];
    const senders: { prefix: Prefix; value: number }[] = [];
    const firstOf = new Map<bigint, number>();
    for (const row of rows) {
      if (row.slot < 0 || row.slot >= MAX_ROWS) throw new RangeError(`there is no slot ${row.slot}`);
      const first = firstOf.get(row.publicIp.value) ?? row.slot;
      firstOf.set(row.publicIp.value, first);
      this.senderOf[row.slot] = first;
      // In IPv6 no router cuts a packet, nor does this host what it forwards: only what it sends itself. IPv4 is cut anywhere.
      this.forwardable[row.slot] = family === 4 || row.near === true ? 1 : 0;
      senders.push({ prefix: { ...row.publicIp, length: bits }, value: first });
      this.#putRow(row, table, mac);
    }
    const network: { prefix: Prefix; value: number }[] = [];
    const own = table.ownSubnet[family];
    if (own) network.push({ prefix: own, value: IN_OWN_SUBNET });
    const whole = table.network[family];
    if (whole) network.push({ prefix: whole, value: IN_NETWORK });
    const ownAddrs = table.ownAddrs.filter((addr) => addr.family === family);
    return {
      routes: new PrefixTable(
        family,
        rows.map((row) => ({ prefix: row.subnet, value: row.slot })),
      ),
      senders: new PrefixTable(family, senders),
      network: new PrefixTable(family, network),
      own: new PrefixTable(
        family,
        ownAddrs.map((addr) => ({ prefix: { ...addr, length: bits }, value: 0 })),
      ),
      mac: macBytes(mac),
      mtu: table.mtu[family] ?? 0xffff,
    };
  }

  #putRow(row: TableRow, table: Table, ownMac: Mac): void {
    const at = this.#rows + row.slot * ROW_LEN;
    putSockaddr(this.#arena, at + ROW_SOCKADDR, row.family, addrBytes(row.publicIp), table.port);
    putVxlan(this.#arena.bytes, at + ROW_HEADER, table.vni);
    const macs = Uint8Array.from([...macBytes(row.mac), ...macBytes(ownMac)]);
    const type = row.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
    putEthernet(this.#arena.bytes, at + ROW_HEADER + VXLAN_HEADER_LEN, macs, type);
  }

  /** Place of the peer's socket address in the arena. HOT PATH. */
  sockaddr(slot: number): number {
    return this.#rows + slot * ROW_LEN + ROW_SOCKADDR;
  }

  /** Writes VXLAN and Ethernet header to the HEADROOM bytes at `at`, an even place. HOT PATH. */
  putHeaders(slot: number, at: number): void {
    const { u16 } = this.#arena;
    const from = (this.#rows + slot * ROW_LEN + ROW_HEADER) >>> 1;
    const to = at >>> 1;
    for (let i = 0; i < HEADROOM / 2; i++) u16[to + i] = u16[from + i] as number;
  }

  /** HOT PATH */
  countTx(slot: number, packets: number, bytes: number): void {
    this.#add(slot, TX_PACKETS, packets);
    this.#add(slot, TX_BYTES, bytes);
  }

  /** HOT PATH */
  countRx(slot: number, packets: number, bytes: number): void {
    this.#add(slot, RX_PACKETS, packets);
    this.#add(slot, RX_BYTES, bytes);
  }

  #add(slot: number, which: number, n: number): void {
    const i = this.#counts + slot * COUNTS + which;
    this.#arena.f64[i] = (this.#arena.f64[i] as number) + n;
  }

  /** Counters of a row since its slot was last cleared. From any thread. */
  counts(slot: number): RowCounts {
    const value = (which: number): number => this.#arena.f64[this.#counts + slot * COUNTS + which] as number;
    return {
      txPackets: value(TX_PACKETS),
      txBytes: value(TX_BYTES),
      rxPackets: value(RX_PACKETS),
      rxBytes: value(RX_BYTES),
    };
  }

  /** Sets a row's counters to zero, before its slot goes to another peer. */
  clearCounts(slot: number): void {
    const first = this.#counts + slot * COUNTS;
    this.#arena.f64.fill(0, first, first + COUNTS);
  }
}
