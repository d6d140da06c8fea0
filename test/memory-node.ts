import { COUNTERS } from "../pkg/dataplane/tun/counters.ts";
import type { Table, TableRow } from "../pkg/dataplane/tun/forwarding-table.ts";
import { LoopMemory } from "../pkg/dataplane/tun/loop-memory.ts";
import { PacketLoop } from "../pkg/dataplane/tun/packet-loop.ts";
import type { TunnelGso } from "../pkg/dataplane/tun/tunnel-gso.ts";
import { VNET_HDR_LEN } from "../pkg/packet/vnet.ts";
import { MemoryTun } from "../pkg/tun/memory-tun.ts";
import type { MemoryBind, MemoryUnderlay } from "../pkg/underlay/memory-bind.ts";
import { addr, mac, prefix } from "./literals.ts";

export const PORT = 8472;

/** A packet loop between a TUN device in memory and an underlay in memory, turned by hand. */
export class MemoryNode {
  readonly memory = new LoopMemory();
  readonly tun: MemoryTun;
  readonly bind: MemoryBind;
  readonly loop: PacketLoop;

  constructor(underlay: MemoryUnderlay, publicIp: string, table: Table, tunnel?: TunnelGso) {
    const { arena } = this.memory;
    this.tun = new MemoryTun(arena);
    this.bind = underlay.bind(arena, addr(publicIp), PORT);
    const options = { merge: false, tunnel };
    this.loop = new PacketLoop(arena, this.tun, this.bind, this.memory.table, this.memory.counters, options);
    this.memory.table.load(table);
  }

  /** Sends an IP packet as the kernel would hand it to the device. */
  send(packet: Uint8Array, vnet: Uint8Array = new Uint8Array(VNET_HDR_LEN)): void {
    this.tun.inject(Uint8Array.from([...vnet, ...packet]));
  }

  /** Turns until nothing moves. */
  settle(): void {
    while (this.loop.turn());
  }

  /** The IP packets written to the device so far, without their virtio-net headers. */
  delivered(): Uint8Array[] {
    return this.tun.written.map((frame) => frame.subarray(VNET_HDR_LEN));
  }

  /** Counters that are not zero, apart from loop_turns. */
  counts(): Record<string, number> {
    const all = COUNTERS.map((name, i) => [name, this.memory.counters.value(i)] as const);
    return Object.fromEntries(all.filter(([name, value]) => value !== 0 && name !== "loop_turns"));
  }
}

/** A table for a test: IPv4 10.5.0.0/16 and IPv6 fd05::/48, with what differs from node to node. */
export function table(own: {
  readonly subnet: string;
  readonly subnet6?: string;
  readonly mac: string;
  readonly addrs: readonly string[];
  readonly rows: readonly TableRow[];
  readonly strict?: boolean;
  readonly mtu?: number;
}): Table {
  return {
    vni: 1,
    port: PORT,
    strict: own.strict ?? false,
    network: { 4: prefix("10.5.0.0/16"), 6: prefix("fd05::/48") },
    ownSubnet: { 4: prefix(own.subnet), ...(own.subnet6 === undefined ? {} : { 6: prefix(own.subnet6) }) },
    ownMac: { 4: mac(own.mac), 6: mac(own.mac) },
    mtu: { 4: own.mtu ?? 1450, 6: own.mtu ?? 1430 },
    ownAddrs: own.addrs.map(addr),
    rows: own.rows,
  };
}

export function row(slot: number, subnet: string, publicIp: string, vtepMac: string): TableRow {
  const net = prefix(subnet);
  return { slot, family: net.family, subnet: net, publicIp: addr(publicIp), mac: mac(vtepMac) };
}
