import * as fc from "fast-check";
import { expect, test } from "vitest";
import { get16le, put16le } from "./bytes.ts";
import {
  finish,
  finishUdp,
  fold,
  ipv4HeaderChecksum,
  pseudoSum,
  putIpv4HeaderChecksum,
  SUM_OK,
  sumWords,
  swap16,
  transportChecksumOk,
  updateChecksum,
} from "./checksum.ts";
import { hex } from "../../test/hex.ts";
import { naiveSum } from "../../test/naive-sum.ts";

test("sumWords gives the sum of RFC 1071 section 3's example", () => {
  const bytes = hex("0001 f203 f4f5 f6f7");
  expect(sumWords(bytes, 0, 8)).toBe(swap16(0xddf2));
  expect(finish(sumWords(bytes, 0, 8))).toBe(swap16(0x220d));
});

test("sumWords equals the naive sum for every length, start and initial value", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat({ max: 20 }),
      fc.nat({ max: 20 }),
      fc.nat({ max: 0xffff }),
      (bytes, before, after, initial) => {
        const at = Math.min(before, bytes.length);
        const end = Math.max(at, bytes.length - after);
        expect(sumWords(bytes, at, end, initial)).toBe(naiveSum(bytes, at, end, initial));
      },
    ),
  );
});

test("sumWords does not overflow on the largest packets of all ones", () => {
  const bytes = new Uint8Array(1 << 20).fill(0xff);
  for (const length of [1, 2, 65535, 65536, 1 << 20]) {
    expect(sumWords(bytes, 0, length, 0xffff), `${length} bytes`).toBe(naiveSum(bytes, 0, length, 0xffff));
  }
});

test("sums of pieces chain when all but the last have even lengths", () => {
  const bytes = Uint8Array.from({ length: 101 }, (_, i) => i * 37);
  for (let cut = 0; cut <= 101; cut += 2) {
    expect(sumWords(bytes, cut, 101, sumWords(bytes, 0, cut)), `cut at ${cut}`).toBe(sumWords(bytes, 0, 101));
  }
});

test("a sum is 0 only over zeros", () => {
  expect(sumWords(new Uint8Array(20), 0, 20)).toBe(0);
  expect(sumWords(hex("ffff 0000"), 0, 4)).toBe(0xffff);
});

test("fold carries twice", () => {
  expect(fold(0xffff_ffff)).toBe(0xffff);
  expect(fold(0x1_fffe)).toBe(0xffff);
  expect(fold(0x1_0000)).toBe(1);
});

test("finishUdp never says that there is no checksum", () => {
  expect(finishUdp(0xffff)).toBe(0xffff);
  expect(finishUdp(0x1234)).toBe(0xedcb);
});

// The outer IPv4 header of a recorded flannel frame: 172.30.77.11 -> 172.30.77.12.
const FLANNEL_OUTER = "45 00 0086 7d4c 0000 40 11 0ac7 ac1e4d0b ac1e4d0c";

test("ipv4HeaderChecksum agrees with the kernel's, whatever stands in the field", () => {
  const header = hex(`ee ${FLANNEL_OUTER}`); // at an odd place
  expect(ipv4HeaderChecksum(header, 1, 20)).toBe(get16le(header, 11));
  put16le(header, 11, 0xeeee);
  putIpv4HeaderChecksum(header, 1, 20);
  expect(header).toEqual(hex(`ee ${FLANNEL_OUTER}`));
});

test("updateChecksum gives what computing anew gives", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 20, maxLength: 20 }),
      fc.nat({ max: 8 }),
      fc.nat({ max: 0xffff }),
      (header, word, value) => {
        header[0] = 0x45; // never all zero: RFC 1624 section 2
        const at = word === 0 ? 2 : word * 2;
        if (at === 10) return;
        putIpv4HeaderChecksum(header, 0, 20);
        const updated = updateChecksum(get16le(header, 10), get16le(header, at), value);
        put16le(header, at, value);
        expect(updated).toBe(ipv4HeaderChecksum(header, 0, 20));
      },
    ),
  );
});

test("updateChecksum passes RFC 1624 section 4's example", () => {
  // HC = 0xDD2F, m = 0x5555, m' = 0x3285: 0x0000, where the older equation 2 of RFC 1141 gives 0xFFFF
  expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0);
});

// Built by hand from RFC 768: 10.0.0.1:1 -> 10.0.0.2:2, "abc". Sums: 0a00+0001+0a00+0002+0011+000b (pseudo-header)
// + 0001+0002+000b + 6162+6300 = d88f, complement 2770.
const UDP4 = "45000017 00000000 40110000 0a000001 0a000002 | 0001 0002 000b 2770 616263";
// The same over fd00::1 -> fd00::2; addresses fd00+0001+fd00+0002 = 1fa03, folded fa04.
const UDP6 = `60000000 000b1140 fd00${"00".repeat(13)}01 fd00${"00".repeat(13)}02 | 0001 0002 000b 416e 616263`;

const udp = [
  { name: "UDP over IPv4", version: 4, bytes: UDP4, at: 20, ok: true },
  { name: "UDP over IPv6", version: 6, bytes: UDP6, at: 40, ok: true },
  { name: "a wrong address", version: 4, bytes: UDP4.replace("0a000002", "0a000003"), at: 20, ok: false },
  { name: "a wrong byte at an odd end", version: 4, bytes: UDP4.replace("616263", "616264"), at: 20, ok: false },
  { name: "no checksum over IPv4", version: 4, bytes: UDP4.replace("2770", "0000"), at: 20, ok: true },
  { name: "no checksum over IPv6", version: 6, bytes: UDP6.replace("416e", "0000"), at: 40, ok: false },
];
for (const c of udp) {
  test(`transportChecksumOk says ${c.ok} of ${c.name}`, () => {
    const bytes = hex(`ee ${c.bytes}`);
    expect(transportChecksumOk(bytes, 1, c.version, 17, 1 + c.at, bytes.length, 1 + c.at + 6)).toBe(c.ok);
  });
}

test("transportChecksumOk leaves the pseudo-header out of ICMP over IPv4", () => {
  // echo request, id 1, seq 1: 0800 + 0001 + 0001 = 0802
  const bytes = hex("4500001c 00000000 40010000 0a000001 0a000002 | 08 00 f7fd 0001 0001");
  expect(transportChecksumOk(bytes, 0, 4, 1, 20, 28, 22)).toBe(true);
});

test("pseudoSum counts both halves of a length beyond 16 bits", () => {
  const header = hex(UDP6).subarray(0, 40);
  const length = 0x0001_0002;
  expect(pseudoSum(header, 0, 6, 17, length)).toBe(naiveSum(hex(`00010002 00000011`), 0, 8, sumWords(header, 8, 40)));
  expect(SUM_OK).toBe(0xffff);
});
