import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { describe, expect, test } from "vitest";
import { addrBytes, addrFromBytes, compareAddr, formatAddr, parseAddr, sameAddr } from "./addr.ts";

const anyBytes = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);

describe("parseAddr", () => {
  test.each([
    ["0.0.0.0", 4, 0n],
    ["192.0.2.1", 4, 0xc0000201n],
    ["255.255.255.255", 4, 0xffffffffn],
    ["::", 6, 0n],
    ["::1", 6, 1n],
    ["fd05:0:0:1b::", 6, (0xfd05n << 112n) + (0x1bn << 64n)],
    ["1:2:3:4:5:6:7:8", 6, 0x00010002000300040005000600070008n],
    ["::ffff:192.0.2.1", 6, 0xffffc0000201n],
    ["1:2:3:4:5:6:7::", 6, 0x00010002000300040005000600070000n],
    ["FD05::A", 6, (0xfd05n << 112n) + 10n],
  ])("reads %s", (text, family, value) => {
    expect(parseAddr(text)).toEqual({ family, value });
  });

  test.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "1.2.3.-4",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "1:2:3:4:5:6:7:8::",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "1.2.3.4::",
    "::1.2.3",
    "1:2:3:4:5:6:7:1.2.3.4",
  ])("refuses %j", (text) => expect(parseAddr(text)).toBeUndefined());
});

describe("formatAddr", () => {
  // RFC 5952 sections 4 and 5
  test.each([
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["::FFFF:192.0.2.1", "::ffff:192.0.2.1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:0:0:0:0:0:0", "1::"],
  ])("writes %s as %s", (text, written) => {
    const addr = parseAddr(text);
    expect(addr && formatAddr(addr)).toBe(written);
  });

  test("what is written reads back, and as another implementation reads it", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const addr = addrFromBytes(bytes);
        const text = formatAddr(addr);
        expect(sameAddr(parseAddr(text), addr)).toBe(true);
        expect(ipaddr.parse(text).toByteArray()).toEqual([...bytes]);
        expect(addrBytes(addr)).toEqual(bytes);
      }),
    );
  });
});

test("addresses sort by family, then by number", () => {
  const sorted = ["10.0.0.9", "10.0.0.10", "::1", "fd00::"].map((text) => parseAddr(text));
  for (const [i, a] of sorted.entries()) {
    for (const [j, b] of sorted.entries()) {
      if (a && b) expect(Math.sign(compareAddr(a, b))).toBe(Math.sign(i - j));
    }
  }
});

test("addrFromBytes refuses any length but 4 and 16", () => {
  expect(() => addrFromBytes(new Uint8Array(5))).toThrow(RangeError);
});
