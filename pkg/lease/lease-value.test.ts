import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Addr, parseAddr } from "../addr/addr.ts";
import { parseMac, randomMac } from "../addr/mac.ts";
import { parseLeaseKey, formatLeaseKey } from "./lease-key.ts";
import { decodeLeaseValue, encodeLeaseValue, MAX_VNI } from "./lease-value.ts";
import type { LeaseAttrs } from "./lease.ts";

const ip = (text: string): Addr => parseAddr(text) ?? expect.fail(`${text} is no address`);
const mac = parseMac("52:34:41:6f:b6:4d") ?? expect.fail();

const vxlan: LeaseAttrs = {
  publicIp: { 4: ip("172.30.77.11") },
  backendType: "vxlan",
  vtep: { 4: { vni: 1, mac } },
};
const dual: LeaseAttrs = {
  publicIp: { 4: ip("172.30.77.12"), 6: ip("fd77::12") },
  backendType: "vxlan",
  vtep: { 4: { vni: 1, mac }, 6: { vni: 1, mac } },
};

const exact = [
  {
    name: "vxlan",
    attrs: vxlan,
    value: `{"PublicIP":"172.30.77.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"52:34:41:6f:b6:4d"}}`,
  },
  {
    name: "vxlan in dual stack",
    attrs: dual,
    value: `{"PublicIP":"172.30.77.12","PublicIPv6":"fd77::12","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"52:34:41:6f:b6:4d"},"BackendV6Data":{"VNI":1,"VtepMAC":"52:34:41:6f:b6:4d"}}`,
  },
  {
    name: "host-gw",
    attrs: { publicIp: { 4: ip("172.30.77.11") }, backendType: "host-gw", vtep: {} },
    value: `{"PublicIP":"172.30.77.11","PublicIPv6":null,"BackendType":"host-gw"}`,
  },
  {
    name: "a lease without backend",
    attrs: { publicIp: { 4: ip("172.30.77.11") }, backendType: "", vtep: {} },
    value: `{"PublicIP":"172.30.77.11","PublicIPv6":null}`,
  },
  {
    name: "IPv6 alone",
    attrs: { publicIp: { 6: ip("fd77::12") }, backendType: "vxlan", vtep: { 6: { vni: 7, mac } } },
    value: `{"PublicIP":"0.0.0.0","PublicIPv6":"fd77::12","BackendType":"vxlan","BackendV6Data":{"VNI":7,"VtepMAC":"52:34:41:6f:b6:4d"}}`,
  },
  {
    name: "our own facts behind flannel's",
    attrs: { ...vxlan, nodeId: "id-1", nodeName: "web1", dataplane: "tun" },
    value: `{"PublicIP":"172.30.77.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"52:34:41:6f:b6:4d"},"NodeID":"id-1","NodeName":"web1","Dataplane":"tun"}`,
  },
] satisfies { name: string; attrs: LeaseAttrs; value: string }[];

for (const { name, attrs, value } of exact) {
  test(`${name}: exact bytes, both ways`, () => {
    expect(encodeLeaseValue(attrs)).toBe(value);
    expect(decodeLeaseValue(value)).toEqual({ value: attrs });
  });
}

const recordings = "../shared/golden/flannel";
describe.skipIf(!existsSync(recordings))("recordings of flannel (skipped without ../shared/golden)", () => {
  for (const folder of existsSync(recordings) ? readdirSync(recordings) : []) {
    const file = join(recordings, folder, "etcd.txt");
    if (!existsSync(file)) continue;
    test(`every lease in ${folder} is read and written back byte for byte`, () => {
      const lines = readFileSync(file, "utf8").trimEnd().split("\n");
      let leases = 0;
      for (let i = 0; i < lines.length; i += 2) {
        const key = (lines[i] ?? "").replace("/coreos.com/network/", "");
        if (!key.startsWith("subnets/")) continue;
        leases += 1;
        const subnet = parseLeaseKey(key)?.value ?? expect.fail(key);
        expect(formatLeaseKey(subnet)).toBe(key);
        const attrs = decodeLeaseValue(lines[i + 1] ?? "").value ?? expect.fail(lines[i + 1]);
        expect(encodeLeaseValue(attrs)).toBe(lines[i + 1]);
      }
      expect(leases).toBe(2);
    });
  }
});

const lenient = [
  {
    name: "letter case does not matter",
    value: `{"PUBLICIP":"172.30.77.11","backendtype":"vxlan","backenddata":{"vni":1,"vtepmac":"52:34:41:6f:b6:4d"}}`,
  },
  {
    name: "the exact name beats another case",
    value: `{"publicip":"1.1.1.1","PublicIP":"172.30.77.11","publicIP":"2.2.2.2","BackendType":"vxlan","BackendData":{"vni":3,"VNI":1,"VtepMAC":"52:34:41:6f:b6:4d"}}`,
  },
  {
    name: "unknown fields are passed over",
    value: `{"PublicIP":"172.30.77.11","x":[[1]],"BackendType":"vxlan","BackendData":{"VNI":1,"y":{},"VtepMAC":"52:34:41:6f:b6:4d"}}`,
  },
  {
    name: "a missing VNI is 1",
    value: `{"PublicIP":"172.30.77.11","BackendType":"vxlan","BackendData":{"VtepMAC":"52:34:41:6f:b6:4d"}}`,
  },
  {
    name: "a MAC with dashes",
    value: `{"PublicIP":"172.30.77.11","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"52-34-41-6F-B6-4D"}}`,
  },
  {
    name: "a MAC with dots",
    value: `{"PublicIP":"172.30.77.11","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"5234.416f.b64d"}}`,
  },
  {
    name: "empty text counts as absent",
    value: `{"PublicIP":"172.30.77.11","PublicIPv6":"::","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"52:34:41:6f:b6:4d"},"NodeID":""}`,
  },
  {
    name: "white space",
    value: ` { "PublicIP" : "172.30.77.11" , "BackendType":"vxlan", "BackendData":{"VNI":1,"VtepMAC":"52:34:41:6f:b6:4d"}, "BackendV6Data": null }\n`,
  },
];

for (const { name, value } of lenient) {
  test(name, () => expect(decodeLeaseValue(value)).toEqual({ value: vxlan }));
}

test("the data of a backend that we do not speak is passed over", () => {
  const value = `{"PublicIP":"1.2.3.4","BackendType":"wireguard","BackendData":{"PublicKey":"x=","Port":51820}}`;
  expect(decodeLeaseValue(value).value).toEqual({ publicIp: { 4: ip("1.2.3.4") }, backendType: "wireguard", vtep: {} });
  expect(decodeLeaseValue(`{"PublicIP":"1.2.3.4","BackendType":"extension","BackendData":"text"}`).value).toBeDefined();
});

test("a reservation by hand needs a PublicIP and nothing else", () => {
  expect(decodeLeaseValue(`{"PublicIP":"1.2.3.4"}`).value).toEqual({
    publicIp: { 4: ip("1.2.3.4") },
    backendType: "",
    vtep: {},
  });
});

const data = (fields: string): string => `{"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":${fields}}`;
const malformed = [
  { value: "", reason: "is not valid JSON" },
  { value: "hello", reason: "is not valid JSON" },
  { value: `{"PublicIP":"1.2.3.4"} {}`, reason: "is not valid JSON" },
  { value: "null", reason: "is not a JSON object" },
  { value: "[]", reason: "is not a JSON object" },
  { value: `"1.2.3.4"`, reason: "is not a JSON object" },
  { value: "[".repeat(16_000), reason: "is not valid JSON" },
  { value: `{"a":`.repeat(3000), reason: "is not valid JSON" },
  { value: `{"PublicIP":"1.2.3.4","x":"${"y".repeat(1_000_000)}"}`, reason: "has 1000029 characters" },
  { value: "{}", reason: "has neither a PublicIP nor a PublicIPv6" },
  { value: `{"PublicIP":null,"PublicIPv6":null}`, reason: "has neither" },
  { value: `{"PublicIP":"0.0.0.0"}`, reason: "has neither" },
  { value: `{"PublicIP":16909060}`, reason: "has a PublicIP that is no string" },
  { value: `{"PublicIP":["1.2.3.4"]}`, reason: "has a PublicIP that is no string" },
  { value: `{"PublicIP":"1.2.3"}`, reason: `has a PublicIP that is no IPv4 address: "1.2.3"` },
  { value: `{"PublicIP":"fd77::1"}`, reason: "has a PublicIP that is no IPv4 address" },
  { value: `{"PublicIP":"224.0.0.1"}`, reason: "not the address of one other host" },
  { value: `{"PublicIP":"255.255.255.255"}`, reason: "not the address of one other host" },
  { value: `{"PublicIPv6":"ff02::1"}`, reason: "not the address of one other host" },
  { value: `{"PublicIP":"127.0.0.1"}`, reason: "not the address of one other host" },
  { value: `{"PublicIP":"0.0.0.1"}`, reason: "not the address of one other host" },
  { value: `{"PublicIPv6":"::1"}`, reason: "not the address of one other host" },
  { value: `{"PublicIPv6":"::ffff:1.2.3.4"}`, reason: "not the address of one other host" },
  { value: `{"PublicIP":"$(touch pwned)"}`, reason: "has a PublicIP that is no IPv4 address" },
  { value: `{"PublicIP":"1.2.3.4","BackendType":["vxlan"]}`, reason: "has a BackendType that is no string" },
  { value: "[".repeat(10_000), reason: "is not valid JSON" },
  { value: `${"[".repeat(8000)}${"]".repeat(8000)}`, reason: "is not a JSON object" },
  { value: `{"PublicIPv6":"1.2.3.4"}`, reason: "has a PublicIPv6 that is no IPv6 address" },
  { value: data(`"text"`), reason: "has a BackendData that is no JSON object" },
  { value: data(`[]`), reason: "has a BackendData that is no JSON object" },
  { value: data(`{"VNI":1}`), reason: "has a BackendData without VtepMAC" },
  { value: data(`{"VtepMAC":"x"}`), reason: "has a VtepMAC that is no unicast MAC" },
  { value: data(`{"VtepMAC":"00:00:00:00:00:00"}`), reason: "has a VtepMAC that is no unicast MAC" },
  { value: data(`{"VtepMAC":"01:00:5e:00:00:01"}`), reason: "has a VtepMAC that is no unicast MAC" },
  { value: data(`{"VtepMAC":"52:34:41:6f:b6:4d","VNI":"1"}`), reason: "has a VNI that is no integer" },
  { value: data(`{"VtepMAC":"52:34:41:6f:b6:4d","VNI":1.5}`), reason: "has a VNI that is no integer" },
  { value: data(`{"VtepMAC":"52:34:41:6f:b6:4d","VNI":-1}`), reason: "has a VNI that is no integer" },
  { value: data(`{"VtepMAC":"52:34:41:6f:b6:4d","VNI":16777216}`), reason: "has a VNI that is no integer" },
  { value: data(`{"VtepMAC":"52:34:41:6f:b6:4d","VNI":1e999}`), reason: "has a VNI that is no integer" },
  { value: `{"PublicIP":"1.2.3.4","NodeID":7}`, reason: "has a NodeID that is no string" },
  { value: `{"PublicIP":"1.2.3.4","NodeName":"a\\nb"}`, reason: "has a NodeName with control characters" },
  { value: `{"PublicIP":"1.2.3.4","NodeName":"${"n".repeat(300)}"}`, reason: "has a NodeName of more than 253" },
];

for (const { value, reason } of malformed) {
  test(`${value.slice(0, 60)} is malformed: ${reason}`, () => {
    const parsed = decodeLeaseValue(value);
    expect(parsed.malformed).toContain(reason);
    expect(parsed.malformed?.length).toBeLessThan(200);
  });
}

const anyVtep = fc.record({
  vni: fc.integer({ min: 0, max: MAX_VNI }),
  // From a source in [0, 1) that cannot give the all-zero address, since the local bit is set.
  mac: fc
    .infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true }))
    .map((stream) => randomMac(() => stream.next().value as number)),
});
const name = fc.string({ minLength: 1, maxLength: 100 }).filter((text) => !/\p{Cc}/u.test(text));
const four = fc
  .integer({ min: 0x0100_0000, max: 0xdfff_ffff })
  .filter((value) => value >>> 24 !== 127)
  .map((value): Addr => ({ family: 4, value: BigInt(value) }));
const six = fc.bigInt(1n << 64n, (0xffn << 120n) - 1n).map((value): Addr => ({ family: 6, value }));
const anyAttrs = fc
  .record({
    publicIp: fc.oneof(fc.record({ 4: four }), fc.record({ 6: six }), fc.record({ 4: four, 6: six })),
    backendType: fc.constantFrom("vxlan", "host-gw", ""),
    vtep: fc.oneof(fc.record({ 4: anyVtep }), fc.record({ 6: anyVtep }), fc.record({ 4: anyVtep, 6: anyVtep })),
    ours: fc.record({ nodeId: name, nodeName: name, dataplane: name }, { requiredKeys: [] }),
  })
  .map(({ ours, ...attrs }): LeaseAttrs => ({
    ...attrs,
    vtep: attrs.backendType === "vxlan" ? attrs.vtep : {},
    ...ours,
  }));

test("any attributes survive being written and read", () => {
  fc.assert(
    fc.property(anyAttrs, (attrs) => {
      expect(decodeLeaseValue(encodeLeaseValue(attrs))).toEqual({ value: attrs });
    }),
  );
});

test("no text makes the decoder throw", () => {
  const members = fc.dictionary(
    fc.constantFrom(
      "PublicIP",
      "publicip",
      "PublicIPv6",
      "BackendType",
      "BackendData",
      "BackendV6Data",
      "NodeID",
      "__proto__",
    ),
    fc.oneof(
      fc.json().map((text): unknown => JSON.parse(text)),
      fc.constant("vxlan"),
      fc.constant("1.2.3.4"),
    ),
  );
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    members.map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(text, (text) => {
      const parsed = decodeLeaseValue(text);
      expect(parsed.malformed === undefined).toBe(parsed.value !== undefined);
    }),
    { numRuns: 2000 },
  );
});
