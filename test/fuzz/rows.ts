// Inner packets as the node of fuzzTable gets them from the underlay.

import type { Addr } from "../../pkg/addr/addr.ts";
import type { Family } from "../../pkg/addr/family.ts";
import { macBytes } from "../../pkg/addr/mac.ts";
import type { Random } from "../../pkg/base/backoff.ts";
import type { MemoryBind } from "../../pkg/underlay/memory-bind.ts";
import { addr, mac } from "../literals.ts";
import type { FlowMaker } from "./flows.ts";
import { fuzzTable } from "./table.ts";

type Datagram = MemoryBind["waiting"][number];

const { ownMac, vni } = fuzzTable(false);
const VXLAN = [8, 0, 0, 0, 0, 0, vni, 0];

/** Who sends, and the VXLAN and Ethernet header before what he sends, by family and number. */
const senders = new Map<string, { readonly from: Addr; readonly header: Uint8Array }>();

/** The packet in VXLAN, from peer `peer` (2 to 7). */
export function fromPeer(peer: number, packet: Uint8Array): Datagram {
  const family = (packet[0] ?? 0) >> 4 === 4 ? 4 : 6;
  const { from, header } = senders.get(`${family} ${peer}`) ?? makeSender(family, peer);
  const bytes = new Uint8Array(header.length + packet.length);
  bytes.set(header);
  bytes.set(packet, header.length);
  return { from, bytes, tos: 0 };
}

function makeSender(family: Family, peer: number): { readonly from: Addr; readonly header: Uint8Array } {
  const header = Uint8Array.from([
    ...VXLAN,
    ...macBytes(ownMac[family] ?? mac("02:00:00:00:00:01")),
    ...macBytes(mac(`0e:00:00:00:0${family}:0${peer}`)),
    ...(family === 4 ? [8, 0] : [0x86, 0xdd]),
  ]);
  const sender = { from: addr(family === 4 ? `172.30.77.${peer}` : `fd77::${peer}`), header };
  senders.set(`${family} ${peer}`, sender);
  return sender;
}

/**
 * Puts rows of the receive table in `waiting`: up to 64 datagrams, those of one length from one peer joined as UDP_GRO
 * joins them. Returns the inner packets.
 */
export function deliverRows(waiting: Datagram[], maker: FlowMaker, random: Random): Uint8Array[] {
  const most = random() < 0.5 ? 1 : 1 + Math.floor(random() * 64);
  const packets: Uint8Array[] = [];
  let row: Datagram[] = [];
  while (packets.length < most) {
    const { peer, packet } = maker.next();
    const datagram = fromPeer(peer, packet);
    if (!continues(row, datagram)) {
      if (row.length > 0) waiting.push(joined(row));
      row = [];
    }
    row.push(datagram);
    packets.push(packet);
  }
  waiting.push(joined(row));
  return packets;
}

function continues(row: readonly Datagram[], { from, bytes }: Datagram): boolean {
  const [first] = row;
  const last = row.at(-1);
  if (!first || !last) return false;
  const sameSender = first.from.family === from.family && first.from.value === from.value;
  const length = first.bytes.length;
  return sameSender && last.bytes.length === length && bytes.length <= length && (row.length + 1) * length <= 65_000;
}

function joined(row: readonly Datagram[]): Datagram {
  const [first] = row;
  if (!first) throw new Error("an empty row");
  if (row.length === 1) return first;
  const bytes = new Uint8Array(Buffer.concat(row.map((datagram) => datagram.bytes)));
  return { ...first, bytes, partLength: first.bytes.length };
}
