import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { describe, expect, test } from "vitest";
import { type Addr, addrFromBytes, formatAddr, parseAddr } from "./addr.ts";
import {
  addrAt,
  comparePrefix,
  containsAddr,
  containsPrefix,
  formatInterfaceAddr,
  formatPrefix,
  lastAddr,
  overlaps,
  parseInterfaceAddr,
  parsePrefix,
  type Prefix,
  prefixOf,
  samePrefix,
} from "./prefix.ts";

const anyPrefix = fc
  .constantFrom<4 | 6>(4, 6)
  .chain((family) =>
    fc.record({
      bytes: fc.uint8Array({ minLength: family === 4 ? 4 : 16, maxLength: family === 4 ? 4 : 16 }),
      length: fc.integer({ min: 0, max: family === 4 ? 32 : 128 }),
    }),
  )
  .map(({ bytes, length }) => prefixOf(addrFromBytes(bytes), length));

function prefix(text: string): Prefix {
  const value = parsePrefix(text);
  if (!value) throw new Error(text);
  return value;
}

function addr(text: string): Addr {
  const value = parseAddr(text);
  if (!value) throw new Error(text);
  return value;
}

describe("parsePrefix", () => {
  test.each([
    ["10.5.0.0/16", "10.5.0.0/16"],
    ["10.5.7.9/16", "10.5.0.0/16"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["fd05::1/56", "fd05::/56"],
    ["10.5.7.9/32", "10.5.7.9/32"],
  ])("reads %s as %s", (text, written) => expect(formatPrefix(prefix(text))).toBe(written));

  test.each(["10.5.0.0", "10.5.0.0/", "10.5.0.0/33", "10.5.0.0/-1", "10.5.0.0/1x", "fd05::/129", "/16", "10.5/16"])(
    "refuses %j",
    (text) => expect(parsePrefix(text)).toBeUndefined(),
  );
});

test("an interface address keeps its host bits", () => {
  const address = parseInterfaceAddr("10.5.52.1/24");
  expect(address && formatInterfaceAddr(address)).toBe("10.5.52.1/24");
});

test("prefixOf refuses a length that the family does not have", () => {
  expect(() => prefixOf(addr("10.0.0.1"), 33)).toThrow("an IPv4 prefix has 0 to 32 bits, not 33");
  expect(() => prefixOf(addr("10.0.0.1"), 1.5)).toThrow(RangeError);
});

test("addrAt and lastAddr name the addresses of a network", () => {
  expect(formatAddr(addrAt(prefix("10.5.52.0/24"), 1n))).toBe("10.5.52.1");
  expect(formatAddr(lastAddr(prefix("10.5.52.0/24")))).toBe("10.5.52.255");
});

test.each([
  ["10.5.0.0/16", "10.5.3.0/24", true],
  ["10.5.3.0/24", "10.5.0.0/16", true],
  ["10.5.0.0/16", "10.6.0.0/16", false],
  ["0.0.0.0/0", "10.6.0.0/16", true],
  ["0.0.0.0/0", "fd05::/56", false],
])("%s overlaps %s: %s", (a, b, expected) => expect(overlaps(prefix(a), prefix(b))).toBe(expected));

test("containsAddr agrees with another implementation", () => {
  fc.assert(
    fc.property(anyPrefix, fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (net, noise) => {
      const bits = net.family === 4 ? 32n : 128n;
      // Half of the addresses share some leading bits, or nothing would ever be contained.
      const value = noise & 1n ? net.value ^ (noise >> (128n - bits + (noise & 63n))) : noise & ((1n << bits) - 1n);
      const address = { family: net.family, value: value & ((1n << bits) - 1n) };
      const oracle = ipaddr.parse(formatAddr(address)).match(ipaddr.parseCIDR(formatPrefix(net)));
      expect(containsAddr(net, address)).toBe(oracle);
    }),
  );
});

test("a prefix contains itself and both of its halves, and sorts before them or beside", () => {
  fc.assert(
    fc.property(anyPrefix, (net) => {
      expect(containsPrefix(net, net)).toBe(true);
      expect(samePrefix(parsePrefix(formatPrefix(net)), net)).toBe(true);
      if (net.length === (net.family === 4 ? 32 : 128)) return;
      for (const half of [addrAt(net, 0n), lastAddr(net)].map((each) => prefixOf(each, net.length + 1))) {
        expect(containsPrefix(net, half)).toBe(true);
        expect(containsPrefix(half, net)).toBe(false);
        expect(comparePrefix(net, half)).toBeLessThan(0);
      }
    }),
  );
});
