import * as fc from "fast-check";
import { expect, test } from "vitest";
import { guarded } from "../../test/guarded.ts";
import { hex } from "../../test/hex.ts";
import { get32 } from "./bytes.ts";
import {
  IPV4_DF,
  ipAddrLength,
  ipDstAt,
  ipHeaderLength,
  ipPacketLength,
  ipProtocol,
  ipSrcAt,
  ipTos,
  ipTtl,
  ipv4Fragment,
  ipv4HeaderOk,
  ipv4Id,
  ipv6UpperLayer,
  ipv6UpperProtocol,
  ipVersion,
  isFragment,
  putIpLength,
  putIpTos,
  putIpv4,
  putIpv4Id,
  putIpv6,
} from "./ip.ts";

// The inner header of a recorded flannel frame, its total length set to 24, and 4 bytes of payload.
const V4 = "45 00 0018 4340 4000 3f 01 b387 0a050b0a 0a05260a | 0800 1234";
// fd00::1 -> fd00::2, traffic class 0xb9 (EF, ECT(1)), flow label 0x12345, hop limit 63, UDP, 8 bytes of payload.
const V6 = `6b912345 0008 11 3f fd00${"00".repeat(13)}01 fd00${"00".repeat(13)}02 | 0001 0002 0008 0000`;

test("an IPv4 header's fields are read", () => {
  const buf = hex(`ee ${V4}`);
  expect([ipVersion(buf, 1), ipHeaderLength(buf, 1), ipPacketLength(buf, 1, 25)]).toEqual([4, 20, 24]);
  expect([ipTos(buf, 1), ipTtl(buf, 1), ipProtocol(buf, 1)]).toEqual([0, 63, 1]);
  expect([ipv4Id(buf, 1), ipv4Fragment(buf, 1), isFragment(buf, 1)]).toEqual([0x4340, IPV4_DF, false]);
  expect([get32(buf, 1 + ipSrcAt(4)), get32(buf, 1 + ipDstAt(4))]).toEqual([0x0a05_0b0a, 0x0a05_260a]);
  expect(ipAddrLength(4)).toBe(4);
  expect(ipv4HeaderOk(buf, 1)).toBe(true);
});

test("an IPv6 header's fields are read", () => {
  const buf = hex(`ee ${V6}`);
  expect([ipVersion(buf, 1), ipHeaderLength(buf, 1), ipPacketLength(buf, 1, 49)]).toEqual([6, 40, 48]);
  expect([ipTos(buf, 1), ipTtl(buf, 1), ipProtocol(buf, 1)]).toEqual([0xb9, 63, 17]);
  expect(isFragment(buf, 1)).toBe(false);
  expect([buf[1 + ipSrcAt(6) + 15], buf[1 + ipDstAt(6) + 15], ipAddrLength(6)]).toEqual([1, 2, 16]);
  expect(ipv4HeaderOk(buf, 1)).toBe(true);
});

const lengths = [
  { name: "padding after IPv4", bytes: `${V4} 000000`, length: 24 },
  { name: "padding after IPv6", bytes: `${V6} 000000`, length: 48 },
  { name: "IPv4 without a payload", bytes: V4.replace("0018", "0014"), length: 20 },
  { name: "IPv6 without a payload and no next header", bytes: V6.replace("0008 11", "0000 3b"), length: 40 },
  { name: "version 0", bytes: V4.replace("45", "05"), length: 0 },
  { name: "version 5", bytes: V4.replace("45", "55"), length: 0 },
  { name: "IHL 4", bytes: V4.replace("45", "44"), length: 0 },
  { name: "an IPv4 header longer than its total length", bytes: V4.replace("45", "47"), length: 0 },
  { name: "a total length shorter than the header", bytes: V4.replace("0018", "0013"), length: 0 },
  { name: "a total length of one too many", bytes: V4.replace("0018", "0019"), length: 0 },
  { name: "a total length of 0, BIG TCP's", bytes: V4.replace("0018", "0000"), length: 0 },
  { name: "a payload length of one too many", bytes: V6.replace("0008 11", "0009 11"), length: 0 },
  { name: "a payload length of 0 before UDP", bytes: V6.replace("0008 11", "0000 11"), length: 0 },
  { name: "a payload length of 0 before TCP, BIG TCP's", bytes: V6.replace("0008 11", "0000 06"), length: 0 },
  { name: "a payload length of 0 before options, a jumbogram's", bytes: V6.replace("0008 11", "0000 00"), length: 0 },
];
for (const c of lengths) {
  test(`ipPacketLength is ${c.length} for ${c.name}`, () => {
    const buf = hex(`ee ${c.bytes}`);
    expect(ipPacketLength(buf, 1, buf.length)).toBe(c.length);
  });
}

test("ipv4HeaderOk sees one wrong bit anywhere, options included", () => {
  const buf = hex("46 00 0018 4340 4000 3f 01 0000 0a050b0a 0a05260a 94040000");
  expect(ipv4HeaderOk(buf, 0)).toBe(false);
  buf.set(hex("1e83"), 10);
  expect(ipv4HeaderOk(buf, 0)).toBe(true);
  for (let bit = 4; bit < 24 * 8; bit++) {
    if (bit < 8) continue; // version and IHL: another length is summed
    const at = bit >> 3;
    buf[at] = (buf[at] ?? 0) ^ (1 << (bit & 7));
    expect(ipv4HeaderOk(buf, 0), `bit ${bit}`).toBe(false);
    buf[at] = (buf[at] ?? 0) ^ (1 << (bit & 7));
  }
});

test("putIpTos changes eight bits of either family and keeps IPv4's checksum right", () => {
  for (let tos = 0; tos < 256; tos++) {
    for (const text of [V4, V6]) {
      const buf = hex(`ee ${text}`);
      putIpTos(buf, 1, tos);
      expect(ipTos(buf, 1)).toBe(tos);
      expect(ipv4HeaderOk(buf, 1), `TOS ${tos}`).toBe(true);
      putIpTos(buf, 1, text === V4 ? 0 : 0xb9);
      expect(buf).toEqual(hex(`ee ${text}`));
    }
  }
});

test("putIpTos does not hide a wrong checksum", () => {
  const buf = hex(V4.replace("b387", "b388"));
  putIpTos(buf, 0, 3);
  expect(ipv4HeaderOk(buf, 0)).toBe(false);
});

test("putIpv4 writes the outer header of a flannel frame", () => {
  const buf = new Uint8Array(22).fill(0xee);
  putIpv4(buf, 1, 0, 134, 0x7d4c, 0, 64, 17, 0xac1e_4d0b, 0xac1e_4d0c);
  expect(buf).toEqual(hex("ee 45 00 0086 7d4c 0000 40 11 0ac7 ac1e4d0b ac1e4d0c ee"));
});

test("putIpv6 writes a header with flow label 0", () => {
  const addrs = hex(`ee fd00${"00".repeat(13)}01 fd00${"00".repeat(13)}02`);
  const buf = new Uint8Array(50).fill(0xee);
  putIpv6(buf, 1, 0xb9, 8, 17, 63, addrs, 1, addrs, 17);
  expect(buf.subarray(0, 41)).toEqual(hex(`ee ${V6.replace("2345", "0000").replace("6b91", "6b90")}`).subarray(0, 41));
  expect(buf[41]).toBe(0xee);
});

test("putIpLength and putIpv4Id write what the readers read", () => {
  const v4 = hex(V4);
  putIpLength(v4, 0, 22);
  putIpv4Id(v4, 0, 0xfffe);
  expect([ipPacketLength(v4, 0, 24), ipv4Id(v4, 0)]).toEqual([22, 0xfffe]);
  const v6 = hex(V6);
  putIpLength(v6, 0, 47);
  expect(ipPacketLength(v6, 0, 48)).toBe(47);
});

const fragments = [
  { name: "more fragments", bytes: V4.replace("4000", "2000"), is: true },
  { name: "a fragment offset", bytes: V4.replace("4000", "0001"), is: true },
  { name: "the reserved bit alone", bytes: V4.replace("4000", "8000"), is: false },
  { name: "an IPv6 fragment header", bytes: V6.replace("0008 11", "0008 2c"), is: true },
];
for (const c of fragments) {
  test(`isFragment is ${c.is} for ${c.name}`, () => expect(isFragment(hex(c.bytes), 0)).toBe(c.is));
}

// Extension headers after an IPv6 header: next header, length in units of 8 bytes beyond the first, content.
const HEAD = (next: string, payload: number): string =>
  `60000000 ${payload.toString(16).padStart(4, "0")} ${next} 40 ${"00".repeat(32)}`;
const chains = [
  { name: "no extension header", head: "06", chain: "", upper: 40, protocol: 6, fragment: false },
  { name: "hop-by-hop", head: "00", chain: "11 00 0502 0000 0100", upper: 48, protocol: 17, fragment: false },
  { name: "routing of 24 bytes", head: "2b", chain: `06 02 0000 ${"00".repeat(20)}`, upper: 64, protocol: 6 },
  {
    name: "destination options twice",
    head: "3c",
    chain: `3c 00 ${"00".repeat(6)} 3a 00 ${"00".repeat(6)}`,
    upper: 56,
    protocol: 58,
  },
  { name: "authentication of 24 bytes", head: "33", chain: `11 04 ${"00".repeat(22)}`, upper: 64, protocol: 17 },
  { name: "a first fragment", head: "2c", chain: "11 00 0001 00000007", upper: 48, protocol: 17, fragment: true },
  { name: "an atomic fragment", head: "2c", chain: "11 00 0000 00000007", upper: 48, protocol: 17, fragment: true },
  { name: "a later fragment", head: "2c", chain: "11 00 0008 00000007", upper: -1, protocol: -1, fragment: true },
  {
    name: "eight headers",
    head: "3c",
    chain: `3c00${"00".repeat(6)}`.repeat(7) + `1100${"00".repeat(6)}`,
    upper: 104,
    protocol: 17,
  },
  {
    name: "nine headers",
    head: "3c",
    chain: `3c00${"00".repeat(6)}`.repeat(8) + `1100${"00".repeat(6)}`,
    upper: -1,
    protocol: -1,
  },
  { name: "a header longer than the packet", head: "3c", chain: `11 09 ${"00".repeat(6)}`, upper: -1, protocol: -1 },
  { name: "ESP, where the chain goes dark", head: "32", chain: "", upper: 40, protocol: 50 },
];
for (const c of chains) {
  test(`the upper layer behind ${c.name} is found at ${c.upper}`, () => {
    const body = hex(`${c.chain} 0001 0002 0008 0000`);
    const buf = hex(`ee ${HEAD(c.head, body.length)} ${c.chain} 0001 0002 0008 0000`);
    const want = c.upper < 0 ? -1 : c.upper + 1;
    expect([ipv6UpperLayer(buf, 1, buf.length), ipv6UpperProtocol(buf, 1, buf.length)]).toEqual([want, c.protocol]);
    expect(isFragment(buf, 1)).toBe(c.fragment ?? false);
  });

  test(`the walk over ${c.name} stops at the end of the bytes`, () => {
    const buf = hex(`ee ${HEAD(c.head, 200)} ${c.chain} 0001`);
    for (let end = 41; end <= buf.length; end++) {
      const upper = ipv6UpperLayer(guarded(buf, 1, end), 1, end);
      expect(upper === -1 || (upper > 40 && upper < end), `${upper} of ${end}`).toBe(true);
    }
  });
}

test("no bytes make a decoder read outside its packet, and an accepted length lies inside", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 120 }),
      fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0x6f, 0x00),
      fc.nat({ max: 5 }),
      fc.nat({ max: 5 }),
      (bytes, first, before, after) => {
        const at = Math.min(before, bytes.length);
        const end = Math.max(at, bytes.length - after);
        if (at < end) bytes[at] = first;
        if (at + 4 <= end) bytes[at + 2] = 0; // lengths that stand a chance
        if (at + 6 <= end) bytes[at + 4] = 0;
        const buf = guarded(bytes, at, end);
        const length = ipPacketLength(buf, at, end);
        expect(length).toBeGreaterThanOrEqual(0);
        if (length === 0) return;
        expect(length).toBeLessThanOrEqual(end - at);
        ipv4HeaderOk(buf, at);
        isFragment(buf, at);
        putIpTos(buf, at, 1);
        if (ipVersion(buf, at) === 6) ipv6UpperLayer(buf, at, at + length);
      },
    ),
    { numRuns: 3000 },
  );
});

test("what putIpv4 and putIpv6 write is read back", () => {
  const byte = fc.nat({ max: 0xff });
  const word = fc.nat({ max: 0xffff });
  const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(byte, word, word, byte, byte, address, address, (tos, length, id, ttl, protocol, src, dst) => {
      const buf = new Uint8Array(43).fill(0xee);
      putIpv4(buf, 1, tos, length, id, IPV4_DF, ttl, protocol, get32(src, 0), get32(dst, 0));
      expect([ipVersion(buf, 1), ipHeaderLength(buf, 1), ipv4HeaderOk(buf, 1)]).toEqual([4, 20, true]);
      expect([ipTos(buf, 1), ipv4Id(buf, 1), ipTtl(buf, 1), ipProtocol(buf, 1)]).toEqual([tos, id, ttl, protocol]);
      expect(buf.subarray(1 + ipSrcAt(4), 21)).toEqual(Uint8Array.from([...src.slice(0, 4), ...dst.slice(0, 4)]));
      expect([buf[0], buf[21]]).toEqual([0xee, 0xee]);

      putIpv6(buf, 1, tos, length, protocol, ttl, src, 0, dst, 0);
      expect([ipVersion(buf, 1), ipHeaderLength(buf, 1), ipTos(buf, 1)]).toEqual([6, 40, tos]);
      expect([ipTtl(buf, 1), ipProtocol(buf, 1)]).toEqual([ttl, protocol]);
      expect(buf.subarray(1 + ipSrcAt(6), 41)).toEqual(Uint8Array.from([...src, ...dst]));
      expect([buf[0], buf[41]]).toEqual([0xee, 0xee]);
    }),
  );
});
