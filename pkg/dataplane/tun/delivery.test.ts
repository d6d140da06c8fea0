// UDP super-packets of the kernel's vxlan device, which come uncut over a veth: one row of the receive table, with the
// length of the pod's datagrams as its part length.

import { describe, expect, test } from "vitest";
import { fromPeer } from "../../../test/fuzz/rows.ts";
import { fuzzTable } from "../../../test/fuzz/table.ts";
import { pattern, tcpPacket, udpPacket } from "../../../test/inner-packet.ts";
import { addr } from "../../../test/literals.ts";
import {
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP_L4,
  VNET_HDR_LEN,
  VNET_NEEDS_CSUM,
  vnetFlags,
  vnetGsoSize,
  vnetGsoType,
  vnetHdrLen,
} from "../../packet/vnet.ts";
import type { PerFamily } from "../../addr/family.ts";
import { MemoryTun } from "../../tun/memory-tun.ts";
import { MemoryUnderlay } from "../../underlay/memory-bind.ts";
import { COUNTER } from "./counters.ts";
import { LoopMemory } from "./loop-memory.ts";
import { Receive } from "./receive.ts";

const IPV4 = { src: "10.5.2.5", dst: "10.5.1.7" };
const IPV6 = { src: "fd05:0:0:2::5", dst: "fd05:0:0:1::7" };

/** What is written when these bytes arrive in one row with that part length. */
function written(bytes: Uint8Array, partLength: number, merge: boolean, mtu: PerFamily<number> = { 4: 1450, 6: 1430 }) {
  const memory = new LoopMemory();
  const tun = new MemoryTun(memory.arena);
  const bind = new MemoryUnderlay().bind(memory.arena, addr("172.30.77.1"), 8472);
  const receive = new Receive(memory.arena, tun, bind, memory.table, memory.counters, { merge });
  memory.table.load({ ...fuzzTable(false), mtu });
  const from = addr((bytes[20] ?? 0) === 8 ? "172.30.77.2" : "fd77::2");
  bind.waiting.push({ from, bytes, tos: 0, partLength });
  receive.turn();
  const value = (name: keyof typeof COUNTER): number => memory.counters.value(COUNTER[name]);
  return { frames: tun.written, value };
}

describe.each([false, true])("merging %s", (merge) => {
  test.each([
    { between: IPV4, payload: 5000, size: 500, headers: 28 },
    { between: IPV4, payload: 4999, size: 1400, headers: 28 },
    { between: IPV4, payload: 200, size: 100, headers: 28 },
    { between: IPV4, payload: 3, size: 1, headers: 28 },
    { between: IPV6, payload: 5000, size: 500, headers: 48 },
  ])("$payload bytes in datagrams of $size, $headers bytes of headers", ({ between, payload, size, headers }) => {
    const packet = udpPacket({ ...between, payload: pattern(payload), partial: true });
    const { frames, value } = written(fromPeer(2, packet).bytes, size, merge);
    const [frame] = frames;
    if (!frame) throw new Error("nothing was written");
    expect(vnetFlags(frame, 0)).toBe(VNET_NEEDS_CSUM);
    expect(vnetGsoType(frame, 0)).toBe(VNET_GSO_UDP_L4);
    expect(vnetGsoSize(frame, 0)).toBe(size);
    expect(vnetHdrLen(frame, 0)).toBe(headers);
    expect(frame.subarray(VNET_HDR_LEN)).toEqual(packet);
    expect(value("rx_packets")).toBe(1);
  });

  test("datagrams that UDP_GRO joined are taken apart", () => {
    const packets = [100, 100, 40].map((length) => udpPacket({ ...IPV4, payload: pattern(length), partial: true }));
    const datagrams = packets.map((packet) => fromPeer(2, packet).bytes);
    const { value } = written(new Uint8Array(Buffer.concat(datagrams)), datagrams[0]?.length ?? 0, merge);
    expect(value("rx_packets")).toBe(3);
  });

  test("a row of one datagram is that datagram", () => {
    const packet = udpPacket({ ...IPV4, payload: pattern(100) });
    const { bytes } = fromPeer(2, packet);
    const { frames } = written(bytes, bytes.length, merge);
    expect(frames).toEqual([Uint8Array.from([...new Uint8Array(VNET_HDR_LEN), ...packet])]);
  });

  test("a packet that claims more than its part, but not the whole row, is bad", () => {
    const packet = udpPacket({ ...IPV4, payload: pattern(100), partial: true });
    const { bytes } = fromPeer(2, packet);
    const { frames, value } = written(new Uint8Array(Buffer.concat([bytes, bytes])), 100, merge);
    expect(frames.length).toBe(0);
    expect(value("rx_bad_ip")).toBe(1);
  });

  test("one with a finished checksum is none that a kernel leaves, and is counted", () => {
    const packet = udpPacket({ ...IPV4, payload: pattern(1000) });
    const { frames, value } = written(fromPeer(2, packet).bytes, 100, merge);
    expect(frames.length).toBe(0);
    expect(value("rx_uncut_udp")).toBe(1);
  });

  // A pod's interface has one MTU, the smaller family's. What is longer and unfinished is a super-packet of segments that
  // fit it, but of which length they were is lost.
  test.each([
    { between: IPV4, headers: 40, length: 1431, type: VNET_GSO_TCPV4, size: 1240 },
    { between: IPV4, headers: 40, length: 1430, type: VNET_GSO_NONE, size: 0 },
    { between: IPV6, headers: 60, length: 1431, type: VNET_GSO_TCPV6, size: 1220 },
    { between: IPV4, headers: 40, length: 40_000, type: VNET_GSO_TCPV4, size: 1240 },
  ])("TCP of $length bytes in all", ({ between, headers, length, type, size }) => {
    const packet = tcpPacket({ ...between, payload: pattern(length - headers), partial: true });
    const { frames } = written(fromPeer(2, packet).bytes, 0, merge);
    const [frame] = frames;
    if (!frame) throw new Error("nothing was written");
    expect([vnetFlags(frame, 0), vnetGsoType(frame, 0), vnetGsoSize(frame, 0)]).toEqual([VNET_NEEDS_CSUM, type, size]);
  });

  test("UDP that is too long for the pods alone is not taken for a super-packet", () => {
    const packet = udpPacket({ ...IPV4, payload: pattern(1440 - 28), partial: true });
    const { frames } = written(fromPeer(2, packet).bytes, 0, merge);
    expect(frames.map((frame) => frame.length)).toEqual([VNET_HDR_LEN + 1440]);
  });

  test("an underlay that carries less than any link should is heeded", () => {
    const packet = tcpPacket({ ...IPV4, payload: pattern(2000), partial: true });
    const { frames } = written(fromPeer(2, packet).bytes, 0, merge, { 4: 600 });
    expect(frames.map((frame) => vnetGsoSize(frame, 0))).toEqual([560]);
  });
});
