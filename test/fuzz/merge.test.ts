// Merging received packets against a reference that cuts every super-packet up again: what comes out must be what went
// in, in order within each flow. What may differ, and nothing else:
//   - IPv4's identification where DF is set (cutting counts it up from the first packet's);
//   - an unfinished checksum comes out finished, and TCP's 0xffff as 0, which means the same.
// PSH stays where it was: a packet that has it is the last of its super-packet, and cutting gives it to the last.

import { expect, test } from "vitest";
import { seededRandom } from "../../pkg/base/backoff.ts";
import { macBytes } from "../../pkg/addr/mac.ts";
import { COUNTER, type CounterName } from "../../pkg/dataplane/tun/counters.ts";
import { LoopMemory } from "../../pkg/dataplane/tun/loop-memory.ts";
import { Receive } from "../../pkg/dataplane/tun/receive.ts";
import { MemoryTun } from "../../pkg/tun/memory-tun.ts";
import { MemoryUnderlay } from "../../pkg/underlay/memory-bind.ts";
import { addr, mac } from "../literals.ts";
import { naiveSum } from "../naive-sum.ts";
import { FlowMaker } from "./flows.ts";
import { finished, pseudo, referenceCut } from "./reference-cut.ts";
import { fuzzTable } from "./table.ts";

const COUNT = Number(process.env["FUZZ_PACKETS"] ?? 300_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

const table = fuzzTable(false);
const VXLAN = [8, 0, 0, 0, 0, 0, table.vni, 0];

// Refused super-packets: none, those of UDP (Linux before 6.2), all.
test.each([
  { flows: 1, refuse: "nothing" },
  { flows: 6, refuse: "nothing" },
  { flows: 30, refuse: "nothing" },
  { flows: 6, refuse: "UDP" },
  { flows: 6, refuse: "all" },
])("$flows flows, the kernel refuses $refuse: every packet comes out as it went in", { timeout: 600_000 }, (mode) => {
  const memory = new LoopMemory();
  const tun = new MemoryTun(memory.arena);
  const bind = new MemoryUnderlay().bind(memory.arena, addr("172.30.77.1"), 8472);
  const receive = new Receive(memory.arena, tun, bind, memory.table, memory.counters, { merge: true });
  const steppedDown: string[] = [];
  receive.onStepDown((what) => steppedDown.push(what));
  memory.table.load(table);
  if (mode.refuse === "UDP") tun.refuses = (frame) => frame[1] === 5;
  if (mode.refuse === "all") tun.refuses = (frame) => isMerged(frame);

  const random = seededRandom(SEED + mode.flows);
  const value = (name: CounterName): number => memory.counters.value(COUNTER[name]);
  let made = 0;
  let bytes = 0;
  let merged = 0;
  let longest = 0;
  let most = 0;
  while (made < COUNT / 5) {
    // New flows every now and then, or one run would see the same few forever.
    const maker = new FlowMaker(random, mode.flows, random() < 0.5 ? 1 : 0.05);
    for (let batches = 0; batches < 50; batches++) {
      const input: Uint8Array[] = [];
      for (let rows = Math.floor(random() * 17); rows > 0; rows--)
        input.push(...deliverRow(bind.waiting, maker, random));
      while (receive.turn() > 0);
      const frames = tun.written.splice(0);
      try {
        expectSame(input.flatMap(asWritten), frames.flatMap(referenceCut));
      } catch (error) {
        throw new Error(`seed ${SEED}, after ${made} packets: ${String(error)}`, { cause: error });
      }
      made += input.length;
      for (const packet of input) bytes += packet.length;
      for (const frame of frames.filter(isMerged)) {
        const segments = referenceCut(frame).length;
        merged += segments;
        most = Math.max(most, segments);
        longest = Math.max(longest, frame.length - 10);
      }
    }
  }
  expect(value("rx_packets")).toBe(made);
  expect(value("rx_bytes")).toBe(bytes);
  expect(value("rx_merged")).toBe(merged);
  if (mode.refuse === "UDP") expect(steppedDown).toEqual(["merging of received UDP packets"]);
  if (mode.refuse === "all") expect(steppedDown.slice(-1)).toEqual(["merging of received packets"]);
  expect(merged > 0).toBe(mode.refuse !== "all");
  if (mode.refuse === "nothing") {
    expect(steppedDown).toEqual([]);
    expect(merged / made).toBeGreaterThan(0.3);
    expect(most).toBe(64);
    expect(longest).toBeGreaterThan(60_000);
    expect(longest).toBeLessThanOrEqual(65535);
  }
});

// Puts one row of the receive table in `waiting`: a datagram, or several of one length from one peer, as UDP_GRO joins
// them. Returns the inner packets.
function deliverRow(
  waiting: {
    push: (datagram: { from: ReturnType<typeof addr>; bytes: Uint8Array; tos: number; partLength?: number }) => void;
  },
  maker: FlowMaker,
  random: () => number,
): Uint8Array[] {
  const packets: Uint8Array[] = [];
  let peer = 0;
  let family = 0;
  let partLength = 0;
  const parts: Uint8Array[] = [];
  let total = 0;
  for (const most = random() < 0.5 ? 1 : 1 + Math.floor(random() * 64); packets.length < most;) {
    const next = maker.next();
    const { packet } = next;
    const packetFamily = (packet[0] ?? 0) >> 4;
    const own = table.ownMac[packetFamily === 4 ? 4 : 6];
    if (!own) throw new Error("no MAC of our own");
    const header = [
      ...VXLAN,
      ...macBytes(own),
      ...macBytes(mac(`0e:00:00:00:0${packetFamily}:0${next.peer}`)),
      ...(packetFamily === 4 ? [8, 0] : [0x86, 0xdd]),
    ];
    const datagram = new Uint8Array(Buffer.concat([Uint8Array.from(header), packet]));
    const fits =
      packets.length === 0 || (next.peer === peer && family === packetFamily && datagram.length <= partLength);
    if (!fits || total + datagram.length > 65_000) {
      // It begins a row of its own, since the maker has moved on.
      waiting.push(rowOf(parts, peer, family, partLength));
      parts.length = 0;
      total = 0;
    }
    if (parts.length === 0) {
      peer = next.peer;
      family = packetFamily;
      partLength = datagram.length;
    }
    packets.push(packet);
    parts.push(datagram);
    total += datagram.length;
    if (datagram.length < partLength) break;
  }
  if (parts.length > 0) waiting.push(rowOf(parts, peer, family, partLength));
  return packets;
}

function rowOf(parts: readonly Uint8Array[], peer: number, family: number, partLength: number) {
  const from = addr(family === 4 ? `172.30.77.${peer}` : `fd77::${peer}`);
  const bytes = new Uint8Array(Buffer.concat(parts));
  return { from, bytes, tos: 0, ...(parts.length > 1 ? { partLength } : {}) };
}

// A super-packet of the merging, not one that came so: those are cut at the MTU.
function isMerged(frame: Uint8Array): boolean {
  return frame[1] !== 0 && !unmergedSizes.has((frame[4] ?? 0) + (frame[5] ?? 0) * 256 + (frame[2] ?? 0));
}
// hdr_len + gso_size of a packet cut at the MTU of its family
const unmergedSizes = new Set([1450, 1430]);

// What one written packet alone becomes: a kernel peer's super-packet is cut at the MTU.
function asWritten(packet: Uint8Array): Uint8Array[] {
  const family = (packet[0] ?? 0) >> 4;
  const mtu = table.mtu[family === 4 ? 4 : 6] ?? 0;
  const upper = upperLayer(packet);
  if (upper?.protocol !== 6 || packet.length <= mtu) return [packet];
  const field = (packet[upper.start + 16] ?? 0) + (packet[upper.start + 17] ?? 0) * 256;
  if (field !== pseudo(packet, family, 6, upper.start)) return [packet]; // the kernel will say that it is too big
  const headers = upper.start + Math.floor((packet[upper.start + 12] ?? 0) / 16) * 4;
  const size = mtu - headers;
  const type = family === 4 ? 1 : 4;
  const frame = [1, type, headers, 0, size & 255, size >> 8, upper.start, 0, 16, 0];
  return referenceCut(new Uint8Array(Buffer.concat([Uint8Array.from(frame), packet])));
}

function expectSame(input: readonly Uint8Array[], output: readonly Uint8Array[]): void {
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
