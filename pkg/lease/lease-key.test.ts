import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAddr } from "../addr/addr.ts";
import { ADDR_BITS, type Family } from "../addr/family.ts";
import { formatPrefix, type Prefix, prefixOf } from "../addr/prefix.ts";
import { formatLeaseKey, formatSubnet, parseLeaseKey } from "./lease-key.ts";

const good = [
  { key: "subnets/10.5.52.0-24", subnet: "10.5.52.0/24" },
  { key: "subnets/10.5.10.128-26", subnet: "10.5.10.128/26" },
  { key: "subnets/10.0.0.0-8", subnet: "10.0.0.0/8" },
  { key: "subnets/10.5.0.2-31", subnet: "10.5.0.2/31" },
  { key: "subnets/10.5.49.0-24&fd05:0:0:1b::-64", subnet: "10.5.49.0/24 and fd05:0:0:1b::/64" },
  { key: "ipv6-subnets/fd05:0:0:1b::-64", subnet: "fd05:0:0:1b::/64" },
];

for (const { key, subnet } of good) {
  test(`${key} is read and written back`, () => {
    const parsed = parseLeaseKey(key);
    expect(parsed?.value && formatSubnet(parsed.value)).toBe(subnet);
    expect(parsed?.value && formatLeaseKey(parsed.value)).toBe(key);
  });
}

test("an IPv6 address in another form of the same is accepted, as flannel does", () => {
  const parsed = parseLeaseKey("subnets/10.5.49.0-24&fd05:0:0:1b:0:0:0:0-64");
  expect(parsed?.value?.[6] && formatPrefix(parsed.value[6])).toBe("fd05:0:0:1b::/64");
});

for (const key of ["config", "twill/nodes/192.0.2.1", "", "ipv6-subnet/fd05::-64", "xsubnets/10.5.1.0-24"]) {
  test(`${JSON.stringify(key)} is no business of leases`, () => expect(parseLeaseKey(key)).toBeUndefined());
}

const bad = [
  { key: "subnets/", reason: "is not of the form" },
  { key: "subnets/hello", reason: "is not of the form" },
  { key: "subnets/10.5.1.0", reason: "is not of the form" },
  { key: "subnets/10.5.1.0/24", reason: "is not of the form" },
  { key: "subnets/a/10.5.1.0-24", reason: "is not of the form" },
  { key: "subnets/10.5.1.0-24 ", reason: "is not of the form" },
  { key: "subnets/10.5.1.0-24\n", reason: "is not of the form" },
  { key: "subnets/10.5.1.0-24&", reason: "is not of the form" },
  { key: "subnets/fd05::-64", reason: "is not of the form" },
  { key: `subnets/${"1".repeat(100_000)}.5.1.0-24`, reason: "is not of the form" },
  { key: "subnets/10.5.256.0-24", reason: "no IPv4 address" },
  { key: "subnets/10.5.01.0-24", reason: "no IPv4 address" },
  { key: "subnets/10.5.1.0-32", reason: "length 32" },
  { key: "subnets/10.5.1.7-24", reason: "not the first address of its /24, 10.5.1.0" },
  // What flannel makes of an IPv6-only network: a route for the whole internet, which every node would share.
  { key: "subnets/0.0.0.0-0&fd05:0:0:20::-64", reason: "length 0" },
  { key: "subnets/10.5.1.0-24&fd05:::-64", reason: "no IPv6 address" },
  { key: "subnets/10.5.1.0-24&fd05::1-64", reason: "not the first address" },
  { key: "subnets/10.5.1.0-24&fd05::-128", reason: "length 128" },
  { key: "subnets-meta/node1", reason: "flannel expects nothing but leases" },
  { key: "subnets", reason: "flannel expects nothing but leases" },
  { key: "ipv6-subnets/10.5.1.0-24", reason: "is not of the form" },
  { key: "ipv6-subnets/FD05::-64", reason: "is not of the form" },
];

for (const { key, reason } of bad) {
  test(`${JSON.stringify(key.slice(0, 50))} is malformed: ${reason}`, () => {
    expect(parseLeaseKey(key)?.malformed).toContain(reason);
  });
}

test("a lease has a subnet", () => expect(() => formatLeaseKey({})).toThrow(RangeError));

const prefix = (family: Family): fc.Arbitrary<Prefix> =>
  fc
    .tuple(fc.bigInt(0n, (1n << BigInt(ADDR_BITS[family])) - 1n), fc.integer({ min: 1, max: ADDR_BITS[family] - 1 }))
    .map(([value, length]) => prefixOf({ family, value }, length))
    // Go, and so flannel, writes an IPv4-mapped prefix in IPv4 form; none is ever leased.
    .filter((p) => family === 4 || p.value >> 32n !== 0xffffn);

test("any subnet survives being written and read", () => {
  const subnet = fc.oneof(
    prefix(4).map((four) => ({ 4: four })),
    prefix(6).map((six) => ({ 6: six })),
    fc.tuple(prefix(4), prefix(6)).map(([four, six]) => ({ 4: four, 6: six })),
  );
  fc.assert(
    fc.property(subnet, (subnet) => {
      expect(parseLeaseKey(formatLeaseKey(subnet))?.value).toEqual(subnet);
    }),
  );
});

test("any text is either no business of leases, a subnet or malformed", () => {
  const text = fc.oneof(
    fc.string().map((tail) => `subnets/${tail}`),
    fc.string({ unit: fc.constantFrom(...Array.from("0123456789.-&:af/")) }).map((tail) => `subnets/${tail}`),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (key) => {
      const parsed = parseLeaseKey(key);
      if (parsed?.value?.[4]) expect(parseAddr(formatPrefix(parsed.value[4]).split("/")[0] ?? "")?.family).toBe(4);
      else expect(parsed === undefined || typeof parsed.malformed === "string").toBe(true);
    }),
  );
});
