import fc from "fast-check";
import { expect, test } from "vitest";
import { type Addr, addrBytes } from "../../addr/addr.ts";
import type { Family } from "../../addr/family.ts";
import { containsAddr, type Prefix, prefixOf } from "../../addr/prefix.ts";
import { PrefixTable } from "./prefix-table.ts";

// Few distinct leading bits, so that prefixes nest and collide.
const address = (family: Family): fc.Arbitrary<Addr> =>
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.bigInt({ min: 0n, max: 0xffffn }))
    .map(([high, low]) => ({ family, value: (BigInt(high) << (family === 4 ? 29n : 125n)) | low }));

const entries = (family: Family): fc.Arbitrary<{ prefix: Prefix; value: number }[]> =>
  fc
    .array(fc.tuple(address(family), fc.integer({ min: 0, max: family === 4 ? 32 : 128 })), { maxLength: 60 })
    .map((rows) => rows.map(([addr, length], value) => ({ prefix: prefixOf(addr, length), value })));

function naive(rows: readonly { prefix: Prefix; value: number }[], addr: Addr): number {
  let best: { prefix: Prefix; value: number } | undefined;
  for (const row of rows) {
    if (containsAddr(row.prefix, addr) && (!best || row.prefix.length > best.prefix.length)) best = row;
  }
  return best?.value ?? -1;
}

test.each([4, 6] as const)("IPv%i lookups find what a search through all prefixes finds", (family) => {
  fc.assert(
    fc.property(entries(family), fc.array(address(family), { maxLength: 30 }), (rows, addrs) => {
      const table = new PrefixTable(family, rows);
      for (const addr of [...addrs, ...rows.map((row) => row.prefix)]) {
        // An odd place, as packets have them.
        const bytes = Uint8Array.from([9, 9, 9, ...addrBytes(addr), 9]);
        expect(table.lookup(bytes, 3)).toBe(naive(rows, addr));
      }
    }),
  );
});

test("a table of 65,536 subnets answers for each", () => {
  const rows = Array.from({ length: 65536 }, (_, value) => ({
    prefix: prefixOf({ family: 4, value: BigInt(0x0a000000 + value * 256) }, 24),
    value,
  }));
  const table = new PrefixTable(4, rows);
  for (const row of rows) {
    expect(table.lookup(addrBytes({ family: 4, value: row.prefix.value + 200n }), 0)).toBe(row.value);
  }
  expect(table.lookup(addrBytes({ family: 4, value: 0x0b000001n }), 0)).toBe(-1);
});
