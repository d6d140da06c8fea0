import { writeSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hex } from "../../../test/hex.ts";
import { pattern, tcpPacket, udpPacket } from "../../../test/inner-packet.ts";
import { addr } from "../../../test/literals.ts";
import { MemoryNode, PORT, row, table } from "../../../test/memory-node.ts";
import { systemClock } from "../../base/clock.ts";
import { ipTos } from "../../packet/ip.ts";
import {
  putVnet,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_UDP_L4,
  VNET_HDR_LEN,
  VNET_NEEDS_CSUM,
  vnetCsumOffset,
  vnetCsumStart,
  vnetFlags,
  vnetGsoSize,
  vnetGsoType,
  vnetHdrLen,
} from "../../packet/vnet.ts";
import { EBADFD } from "../../sys/errors.ts";
import { WakeFd } from "../../sys/wake-fd.ts";
import { MemoryUnderlay } from "../../underlay/memory-bind.ts";
import { COUNTER } from "./counters.ts";
import type { TunnelGso } from "./tunnel-gso.ts";

const MAC_A = "0a:00:00:00:00:0a";
const MAC_B = "0a:00:00:00:00:0b";
const IP_A = "192.0.2.1";
const IP_B = "192.0.2.2";
const IP6_A = "2001:db8::1";
const IP6_B = "2001:db8::2";

/** Nodes a (10.5.1.0/24) and b (10.5.2.0/24), each the other's peer. */
function pair(options: { strict?: boolean } = {}): { underlay: MemoryUnderlay; a: MemoryNode; b: MemoryNode } {
  const underlay = new MemoryUnderlay();
  const a = new MemoryNode(
    underlay,
    IP_A,
    table({ subnet: "10.5.1.0/24", mac: MAC_A, addrs: [IP_A], rows: [row(0, "10.5.2.0/24", IP_B, MAC_B)] }),
  );
  const b = new MemoryNode(
    underlay,
    IP_B,
    table({ subnet: "10.5.2.0/24", mac: MAC_B, addrs: [IP_B], rows: [row(0, "10.5.1.0/24", IP_A, MAC_A)], ...options }),
  );
  return { underlay, a, b };
}

const ping = (payload = pattern(100)): Uint8Array => udpPacket({ src: "10.5.1.5", dst: "10.5.2.7", payload });

/** `inner` as node a would send it, for tests that then spoil it. */
function encapsulated(inner: Uint8Array): Uint8Array {
  const { underlay, a } = pair();
  const tap = underlay.bind(a.memory.arena, addr(IP_B), PORT);
  a.send(inner);
  a.settle();
  const datagram = tap.waiting[0];
  if (!datagram) throw new Error("nothing was sent");
  return datagram.bytes;
}

describe("from pod to pod", () => {
  test("a packet arrives as it was sent, and both sides count it", () => {
    const { a, b } = pair();
    a.send(ping());
    a.settle();
    b.settle();
    expect(b.delivered()).toEqual([ping()]);
    expect(a.counts()).toEqual({ tx_packets: 1, tx_bytes: 128 });
    expect(b.counts()).toEqual({ rx_packets: 1, rx_bytes: 128 });
    expect(a.memory.table.counts(0)).toMatchObject({ txPackets: 1, txBytes: 128 });
    expect(b.memory.table.counts(0)).toMatchObject({ rxPackets: 1, rxBytes: 128 });
  });

  test("the datagram is VXLAN as the kernel's device sends it", () => {
    const bytes = encapsulated(ping());
    expect(bytes.subarray(0, 22)).toEqual(hex("08000000 00000100 | 0a000000000b 0a000000000a 0800"));
    expect(bytes.subarray(22)).toEqual(ping());
  });

  test("a thousand packets of changing sizes arrive complete and in order", () => {
    const { a, b } = pair();
    const sent = Array.from({ length: 1000 }, (_, i) => ping(pattern((i * 37) % 1400)));
    for (const packet of sent) a.send(packet);
    a.settle();
    b.settle();
    expect(b.delivered()).toEqual(sent);
  });

  test("IPv6 travels over IPv6", () => {
    const underlay = new MemoryUnderlay();
    const own = { subnet6: "fd05:0:0:1::/64", subnet: "10.5.1.0/24", mac: MAC_A };
    const a = new MemoryNode(
      underlay,
      IP6_A,
      table({ ...own, addrs: [IP6_A], rows: [row(0, "fd05:0:0:2::/64", IP6_B, MAC_B)] }),
    );
    const b = new MemoryNode(
      underlay,
      IP6_B,
      table({
        subnet: "10.5.2.0/24",
        subnet6: "fd05:0:0:2::/64",
        mac: MAC_B,
        addrs: [IP6_B],
        rows: [row(0, "fd05:0:0:1::/64", IP6_A, MAC_A)],
      }),
    );
    const packet = tcpPacket({ src: "fd05:0:0:1::5", dst: "fd05:0:0:2::7", payload: pattern(77) });
    a.send(packet);
    a.settle();
    b.settle();
    expect(b.delivered()).toEqual([packet]);
  });

  test("the peer's host address may send into the overlay", () => {
    const { a, b } = pair();
    const packet = udpPacket({ src: IP_A, dst: "10.5.2.7", payload: pattern(8) });
    a.send(packet);
    a.settle();
    b.settle();
    expect(b.delivered()).toEqual([packet]);
  });
});

describe("what is not carried has a name", () => {
  test.each([
    ["tx_no_route", udpPacket({ src: "10.5.1.5", dst: "10.5.9.9", payload: pattern(8) })],
    ["tx_no_route", udpPacket({ src: "fd05::5", dst: "fd05:0:0:2::9", payload: pattern(8) })],
    ["tx_not_ip", Uint8Array.of(0x20, 1, 2, 3)],
    ["tx_not_ip", ping().subarray(0, 60)],
  ])("%s", (name, packet) => {
    const { a } = pair();
    a.send(packet);
    a.settle();
    expect(a.counts()).toEqual({ [name]: 1 });
  });

  // Offsets: VXLAN at 0, Ethernet at 8, IP at 22.
  test.each<[string, (bytes: Uint8Array) => void]>([
    ["rx_bad_flags", (b) => b.set([0x0c], 0)],
    ["rx_bad_flags", (b) => b.set([1], 3)],
    ["rx_bad_flags", (b) => b.set([1], 7)],
    ["rx_bad_vni", (b) => b.set([2], 6)],
    ["rx_bad_mac", (b) => b.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 8)],
    ["rx_bad_mac", (b) => b.copyWithin(14, 8, 14)],
    ["rx_not_ip", (b) => b.set([0x08, 0x06], 20)],
    ["rx_not_ip", (b) => b.set([0x81, 0x00], 20)],
    ["rx_bad_ip", (b) => b.set([0x44], 22)],
    ["rx_bad_ip", (b) => b.set([0x60], 22)],
    ["rx_bad_ip", (b) => b.set([0xff, 0xff], 24)],
    ["rx_bad_ip", (b) => b.set([1], 30)], // TTL changed, header checksum not
  ])("%s", (name, spoil) => {
    const { underlay, b } = pair();
    const bytes = encapsulated(ping()).slice();
    spoil(bytes);
    underlay.deliver(addr(IP_B), PORT, { from: addr(IP_A), bytes, tos: 0 });
    b.settle();
    expect(b.counts()).toEqual({ [name]: 1 });
    expect(b.delivered()).toEqual([]);
  });

  test("rx_short, whatever the length", () => {
    const { underlay, b } = pair();
    const bytes = encapsulated(ping());
    for (let n = 0; n < 22; n++) {
      underlay.deliver(addr(IP_B), PORT, { from: addr(IP_A), bytes: bytes.subarray(0, n), tos: 0 });
    }
    b.settle();
    expect(b.counts()).toEqual({ rx_short: 22 });
  });

  test("rx_unknown_peer: a right packet from a wrong address", () => {
    const { underlay, b } = pair();
    underlay.deliver(addr(IP_B), PORT, { from: addr("192.0.2.66"), bytes: encapsulated(ping()), tos: 0 });
    b.settle();
    expect(b.counts()).toEqual({ rx_unknown_peer: 1 });
  });

  test.each([
    ["rx_spoofed_source", "10.5.2.9", "10.5.2.7"], // our own subnet
    ["rx_spoofed_source", "10.5.77.1", "10.5.2.7"], // nobody's subnet
    ["rx_spoofed_source", IP_B, "10.5.2.7"], // our own host address
    ["rx_martian", "127.0.0.1", "10.5.2.7"],
    ["rx_martian", "0.0.0.0", "10.5.2.7"],
    ["rx_martian", "224.0.0.5", "10.5.2.7"],
    ["rx_martian", "255.255.255.255", "10.5.2.7"],
    ["rx_martian", "169.254.1.1", "10.5.2.7"],
    ["rx_bad_destination", "10.5.1.5", "10.5.77.1"],
    ["rx_bad_destination", "10.5.1.5", "10.5.1.6"], // back to the sender
    ["rx_bad_destination", "10.5.1.5", "224.0.0.5"],
    ["rx_bad_destination", "10.5.1.5", "127.0.0.1"],
    ["rx_bad_destination", "10.5.1.5", "255.255.255.255"],
  ])("%s: from %s to %s", (name, src, dst) => {
    const { underlay, b } = pair();
    const header = encapsulated(ping()).subarray(0, 22);
    const bytes = Uint8Array.from([...header, ...udpPacket({ src, dst, payload: pattern(20) })]);
    underlay.deliver(addr(IP_B), PORT, { from: addr(IP_A), bytes, tos: 0 });
    b.settle();
    expect(b.counts()).toEqual({ [name]: 1 });
    expect(b.delivered()).toEqual([]);
  });

  test("a peer may not send from another peer's subnet", () => {
    const underlay = new MemoryUnderlay();
    const rows = [row(0, "10.5.1.0/24", IP_A, MAC_A), row(1, "10.5.3.0/24", "192.0.2.3", "0a:00:00:00:00:0c")];
    const b = new MemoryNode(underlay, IP_B, table({ subnet: "10.5.2.0/24", mac: MAC_B, addrs: [IP_B], rows }));
    underlay.deliver(addr(IP_B), PORT, { from: addr("192.0.2.3"), bytes: encapsulated(ping()), tos: 0 });
    b.settle();
    expect(b.counts()).toEqual({ rx_spoofed_source: 1 });
  });

  test.each([
    [false, { rx_packets: 1, rx_bytes: 48, rx_foreign_accepted: 1 }],
    [true, { rx_foreign_source: 1 }],
  ])("a source outside the pod network, strict %s", (strict, counts) => {
    const { underlay, b } = pair({ strict });
    const header = encapsulated(ping()).subarray(0, 22);
    const packet = udpPacket({ src: "203.0.113.5", dst: "10.5.2.7", payload: pattern(20) });
    underlay.deliver(addr(IP_B), PORT, { from: addr(IP_A), bytes: Uint8Array.from([...header, ...packet]), tos: 0 });
    b.settle();
    expect(b.counts()).toEqual(counts);
  });

  test("bytes behind the IP packet are padding and are cut off", () => {
    const { underlay, b } = pair();
    const bytes = Uint8Array.from([...encapsulated(ping()), 0, 0, 0, 0, 0, 0]);
    underlay.deliver(addr(IP_B), PORT, { from: addr(IP_A), bytes, tos: 0 });
    b.settle();
    expect(b.delivered()).toEqual([ping()]);
  });
});

describe("a full socket", () => {
  test("stops the reading of the device, loses nothing and doubles nothing", () => {
    const { a, b } = pair();
    const sent = Array.from({ length: 300 }, (_, i) => ping(pattern((i * 53) % 900)));
    for (const packet of sent) a.send(packet);
    for (let rounds = 0; rounds < 200; rounds++) {
      a.bind.credit = rounds % 5;
      a.loop.turn();
    }
    a.bind.credit = Number.POSITIVE_INFINITY;
    a.settle();
    b.settle();
    expect(b.delivered()).toEqual(sent);
    expect(a.counts()).toMatchObject({ tx_packets: 300 });
  });

  // A super-packet goes by the tunnel; where datagrams to its peer wait for the socket it is cut and waits behind them.
  test("keeps all of a super-packet behind the datagrams that it would have overtaken", () => {
    const underlay = new MemoryUnderlay();
    const rows = [row(0, "10.5.2.0/24", IP_B, MAC_B), row(1, "10.5.3.0/24", "192.0.2.3", "0a:00:00:00:00:0c")];
    const own = table({ subnet: "10.5.1.0/24", mac: MAC_A, addrs: [IP_A], rows });
    const takesAll = { on: true, refused: false, send: () => 1 } as unknown as TunnelGso;
    const a = new MemoryNode(underlay, IP_A, own, takesAll);
    const [b, c] = [IP_B, "192.0.2.3"].map((ip) => underlay.bind(a.memory.arena, addr(ip), PORT));
    const between = { src: "10.5.1.5", dst: "10.5.2.7" };
    const superPacket = (payload: number, type: number, headers: number, size: number, offset: number): void => {
      const vnet = new Uint8Array(VNET_HDR_LEN);
      putVnet(vnet, 0, VNET_NEEDS_CSUM, type, headers, size, 20, offset);
      const make = type === VNET_GSO_TCPV4 ? tcpPacket : udpPacket;
      a.send(make({ ...between, payload: pattern(payload), partial: true }), vnet);
    };
    a.bind.credit = 0;
    superPacket(3 * 1420, VNET_GSO_UDP_L4, 28, 1420, 6);
    superPacket(5 * 1408, VNET_GSO_TCPV4, 40, 1408, 16); // of the length of the datagrams
    a.loop.turn();
    a.bind.credit = Number.POSITIVE_INFINITY;
    a.settle();
    expect(b?.waiting.map(({ bytes }) => bytes.length)).toEqual(Array.from({ length: 8 }, () => 1470));
    expect(b?.waiting.map(({ bytes }) => bytes[22 + 9])).toEqual([17, 17, 17, 6, 6, 6, 6, 6]);
    expect(a.counts()).toMatchObject({ tx_packets: 8 });
    // Nothing of it is left for when the socket fills again.
    a.bind.credit = 0;
    for (const length of [100, 300]) a.send(udpPacket({ ...between, dst: "10.5.3.9", payload: pattern(length) }));
    a.loop.turn();
    a.bind.credit = Number.POSITIVE_INFINITY;
    a.settle();
    expect(c?.waiting.map(({ bytes }) => bytes.length)).toEqual([150, 350]);
  });

  test("of one family is waited for, though the other family's can be written to", () => {
    const { a } = pair();
    const [wake, full, empty] = [new WakeFd(), new WakeFd(), new WakeFd()];
    writeSync(full.fd, new BigUint64Array([2n ** 64n - 2n])); // eventfd(2): the most it holds
    Object.assign(a.bind, { fds: [full.fd, empty.fd], fullFd: full.fd, credit: 0 });
    a.send(ping());
    a.loop.turn();
    const end = systemClock.now() + 500;
    a.loop.run(wake.fd, () => systemClock.now() < end, "transmit"); // what is full can be read
    expect(a.loop.transmit.blocked).toBe(true);
    expect(a.memory.counters.value(COUNTER.loop_turns)).toBeLessThan(5);
    for (const each of [wake, full, empty]) each.close();
  });

  test("does not stop the other direction", () => {
    const { a, b } = pair();
    a.bind.credit = 0;
    a.send(ping());
    a.loop.turn();
    expect(a.loop.transmit.blocked).toBe(true);
    const back = udpPacket({ src: "10.5.2.7", dst: "10.5.1.5", payload: pattern(9) });
    b.send(back);
    b.settle();
    a.settle();
    expect(a.delivered()).toEqual([back]);
  });
});

describe("the tunnel", () => {
  test.each([
    { what: "TCP over IPv4", version: 4, near: false, whole: true },
    { what: "TCP over IPv6 to a peer with no router on the way", version: 6, near: true, whole: true },
    // A packet that is too large would be lost there: neither the host nor a router cuts what it forwards.
    { what: "TCP over IPv6 to any other peer", version: 6, near: false, whole: false },
  ])("$what leaves through it: $whole", ({ version, near, whole }) => {
    const [subnet, dst] = version === 4 ? ["10.5.2.0/24", "10.5.2.7"] : ["fd05:0:0:2::/64", "fd05:0:0:2::7"];
    const addrs = version === 4 ? [IP_A, IP_B] : [IP6_A, IP6_B];
    const own = { subnet: "10.5.1.0/24", subnet6: "fd05:0:0:1::/64", mac: MAC_A, addrs: [addrs[0] as string] };
    let taken = 0;
    const tunnel = { on: true, refused: false, send: () => ++taken } as unknown as TunnelGso;
    const rows = [{ ...row(0, subnet, addrs[1] as string, MAC_B), near }];
    const a = new MemoryNode(new MemoryUnderlay(), addrs[0] as string, table({ ...own, rows }), tunnel);
    a.send(tcpPacket({ src: version === 4 ? "10.5.1.5" : "fd05:0:0:1::5", dst: dst, payload: pattern(77) }));
    a.settle();
    expect(taken).toBe(whole ? 1 : 0);
    expect(a.counts()).toMatchObject({ tx_packets: 1 });
  });
});

describe("packets that a kernel vxlan peer hands over unfinished", () => {
  const deliver = (inner: Uint8Array): MemoryNode => {
    const { underlay, b } = pair();
    const bytes = Uint8Array.from([...encapsulated(ping()).subarray(0, 22), ...inner]);
    underlay.deliver(addr(IP_B), PORT, { from: addr(IP_A), bytes, tos: 0 });
    b.settle();
    return b;
  };
  const header = (node: MemoryNode): Record<string, number> => {
    const frame = node.tun.written[0];
    if (!frame) throw new Error("nothing was written");
    return {
      flags: vnetFlags(frame, 0),
      type: vnetGsoType(frame, 0),
      headers: vnetHdrLen(frame, 0),
      size: vnetGsoSize(frame, 0),
      start: vnetCsumStart(frame, 0),
      offset: vnetCsumOffset(frame, 0),
    };
  };
  const between = { src: "10.5.1.5", dst: "10.5.2.7" };

  test("a partial TCP checksum is left to the kernel to finish", () => {
    const b = deliver(tcpPacket({ ...between, payload: pattern(100), partial: true }));
    expect(header(b)).toEqual({
      flags: VNET_NEEDS_CSUM,
      type: VNET_GSO_NONE,
      headers: 40,
      size: 0,
      start: 20,
      offset: 16,
    });
  });

  test("a partial UDP checksum, too", () => {
    const b = deliver(udpPacket({ ...between, payload: pattern(100), partial: true }));
    expect(header(b)).toEqual({
      flags: VNET_NEEDS_CSUM,
      type: VNET_GSO_NONE,
      headers: 28,
      size: 0,
      start: 20,
      offset: 6,
    });
  });

  test("a complete checksum is left for the receiver to verify", () => {
    const b = deliver(tcpPacket({ ...between, payload: pattern(100) }));
    expect(header(b)).toEqual({ flags: 0, type: VNET_GSO_NONE, headers: 0, size: 0, start: 0, offset: 0 });
  });

  test("a TCP super-packet is cut to what every link carries", () => {
    const b = deliver(tcpPacket({ ...between, payload: pattern(40_000), partial: true }));
    expect(header(b)).toEqual({
      flags: VNET_NEEDS_CSUM,
      type: VNET_GSO_TCPV4,
      headers: 40,
      size: 1240,
      start: 20,
      offset: 16,
    });
  });

  test("a UDP super-packet cannot be cut and is counted", () => {
    const b = deliver(udpPacket({ ...between, payload: pattern(3000), partial: true }));
    expect(b.counts()).toEqual({ rx_uncut_udp: 1 });
  });
});

describe("ECN, RFC 6040", () => {
  test.each([0, 1, 2, 3])("inner field %i is copied to the outer header", (ecn) => {
    const { underlay, a } = pair();
    const tap = underlay.bind(a.memory.arena, addr(IP_B), PORT);
    a.send(udpPacket({ src: "10.5.1.5", dst: "10.5.2.7", payload: pattern(8), tos: 0xb8 | ecn }));
    a.settle();
    expect(tap.waiting[0]?.tos).toBe(ecn);
  });

  test.each([
    // outer, inner, then what arrives inside; undefined: dropped
    [0, 0, 0],
    [0, 1, 1],
    [0, 2, 2],
    [0, 3, 3],
    [1, 0, 0],
    [1, 1, 1],
    [1, 2, 1],
    [1, 3, 3],
    [2, 0, 0],
    [2, 1, 1],
    [2, 2, 2],
    [2, 3, 3],
    [3, 0, undefined],
    [3, 1, 3],
    [3, 2, 3],
    [3, 3, 3],
  ])("outer %i and inner %i give %s", (outer, inner, result) => {
    const { underlay, b } = pair();
    const packet = udpPacket({ src: "10.5.1.5", dst: "10.5.2.7", payload: pattern(8), tos: inner });
    const bytes = Uint8Array.from([...encapsulated(ping()).subarray(0, 22), ...packet]);
    underlay.deliver(addr(IP_B), PORT, { from: addr(IP_A), bytes, tos: outer });
    b.settle();
    const delivered = b.delivered()[0];
    expect(delivered && ipTos(delivered, 0)).toBe(result);
    if (result === undefined) expect(b.counts()).toEqual({ rx_ecn: 1 });
    else expect(delivered).toEqual(udpPacket({ src: "10.5.1.5", dst: "10.5.2.7", payload: pattern(8), tos: result }));
  });
});

test("a device that is gone ends the loop with a sentence", () => {
  const { a } = pair();
  a.tun.close();
  expect(() => a.loop.turn()).toThrow("the TUN device memory is gone (EBADFD)");
  const { b } = pair();
  b.tun.failWrites = EBADFD;
  expect(() => b.loop.turn()).not.toThrow(); // nothing was written yet
});
