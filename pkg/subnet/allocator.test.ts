import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPrefix, overlaps, parsePrefix, type Prefix, prefixOf } from "../addr/prefix.ts";
import { chooseSubnet, countFree, firstFree, OutOfSubnetsError } from "./allocator.ts";
import { isLeasable, parseNetworkConfig } from "./network-config.ts";

const p = (text: string): Prefix => parsePrefix(text) ?? expect.fail(text);
const config = (json: object) =>
  parseNetworkConfig(JSON.stringify({ Network: "10.5.0.0/16", Backend: { Type: "vxlan" }, ...json }));
const none = { EnableIPv4: false, EnableIPv6: true };
const texts = (prefixes: readonly Prefix[]): string[] => prefixes.map(formatPrefix);

test("the first free ones from SubnetMin, the network's first subnet left out", () => {
  expect(texts(firstFree(config({}), 4, [p("10.5.2.0/24")], 3))).toEqual(["10.5.1.0/24", "10.5.3.0/24", "10.5.4.0/24"]);
});

test("SubnetMax is the last one, inclusive", () => {
  const network = config({ SubnetMin: "10.5.8.0", SubnetMax: "10.5.10.0" });
  expect(texts(firstFree(network, 4, [], 100))).toEqual(["10.5.8.0/24", "10.5.9.0/24", "10.5.10.0/24"]);
});

test("a subnet that overlaps a lease of another length is not free", () => {
  const network = config({ SubnetMax: "10.5.9.0" });
  const taken = [p("10.5.1.128/26"), p("10.5.1.192/26"), p("10.5.4.0/22"), p("10.0.0.0/15"), p("10.5.9.0/30")];
  expect(texts(firstFree(network, 4, taken, 100))).toEqual(["10.5.2.0/24", "10.5.3.0/24", "10.5.8.0/24"]);
});

test("agrees with trying each subnet against each lease", () => {
  const network = config({ SubnetLen: 26, SubnetMin: "10.5.0.64", SubnetMax: "10.5.3.128" });
  const taken = fc.array(
    fc
      .tuple(fc.nat(0x7ff), fc.integer({ min: 20, max: 31 }))
      .map(([host, length]) => prefixOf({ family: 4, value: 0x0a05_0000n + BigInt(host) }, length)),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(taken, fc.integer({ min: 1, max: 20 }), (taken, most) => {
      const all = Array.from({ length: 64 }, (_, i): Prefix => ({
        family: 4,
        value: 0x0a05_0000n + BigInt(i * 64),
        length: 26,
      }));
      const expected = all.filter((one) => isLeasable(network, one) && !taken.some((other) => overlaps(one, other)));
      expect(texts(firstFree(network, 4, taken, most))).toEqual(texts(expected.slice(0, most)));
      expect(countFree(network, 4, taken)).toBe(BigInt(expected.length));
    }),
  );
});

test("one of the first hundred, at random", () => {
  const pick = (random: number): string =>
    formatPrefix(chooseSubnet(config({}), [], {}, () => random)[4] ?? expect.fail());
  expect(pick(0)).toBe("10.5.1.0/24");
  expect(pick(0.999)).toBe("10.5.100.0/24");
});

test("the families are chosen each by itself", () => {
  const network = config({ EnableIPv6: true, IPv6Network: "fd05::/56" });
  const subnet = chooseSubnet(
    network,
    [{ 4: p("10.5.1.0/24"), 6: p("fd05:0:0:1::/64") }, { 6: p("fd05:0:0:2::/64") }],
    {},
    () => 0,
  );
  expect(subnet).toEqual({ 4: p("10.5.2.0/24"), 6: p("fd05:0:0:3::/64") });
});

const previous = [
  { name: "free and leasable: taken", was: "10.5.7.0/24", taken: "10.5.8.0/24", want: "10.5.7.0/24" },
  { name: "overlapping a lease: not taken", was: "10.5.7.0/24", taken: "10.5.7.128/25", want: "10.5.1.0/24" },
  { name: "of another length: not taken", was: "10.5.7.0/25", taken: "10.5.8.0/24", want: "10.5.1.0/24" },
  { name: "of another network: not taken", was: "10.9.7.0/24", taken: "10.5.8.0/24", want: "10.5.1.0/24" },
];
for (const { name, was, taken, want } of previous) {
  test(`the previous subnet, ${name}`, () => {
    expect(chooseSubnet(config({}), [{ 4: p(taken) }], { 4: p(was) }, () => 0)).toEqual({ 4: p(want) });
  });
}

test("a previous IPv4 subnet is kept when IPv6 comes in", () => {
  const network = config({ EnableIPv6: true, IPv6Network: "fd05::/56" });
  expect(chooseSubnet(network, [], { 4: p("10.5.7.0/24") }, () => 0)).toEqual({
    4: p("10.5.7.0/24"),
    6: p("fd05:0:0:1::/64"),
  });
});

test("no free subnet: the error names the network and how many leases there are", () => {
  const network = config({ SubnetMin: "10.5.8.0", SubnetMax: "10.5.9.0" });
  const choose = () => chooseSubnet(network, [{ 4: p("10.5.8.0/24") }, { 4: p("10.5.9.0/24") }], {}, () => 0);
  expect(choose).toThrow(OutOfSubnetsError);
  expect(choose).toThrow("no free /24 is left in 10.5.0.0/16: 2 leases and reservations take all");
});

// Walking through the /17 would take 2^109 steps and never end.
test("the work grows with the number of leases alone, not with the size of the network or of a lease", () => {
  const network = config({ ...none, IPv6Network: "fd05::/16", IPv6SubnetLen: 126 });
  const first = network.subnetMin[6] ?? expect.fail();
  const taken = Array.from({ length: 5000 }, (_, i): Prefix => ({
    family: 6,
    value: first.value + BigInt(i * 4),
    length: 126,
  }));
  taken.push(p("fd05::/17"));
  const free = firstFree(network, 6, taken, 100);
  expect(free.length).toBe(100);
  expect(free[0] && formatPrefix(free[0])).toBe("fd05:8000::/126");
});
