// Whether packets came through merging and cutting as they were. What may differ, and nothing else:
//   - IPv4's identification where DF is set (cutting counts it up from the first packet's);
//   - an unfinished checksum comes out finished, and TCP's 0xffff as 0, which means the same.
// PSH stays where it was: a packet that has it is the last of its super-packet, and cutting gives it to the last.

import { naiveSum } from "../naive-sum.ts";
import { finished, pseudo, referenceCut } from "./reference-cut.ts";
import { fuzzTable } from "./table.ts";

// The pods' interfaces have the smaller family's, and TCP that is longer is cut to what every link carries.
const POD_MTU = Math.min(...Object.values(fuzzTable(false).mtu));
const CUT = 1280;

/** What one packet becomes that is written alone: a kernel peer's super-packet is cut. */
export function asWritten(packet: Uint8Array): Uint8Array[] {
  const family = (packet[0] ?? 0) >> 4;
  const upper = upperLayer(packet);
  if (upper?.protocol !== 6 || packet.length <= POD_MTU) return [packet];
  const field = (packet[upper.start + 16] ?? 0) + (packet[upper.start + 17] ?? 0) * 256;
  if (field !== pseudo(packet, family, 6, upper.start)) return [packet]; // the kernel will say that it is too big
  const headers = upper.start + Math.floor((packet[upper.start + 12] ?? 0) / 16) * 4;
  const size = CUT - headers;
  const type = family === 4 ? 1 : 4;
  const frame = [1, type, headers, 0, size & 255, size >> 8, upper.start, 0, 16, 0];
  return referenceCut(new Uint8Array(Buffer.concat([Uint8Array.from(frame), packet])));
}

/** Throws an Error that names the first difference of a flow. */
export function expectSameFlows(input: readonly Uint8Array[], output: readonly Uint8Array[]): void {
  const before = input.map(describePacket);
  const after = output.map(describePacket);
  if (before.length !== after.length) throw new Error(`${after.length} packets out of ${before.length}`);
  // A packet that does not show its ports may belong to any flow between its addresses.
  for (const flow of new Set(before.map((each) => each.flow))) {
    const pair = flow.split(" ")[0] ?? "";
    const belongs = (each: { flow: string }): boolean => each.flow === flow || each.flow === pair;
    const wanted = before.filter(belongs).map((each) => each.packet);
    const got = after.filter(belongs).map((each) => each.packet);
    for (let i = 0; i < Math.max(wanted.length, got.length); i++) {
      if (wanted[i] !== got[i]) {
        throw new Error(`flow ${flow}, packet ${i}:\nwanted ${wanted[i] ?? "none"}\ngot    ${got[i] ?? "none"}`);
      }
    }
  }
}

// The flow of a packet and its bytes with all evened out that may change.
function describePacket(original: Uint8Array): { flow: string; packet: string } {
  let packet = original;
  const family = (packet[0] ?? 0) >> 4;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  const pair = hex(family === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40));
  const upper = upperLayer(packet);
  if (family === 4 && ((packet[6] ?? 0) & 0x40) !== 0) {
    packet = packet.slice();
    packet.fill(0, 4, 6);
    packet.fill(0, 10, 12);
  }
  if (!upper) return { flow: pair, packet: hex(packet) };
  const { start, protocol } = upper;
  const view = new DataView(packet.slice().buffer);
  const field = view.getUint16(start + (protocol === 6 ? 16 : 6), true);
  const sum = pseudo(packet, family, protocol, start);
  const absent = protocol === 17 && field === 0;
  if (!absent && (field === sum || naiveSum(packet, start, packet.length, sum) === 0xffff)) {
    packet = finished(packet, family, protocol, start);
  }
  const plain = start === (family === 4 ? 20 : 40);
  const flow = plain ? `${pair} ${protocol} ${hex(packet.subarray(start, start + 4))}` : pair;
  return { flow, packet: hex(packet) };
}

// Where the TCP or UDP header begins, behind IPv4 options or IPv6 destination options; undefined for a fragment.
function upperLayer(packet: Uint8Array): { start: number; protocol: number } | undefined {
  const view = new DataView(packet.slice().buffer);
  const four = view.getUint8(0) >> 4 === 4;
  let protocol = view.getUint8(four ? 9 : 6);
  let start = four ? (view.getUint8(0) % 16) * 4 : 40;
  if (four && (view.getUint16(6) & 0x3fff) !== 0) return undefined;
  if (!four && protocol === 60) {
    protocol = view.getUint8(40);
    start += (view.getUint8(41) + 1) * 8;
  }
  return protocol === 6 || protocol === 17 ? { start, protocol } : undefined;
}
