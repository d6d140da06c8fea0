import { describe, expect, test } from "vitest";
import { fromPeer } from "../../../test/fuzz/rows.ts";
import { finished } from "../../../test/fuzz/reference-cut.ts";
import { fuzzTable } from "../../../test/fuzz/table.ts";
import { hex } from "../../../test/hex.ts";
import { pattern, tcpPacket, udpPacket } from "../../../test/inner-packet.ts";
import { addr } from "../../../test/literals.ts";
import { put16, put32, put8 } from "../../packet/bytes.ts";
import { putIpv4HeaderChecksum } from "../../packet/checksum.ts";
import { EBADFD, EIO } from "../../sys/errors.ts";
import { MemoryTun } from "../../tun/memory-tun.ts";
import { type MemoryBind, MemoryUnderlay } from "../../underlay/memory-bind.ts";
import { COUNTERS } from "./counters.ts";
import { LoopMemory } from "./loop-memory.ts";
import { Receive } from "./receive.ts";

const IPV4 = { src: "10.5.2.5", dst: "10.5.1.7" };
const IPV6 = { src: "fd05:0:0:2::5", dst: "fd05:0:0:1::7" };

interface Node {
  readonly memory: LoopMemory;
  readonly tun: MemoryTun;
  readonly bind: MemoryBind;
  readonly receive: Receive;
}

function makeNode(): Node {
  const memory = new LoopMemory();
  const tun = new MemoryTun(memory.arena);
  const bind = new MemoryUnderlay().bind(memory.arena, addr("172.30.77.1"), 8472);
  const receive = new Receive(memory.arena, tun, bind, memory.table, memory.counters, { merge: true });
  memory.table.load(fuzzTable(false));
  return { memory, tun, bind, receive };
}

/** The frames that a batch of packets of peer 2 is written in. */
function written(packets: readonly Uint8Array[], node = makeNode()): Uint8Array[] {
  node.bind.waiting.push(...packets.map((packet) => fromPeer(2, packet)));
  node.receive.turn();
  return node.tun.written.splice(0);
}

const counts = ({ memory }: Node): Record<string, number> =>
  Object.fromEntries(COUNTERS.map((name, i) => [name, memory.counters.value(i)] as const).filter(([, n]) => n !== 0));

const ihlOf = (packet: Uint8Array): number => ((packet[0] ?? 0) >> 4 === 4 ? 20 : 40);

/** The packet with something changed and its checksums right again. */
function changed(packet: Uint8Array, change: (packet: Uint8Array, transport: number) => void): Uint8Array {
  const family = (packet[0] ?? 0) >> 4;
  const bytes = packet.slice();
  change(bytes, ihlOf(packet));
  if (family === 4) putIpv4HeaderChecksum(bytes, 0, 20);
  return finished(bytes, family, bytes[family === 4 ? 9 : 6] ?? 0, ihlOf(packet));
}

interface Segment {
  readonly between?: { readonly src: string; readonly dst: string };
  readonly seq?: number;
  readonly flags?: number;
  readonly payload?: number;
}

function tcp({ between = IPV4, seq = 0, flags = 0x10, payload = 100 }: Segment): Uint8Array {
  return changed(tcpPacket({ ...between, payload: pattern(payload) }), (packet, at) => {
    put32(packet, at + 4, seq);
    put8(packet, at + 13, flags);
  });
}

const udp = (payload = 100, between = IPV4): Uint8Array => udpPacket({ ...between, payload: pattern(payload) });

describe("what a super-packet says", () => {
  test("TCP over IPv4", () => {
    const segments = [tcp({ seq: 0 }), tcp({ seq: 100 }), tcp({ seq: 200, flags: 0x18, payload: 10 })];
    const frames = written(segments);
    expect(frames.length).toBe(1);
    expect(frames[0]?.subarray(0, 50)).toEqual(
      hex(
        // needs a checksum, TCPV4, 40 bytes of headers, cut at 100, sum from 20 on, field at 16 from there
        "01 01 2800 6400 1400 1000" +
          // 250 bytes, identification of the first, DF, PSH of the last, the pseudo-header's sum as checksum
          "4500 00fa 0007 4000 3f06 23e2 0a050205 0a050107" +
          "0fa0 1388 00000000 00000000 5018 0200 1802 0000",
      ),
    );
    expect(frames[0]?.subarray(50)).toEqual(Uint8Array.from([...pattern(100), ...pattern(100), ...pattern(10)]));
  });

  test("TCP over IPv6", () => {
    const frames = written([tcp({ between: IPV6 }), tcp({ between: IPV6, seq: 100 })]);
    expect(frames.length).toBe(1);
    expect(frames[0]?.subarray(0, 70)).toEqual(
      hex(
        "01 04 3c00 6400 2800 1000" +
          "60000000 00dc 06 3f fd050000000000020000000000000005 fd050000000000010000000000000007" +
          "0fa0 1388 00000000 00000000 5010 0200 fafc 0000",
      ),
    );
  });

  test("UDP over IPv4", () => {
    const frames = written([udp(), udp(), udp(1)]);
    expect(frames.length).toBe(1);
    expect(frames[0]?.subarray(0, 38)).toEqual(
      hex("01 05 1c00 6400 1400 0600 4500 00e5 0007 4000 3f11 23ec 0a050205 0a050107 0fa0 1388 00d1 17f8"),
    );
  });

  test("UDP over IPv6", () => {
    const frames = written([udp(100, IPV6), udp(100, IPV6)]);
    expect(frames.length).toBe(1);
    expect(frames[0]?.subarray(0, 58)).toEqual(
      hex(
        "01 05 3000 6400 2800 0600" +
          "60000000 00d0 11 3f fd050000000000020000000000000005 fd050000000000010000000000000007" +
          "0fa0 1388 00d0 fafb",
      ),
    );
  });

  test("a single packet is written as without merging", () => {
    const [frame] = written([tcp({})]);
    expect(frame).toEqual(Uint8Array.from([...new Uint8Array(10), ...tcp({})]));
  });
});

// In how many frames two packets in a row are written.
describe("two TCP segments", () => {
  const second = { seq: 100 };
  const partial = tcpPacket({ ...IPV4, payload: pattern(100), partial: true });
  test.each<[string, number, Uint8Array, Uint8Array]>([
    ["follow each other", 1, tcp({}), tcp(second)],
    ["and the sequence number wraps", 1, tcp({ seq: 2 ** 32 - 100 }), tcp({ seq: 0 })],
    ["and the first has no finished checksum", 1, partial, tcp(second)],
    ["and the second is shorter", 1, tcp({}), tcp({ ...second, payload: 1 })],
    ["and the second has PSH", 1, tcp({}), tcp({ ...second, flags: 0x18 })],
    ["and the identification does not count, with DF", 1, tcp({}), changed(tcp(second), (p) => put16(p, 4, 77))],
    ["but the first has PSH", 2, tcp({ flags: 0x18 }), tcp(second)],
    ["but the second is longer", 2, tcp({}), tcp({ ...second, payload: 101 })],
    ["but there is a hole", 2, tcp({}), tcp({ seq: 101 })],
    ["but the second came before", 2, tcp({ seq: 100 }), tcp({})],
    ["but they are the same", 2, tcp({}), tcp({})],
    ["but the second has no data", 2, tcp({}), tcp({ ...second, payload: 0 })],
    ["but the first has no data", 2, tcp({ payload: 0, seq: 100 }), tcp(second)],
    ...[0x11, 0x12, 0x14, 0x30, 0x50, 0x90, 0x00].flatMap((flags): [string, number, Uint8Array, Uint8Array][] => [
      [`but the second has flags ${flags}`, 2, tcp({}), tcp({ ...second, flags })],
      [`but the first has flags ${flags}`, 2, tcp({ flags }), tcp(second)],
      [`but both have flags ${flags}`, 2, tcp({ flags }), tcp({ ...second, flags })],
    ]),
    ["but the acknowledgment differs", 2, tcp({}), changed(tcp(second), (p, at) => put8(p, at + 11, 1))],
    ["but the window differs", 2, tcp({}), changed(tcp(second), (p, at) => put8(p, at + 15, 1))],
    ["but the urgent pointer differs", 2, tcp({}), changed(tcp(second), (p, at) => put8(p, at + 19, 1))],
    ["but a reserved bit is set", 2, tcp({}), changed(tcp(second), (p, at) => put8(p, at + 12, 0x51))],
    [
      "but both have a reserved bit set",
      2,
      changed(tcp({}), (p, at) => put8(p, at + 12, 0x51)),
      changed(tcp(second), (p, at) => put8(p, at + 12, 0x51)),
    ],
    ["but the header's length differs", 2, tcp({}), changed(tcp(second), (p, at) => put8(p, at + 12, 0x60))],
    ["but a port differs", 2, tcp({}), changed(tcp(second), (p, at) => put8(p, at + 1, 1))],
    ["but the source differs", 2, tcp({}), tcp({ ...second, between: { ...IPV4, src: "10.5.2.6" } })],
    ["but the destination differs", 2, tcp({}), tcp({ ...second, between: { ...IPV4, dst: "10.5.1.8" } })],
    [
      "but the source differs and the checksum does not",
      2,
      tcp({ between: IPV6 }),
      tcp({ ...second, between: { ...IPV6, src: "fd05:0:0:2::4:1" } }),
    ],
    ["but the TOS differs", 2, tcp({}), changed(tcp(second), (p) => put8(p, 1, 1))],
    ["but the TTL differs", 2, tcp({}), changed(tcp(second), (p) => put8(p, 8, 62))],
    ["but DF differs", 2, tcp({}), changed(tcp(second), (p) => put16(p, 6, 0))],
    ["but the reserved bit of IPv4 is set", 2, tcp({}), changed(tcp(second), (p) => put16(p, 6, 0xc000))],
    ["but the second is a fragment", 2, tcp({}), changed(tcp(second), (p) => put16(p, 6, 0x2000))],
    ["but the second is corrupt", 2, tcp({}), corrupt(tcp(second))],
    ["but the first is corrupt", 2, corrupt(tcp({})), tcp(second)],
  ])("%s: %i", (_, frames, a, b) => {
    expect(written([a, b]).length).toBe(frames);
  });

  test("and a third whose options are the others' data", () => {
    const third = changed(tcp({ seq: 200 }), (p, at) => put8(p, at + 12, 0x60));
    expect(written([tcp({}), tcp(second), third]).length).toBe(2);
  });

  test.each<[string, number, (packet: Uint8Array) => void]>([
    ["nothing", 1, () => {}],
    ["traffic class", 2, (p) => put8(p, 1, 0x10)],
    ["flow label", 2, (p) => put8(p, 3, 1)],
    ["hop limit", 2, (p) => put8(p, 7, 62)],
  ])("over IPv6 that differ in %s: %i", (_, frames, change) => {
    expect(written([tcp({ between: IPV6 }), changed(tcp({ between: IPV6, seq: 100 }), change)]).length).toBe(frames);
  });

  test.each([
    [6, 7, 1],
    [7, 7, 2],
    [7, 6, 2],
    [0xffff, 0, 1],
  ])("without DF, identification %i and %i: %i", (a, b, frames) => {
    const withId = (packet: Uint8Array, id: number): Uint8Array =>
      changed(packet, (p) => {
        put16(p, 4, id);
        put16(p, 6, 0);
      });
    expect(written([withId(tcp({}), a), withId(tcp({ seq: 100 }), b)]).length).toBe(frames);
  });
});

describe("two UDP datagrams", () => {
  // No checksum (0), over bytes whose sum would make it 0xffff.
  const zeroSum = (): Uint8Array => {
    const bytes = changed(udp(), (p) => put16(p, 28, 0));
    bytes.copyWithin(28, 26, 28);
    bytes.fill(0, 26, 28);
    return bytes;
  };
  const noChecksum = (packet: Uint8Array): Uint8Array => {
    const bytes = packet.slice();
    bytes.fill(0, 26, 28);
    return bytes;
  };
  test.each<[string, number, Uint8Array, Uint8Array]>([
    ["of one length", 1, udp(), udp()],
    ["of which the second is shorter", 1, udp(), udp(1)],
    ["of which the second is longer", 2, udp(), udp(101)],
    ["of which the second is empty", 2, udp(), udp(0)],
    ["both empty", 2, udp(0), udp(0)],
    ["without checksums", 2, noChecksum(udp()), noChecksum(udp())],
    ["of which the second has no checksum", 2, udp(), noChecksum(udp())],
    ["without checksums, though 0 would be right", 2, zeroSum(), zeroSum()],
    ["of which the second is corrupt", 2, udp(), corrupt(udp())],
    ["of which the first is corrupt", 2, corrupt(udp()), udp()],
    ["of which one is shorter than IP says", 2, udp(), changed(udp(), (p, at) => put16(p, at + 4, 107))],
    ["of two ports", 2, udp(), changed(udp(), (p, at) => put8(p, at + 3, 1))],
  ])("%s: %i", (_, frames, a, b) => {
    expect(written([a, b]).length).toBe(frames);
  });
});

function corrupt(packet: Uint8Array): Uint8Array {
  const bytes = packet.slice();
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
  return bytes;
}

describe("many", () => {
  test("64 segments and no more", () => {
    const node = makeNode();
    const parts = Buffer.concat(Array.from({ length: 65 }, () => fromPeer(2, udp()).bytes));
    const { from, bytes } = fromPeer(2, udp());
    node.bind.waiting.push({ from, tos: 0, bytes: new Uint8Array(parts), partLength: bytes.length });
    node.receive.turn();
    expect(node.tun.written.map((frame) => frame.length)).toEqual([10 + 28 + 64 * 100, 10 + 28 + 100]);
    expect(counts(node)).toEqual({ rx_packets: 65, rx_bytes: 65 * 128, rx_merged: 64 });
    expect(node.memory.table.counts(0)).toMatchObject({ rxPackets: 65, rxBytes: 65 * 128 });
  });

  test("65,535 bytes and no more", () => {
    const node = makeNode();
    for (let i = 0; i < 48; i++) node.bind.waiting.push(fromPeer(2, tcp({ seq: i * 1400, payload: 1400 })));
    // The receive table has 16 rows: joined in threes, all come in one batch.
    const rows = node.bind.waiting.splice(0);
    for (let i = 0; i < rows.length; i += 3) {
      const bytes = new Uint8Array(Buffer.concat(rows.slice(i, i + 3).map((row) => row.bytes)));
      const first = rows[i];
      if (first) node.bind.waiting.push({ ...first, bytes, partLength: first.bytes.length });
    }
    node.receive.turn();
    expect(node.tun.written.map((frame) => (frame.length - 50) / 1400)).toEqual([46, 2]);
  });

  test("eight flows side by side; a ninth takes the place of one, and nothing is lost", () => {
    const packet = (flow: number, seq: number): Uint8Array =>
      changed(tcp({ seq }), (p, at) => put16(p, at, 1000 + flow));
    const both = (flows: number): Uint8Array[] =>
      [0, 100].flatMap((seq) => Array.from({ length: flows }, (_, flow) => packet(flow, seq)));
    expect(written(both(8)).length).toBe(8);
    const nine = both(9).slice(0, 16);
    const frames = written(nine).map((frame) => Buffer.from(frame.subarray(10)).toString("hex"));
    expect(frames.toSorted()).toEqual(nine.map((each) => Buffer.from(each).toString("hex")).toSorted());
  });

  test("a packet between the same hosts that shows no ports is not overtaken", () => {
    const fragment = changed(udp(50), (p) => put16(p, 6, 0x2000));
    const frames = written([udp(), udp(), fragment, udp()]);
    expect(frames.map((frame) => frame.length - 10)).toEqual([228, 78, 128]);
  });

  test("a pure acknowledgment stays where it was among the data", () => {
    const frames = written([tcp({}), tcp({ seq: 100 }), tcp({ seq: 200, payload: 0 }), tcp({ seq: 200 })]);
    expect(frames.map((frame) => frame.length - 10)).toEqual([240, 40, 140]);
  });

  test("packets of two peers are not merged", () => {
    const node = makeNode();
    const foreign = [0, 100].map((seq) => tcp({ between: { ...IPV4, src: "203.0.113.9" }, seq }));
    node.bind.waiting.push(...foreign.map((packet, i) => fromPeer(2 + i, packet)));
    node.receive.turn();
    expect(node.tun.written.length).toBe(2);
    node.bind.waiting.push(...foreign.map((packet) => fromPeer(2, packet)));
    node.receive.turn();
    expect(node.tun.written.length).toBe(3);
    expect(counts(node)).toMatchObject({ rx_packets: 4, rx_foreign_accepted: 4, rx_merged: 2 });
  });
});

describe("a write that fails", () => {
  const pair = [tcp({}), tcp({ seq: 100 })];

  test("an unknown kind of super-packet is written in single packets, and this is told once", () => {
    const node = makeNode();
    const told: string[] = [];
    node.receive.onStepDown((what) => told.push(what));
    node.tun.refuses = (frame) => frame[1] === 5;
    const run = [udp(), udp(), udp(7)];
    for (let i = 0; i < 3; i++) {
      expect(written(run, node).map((frame) => frame.subarray(10))).toEqual(run);
    }
    expect(told).toEqual(["merging of received UDP packets"]);
    expect(written(pair, node).length).toBe(1);
  });

  test("when TCP's are refused, nothing is merged any more", () => {
    const node = makeNode();
    const told: string[] = [];
    node.receive.onStepDown((what) => told.push(what));
    node.tun.refuses = (frame) => frame[1] !== 0;
    const push = [tcp({}), tcp({ seq: 100, flags: 0x18 })];
    expect(written(push, node).map((frame) => frame.subarray(10))).toEqual(push);
    node.tun.refuses = undefined;
    expect(written([...pair, udp(), udp()], node).length).toBe(4);
    expect(told).toEqual(["merging of received packets"]);
  });

  test("any other error loses all of it, counted one by one", () => {
    const node = makeNode();
    node.tun.failWrites = EIO;
    written(pair, node);
    expect(counts(node)).toEqual({ tun_write_errors: 2 });
  });

  test("a device that is gone is a fault", () => {
    const node = makeNode();
    node.tun.failWrites = EBADFD;
    written(pair, node);
    expect(node.receive.fault).toBe(EBADFD);
  });
});
