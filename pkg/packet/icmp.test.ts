import * as fc from "fast-check";
import { expect, test } from "vitest";
import { guarded } from "../../test/guarded.ts";
import { hex } from "../../test/hex.ts";
import { get16, get32 } from "./bytes.ts";
import { transportChecksumOk } from "./checksum.ts";
import {
  ICMP_ECHO_REQUEST,
  ICMPV6_ECHO_REPLY,
  icmpCode,
  icmpEchoId,
  icmpEchoSeq,
  icmpType,
  mayAnswer,
  putIcmpEcho,
  putPacketTooBig,
} from "./icmp.ts";
import { IPPROTO_ICMP, IPPROTO_ICMPV6, ipPacketLength, ipTtl, ipv4HeaderOk, putIpv4, putIpv6 } from "./ip.ts";

const POD = 0x0a05_0b0a; // 10.5.11.10
const PEER = 0x0a05_260a; // 10.5.38.10
const ADDRS6 = hex(`fd05${"00".repeat(13)}01 fd05${"00".repeat(13)}02`);
const zeros = (bytes: number): string => "00".repeat(bytes);

// A UDP packet of `length` bytes from the pod, at place 1.
function packet4(length: number): Uint8Array {
  const buf = Uint8Array.from({ length: length + 1 }, (_, i) => i);
  putIpv4(buf, 1, 0, length, 7, 0x4000, 64, 17, POD, PEER);
  return buf;
}
function packet6(length: number): Uint8Array {
  const buf = Uint8Array.from({ length: length + 1 }, (_, i) => i);
  putIpv6(buf, 1, 0, length - 40, 17, 64, ADDRS6, 0, ADDRS6, 16);
  return buf;
}

test("putIcmpEcho writes the echo request of a recorded flannel ping", () => {
  const buf = new Uint8Array(28);
  putIpv4(buf, 0, 0, 28, 0, 0, 64, IPPROTO_ICMP, POD, PEER);
  putIcmpEcho(buf, 0, 20, 28, ICMP_ECHO_REQUEST, 1, 1);
  expect(buf.subarray(20)).toEqual(hex("08 00 f7fd 0001 0001"));
});

test("putIcmpEcho over IPv6 counts the pseudo-header", () => {
  const buf = packet6(40 + 8 + 5);
  putIpv6(buf, 1, 0, 13, IPPROTO_ICMPV6, 64, ADDRS6, 0, ADDRS6, 16);
  putIcmpEcho(buf, 1, 41, 54, ICMPV6_ECHO_REPLY, 0xabcd, 2);
  expect([icmpType(buf, 41), icmpCode(buf, 41), icmpEchoId(buf, 41), icmpEchoSeq(buf, 41)]).toEqual([
    129, 0, 0xabcd, 2,
  ]);
  expect(transportChecksumOk(buf, 1, 6, IPPROTO_ICMPV6, 41, 54, 43)).toBe(true);
});

test("putPacketTooBig answers a big IPv4 packet with fragmentation needed, 576 bytes long", () => {
  const out = new Uint8Array(600).fill(0xee);
  const packet = packet4(1500);
  const length = putPacketTooBig(out, 1, packet, 1, packet.length, hex("ee 0a050b01"), 1, 1450);
  expect(length).toBe(576);
  expect([ipPacketLength(out, 1, 577), ipv4HeaderOk(out, 1), ipTtl(out, 1)]).toEqual([576, true, 64]);
  expect([get32(out, 13), get32(out, 17)]).toEqual([0x0a05_0b01, POD]);
  expect([icmpType(out, 21), icmpCode(out, 21), get16(out, 25), get16(out, 27)]).toEqual([3, 4, 0, 1450]);
  expect(transportChecksumOk(out, 1, 4, IPPROTO_ICMP, 21, 577, 23)).toBe(true);
  expect(out.subarray(29, 577)).toEqual(packet.subarray(1, 1 + 548));
  expect(out[577]).toBe(0xee);
});

test("putPacketTooBig answers a big IPv6 packet with packet too big, 1280 bytes long", () => {
  const out = new Uint8Array(1300).fill(0xee);
  const packet = packet6(1500);
  const length = putPacketTooBig(out, 1, packet, 1, packet.length, ADDRS6, 16, 1430);
  expect(length).toBe(1280);
  expect(ipPacketLength(out, 1, 1281)).toBe(1280);
  expect(out.subarray(1 + 8, 1 + 40)).toEqual(hex(`fd05${zeros(13)}02 fd05${zeros(13)}01`));
  expect([icmpType(out, 41), icmpCode(out, 41), get32(out, 45)]).toEqual([2, 0, 1430]);
  expect(transportChecksumOk(out, 1, 6, IPPROTO_ICMPV6, 41, 1281, 43)).toBe(true);
  expect(out.subarray(49, 1281)).toEqual(packet.subarray(1, 1 + 1232));
  expect(out[1281]).toBe(0xee);
});

test("a small packet is quoted whole", () => {
  const out = new Uint8Array(600);
  const packet = packet4(29);
  expect(putPacketTooBig(out, 0, packet, 1, packet.length, hex("0a050b01"), 0, 1450)).toBe(20 + 8 + 29);
});

const V4 = (from: string, to: string, rest = "11"): string => `45000020 0000 4000 40 ${rest} 0000 ${from} ${to}`;
const V6 = (from: string, to: string, next = "11"): string => `60000000 0010 ${next} 40 ${from} ${to}`;
const POD6 = `fd05${zeros(13)}01`;
const MULTICAST6 = `ff02${zeros(13)}01`;

const answers = [
  { name: "UDP between pods", bytes: V4("0a050b0a", "0a05260a"), may: true },
  { name: "an echo request", bytes: `${V4("0a050b0a", "0a05260a", "01")} 0800`, may: true },
  { name: "a timestamp request", bytes: `${V4("0a050b0a", "0a05260a", "01")} 0d00`, may: true },
  { name: "an ICMP error", bytes: `${V4("0a050b0a", "0a05260a", "01")} 0304`, may: false },
  { name: "a redirect", bytes: `${V4("0a050b0a", "0a05260a", "01")} 0500`, may: false },
  { name: "an unknown ICMP type", bytes: `${V4("0a050b0a", "0a05260a", "01")} 2a00`, may: false },
  { name: "an ICMP message without a type", bytes: V4("0a050b0a", "0a05260a", "01"), may: false },
  { name: "a first fragment", bytes: V4("0a050b0a", "0a05260a").replace("0000 4000", "0000 2000"), may: true },
  { name: "a later fragment", bytes: V4("0a050b0a", "0a05260a").replace("0000 4000", "0000 2001"), may: false },
  { name: "multicast", bytes: V4("0a050b0a", "e0000001"), may: false },
  { name: "broadcast", bytes: V4("0a050b0a", "ffffffff"), may: false },
  { name: "a source of 0.0.0.0", bytes: V4("00000000", "0a05260a"), may: false },
  { name: "a loopback source", bytes: V4("7f000001", "0a05260a"), may: false },
  { name: "a multicast source", bytes: V4("e0000001", "0a05260a"), may: false },
  { name: "a class E source", bytes: V4("f0000001", "0a05260a"), may: false },
  { name: "UDP between IPv6 pods", bytes: `${V6(POD6, POD6)} 00`, may: true },
  { name: "an IPv6 echo request", bytes: `${V6(POD6, POD6, "3a")} 8000`, may: true },
  { name: "an ICMPv6 error", bytes: `${V6(POD6, POD6, "3a")} 0100`, may: false },
  { name: "an unknown ICMPv6 error", bytes: `${V6(POD6, POD6, "3a")} 7f00`, may: false },
  { name: "an ICMPv6 error behind options", bytes: `${V6(POD6, POD6, "3c")} 3a00${zeros(6)} 0100`, may: false },
  { name: "an ICMPv6 redirect", bytes: `${V6(POD6, POD6, "3a")} 8900`, may: false },
  { name: "an unspecified IPv6 source", bytes: `${V6(zeros(16), POD6)} 00`, may: false },
  { name: "an IPv6 multicast source", bytes: `${V6(MULTICAST6, POD6)} 00`, may: false },
  { name: "IPv6 multicast", bytes: `${V6(POD6, MULTICAST6)} 00`, may: false },
  { name: "IPv6 multicast that is too big", bytes: `${V6(POD6, MULTICAST6)} 00`, may: true, tooBig: true },
  { name: "an IPv6 packet cut before its upper layer", bytes: V6(POD6, POD6), may: false },
];
for (const c of answers) {
  test(`an ICMP error ${c.may ? "may" : "may not"} answer ${c.name}`, () => {
    const buf = hex(`ee ${c.bytes}`);
    expect(mayAnswer(buf, 1, buf.length, c.tooBig ?? false)).toBe(c.may);
  });
}

test("putPacketTooBig is silent where no answer may be given", () => {
  const error = hex(`${V4("0a050b0a", "0a05260a", "01")} 0304`);
  const out = new Uint8Array(600);
  expect(putPacketTooBig(out, 0, error, 0, error.length, hex("0a050b01"), 0, 1450)).toBe(0);
  expect(out).toEqual(new Uint8Array(600));
});

test("whether to answer is decided inside the packet, for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 40, maxLength: 120 }), fc.constantFrom(0x45, 0x4f, 0x60), (bytes, first) => {
      bytes[1] = first;
      bytes[10] = 1; // IPv4: ICMP
      bytes[7] = 60; // IPv6: options
      const end = bytes.length - 1;
      const room = end - 1;
      if (first >>> 4 === 6 && room < 40) return;
      mayAnswer(guarded(bytes, 1, end), 1, end, false);
    }),
  );
});
