import { expect, test } from "vitest";
import { formatAddr, parseAddr } from "../addr/addr.ts";
import { mapFamilies } from "../addr/family.ts";
import { formatPrefix, parsePrefix, type Prefix } from "../addr/prefix.ts";
import { ConfigError } from "../base/errors.ts";
import type { Lease } from "../lease/lease.ts";
import {
  type ConfigContext,
  givesOut,
  isLeasable,
  namesBackend,
  type NetworkConfig,
  parseNetworkConfig,
} from "./network-config.ts";

function shown(config: NetworkConfig) {
  return {
    network: mapFamilies(config.network, formatPrefix),
    len: config.subnetLen,
    min: mapFamilies(config.subnetMin, formatAddr),
    max: mapFamilies(config.subnetMax, formatAddr),
    backend: config.backend,
  };
}

function problemsOf(text: string, context: ConfigContext = {}): readonly string[] {
  try {
    parseNetworkConfig(text, context);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return expect.fail(`accepted: ${text}`);
}

const VXLAN = { type: "vxlan", vni: 1, port: 8472, mtu: undefined, gbp: false, learning: false, directRouting: false };

// The first six are the configs of the recordings of flannel.
const good = [
  {
    text: `{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}`,
    want: {
      network: { 4: "10.5.0.0/16" },
      len: { 4: 24 },
      min: { 4: "10.5.1.0" },
      max: { 4: "10.5.255.0" },
      backend: VXLAN,
    },
  },
  {
    text: `{"Network":"10.5.0.0/16","EnableIPv6":true,"EnableNFTables":true,"IPv6Network":"fd05::/56","Backend":{"Type":"vxlan"}}`,
    want: {
      network: { 4: "10.5.0.0/16", 6: "fd05::/56" },
      len: { 4: 24, 6: 64 },
      min: { 4: "10.5.1.0", 6: "fd05:0:0:1::" },
      max: { 4: "10.5.255.0", 6: "fd05:0:0:ff::" },
    },
  },
  { text: `{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}`, want: { backend: { type: "host-gw" } } },
  {
    text: `{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}}`,
    want: { backend: { ...VXLAN, directRouting: true } },
  },
  {
    text: `{"Network":"10.5.0.0/16","SubnetLen":26,"SubnetMin":"10.5.10.0","SubnetMax":"10.5.20.0","Backend":{"Type":"vxlan","VNI":77,"Port":4789,"MTU":1400}}`,
    want: {
      len: { 4: 26 },
      min: { 4: "10.5.10.0" },
      max: { 4: "10.5.20.0" },
      backend: { ...VXLAN, vni: 77, port: 4789, mtu: 1400 },
    },
  },
  {
    text: `{"NETWORK":"10.5.0.0/16","subnetlen":25,"backend":{"type":"VXLAN","vni":5,"gbp":true,"LEARNING":true}}`,
    want: { len: { 4: 25 }, backend: { ...VXLAN, vni: 5, gbp: true, learning: true } },
  },
  {
    text: `{"Network":"10.5.7.9/22","Backend":{"Type":"vxlan"}}`,
    want: { network: { 4: "10.5.4.0/22" }, len: { 4: 24 } },
  },
  { text: `{"Network":"10.5.0.0/23","Backend":{"Type":"vxlan"}}`, want: { len: { 4: 25 }, min: { 4: "10.5.0.128" } } },
  {
    text: `{"Network":"10.5.0.0/28","Backend":{"Type":"vxlan"}}`,
    want: { len: { 4: 30 }, min: { 4: "10.5.0.4" }, max: { 4: "10.5.0.12" } },
  },
  {
    text: `{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fd05::/63","Backend":{"Type":"vxlan"}}`,
    want: { network: { 6: "fd05::/63" }, len: { 6: 65 }, min: { 6: "fd05::8000:0:0:0" } },
  },
  {
    text: `{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fd05::/124","Backend":{"Type":"vxlan"}}`,
    want: { len: { 6: 126 }, min: { 6: "fd05::4" }, max: { 6: "fd05::c" } },
  },
  // Go's zero values count as "not given".
  {
    text: `{"Network":"10.5.0.0/16","SubnetLen":0,"SubnetMin":"0.0.0.0","SubnetMax":"","Backend":{"Type":"vxlan","Port":0,"MTU":0}}`,
    want: { len: { 4: 24 }, min: { 4: "10.5.1.0" }, max: { 4: "10.5.255.0" }, backend: VXLAN },
  },
  {
    text: `{"Network":"10.5.0.0/16","IPv6Network":"nonsense","Backend":{"Type":"vxlan"}}`,
    want: { network: { 4: "10.5.0.0/16" } },
  },
  {
    text: `{"Network":"10.5.0.0/16","SubnetMin":"10.5.0.0","SubnetMax":"10.5.0.0","Backend":{"Type":"vxlan","VNI":16777215}}`,
    want: { min: { 4: "10.5.0.0" }, max: { 4: "10.5.0.0" }, backend: { ...VXLAN, vni: 16777215 } },
  },
];

for (const { text, want } of good) {
  test(`accepts ${text}`, () => {
    expect(shown(parseNetworkConfig(text))).toMatchObject(want);
  });
}

const v4 = (rest: string): string => `{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}${rest}}`;
const v6 = (rest: string): string => `{"EnableIPv4":false,"EnableIPv6":true,"Backend":{"Type":"vxlan"}${rest}}`;
const backend = (json: string): string => `{"Network":"10.5.0.0/16","Backend":${json}}`;

const bad = [
  {
    text: ``,
    problem: `the network config is not valid JSON: write it as {"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}`,
  },
  { text: `[]`, problem: "the network config is not a JSON object" },
  { text: `{"Network":"10.5.0.0/16"} x`, problem: "is not valid JSON" },
  { text: `{"Backend":{"Type":"vxlan"}}`, problem: "Network is missing: give the pods' IPv4 network" },
  { text: `{"Network":7,"Backend":{"Type":"vxlan"}}`, problem: "Network is 7: give text such as" },
  {
    text: `{"Network":"10.5.0.0","Backend":{"Type":"vxlan"}}`,
    problem: `Network "10.5.0.0" is no IPv4 network: write it as "10.5.0.0/16"`,
  },
  { text: `{"Network":"fd05::/48","Backend":{"Type":"vxlan"}}`, problem: `Network "fd05::/48" is no IPv4 network` },
  {
    text: `{"Network":"10.5.0.0/29","Backend":{"Type":"vxlan"}}`,
    problem: "Network 10.5.0.0/29 is too small: it may be a /28 at most",
  },
  { text: v4(`,"EnableIPv4":"yes"`), problem: `EnableIPv4 is the text "yes": give true or false, without quotes` },
  { text: v4(`,"EnableIPv4":false`), problem: "neither IPv4 nor IPv6 is enabled" },
  { text: v4(`,"EnableNFTables":1`), problem: "EnableNFTables is 1: give true or false" },
  { text: v4(`,"EnableIPv6":true`), problem: "IPv6Network is missing" },
  {
    text: v4(`,"SubnetLen":"24"`),
    problem: `SubnetLen is the text "24": give an integer from 0 to 32, without quotes`,
  },
  { text: v4(`,"SubnetLen":24.5`), problem: "SubnetLen is 24.5: give an integer" },
  { text: v4(`,"SubnetLen":-1`), problem: "SubnetLen is -1: give an integer" },
  {
    text: v4(`,"SubnetLen":17`),
    problem: "SubnetLen is 17: in 10.5.0.0/16 it may be from 18, so that there are four subnets, to 30",
  },
  { text: v4(`,"SubnetLen":31`), problem: "SubnetLen is 31: in 10.5.0.0/16" },
  {
    text: v4(`,"SubnetMin":"10.5.1.0/24"`),
    problem: `SubnetMin "10.5.1.0/24" is no IPv4 address: give a subnet's first address`,
  },
  { text: v4(`,"SubnetMin":"10.6.1.0"`), problem: "SubnetMin 10.6.1.0 lies outside Network 10.5.0.0/16" },
  {
    text: v4(`,"SubnetMin":"10.5.1.1"`),
    problem: "SubnetMin 10.5.1.1 is not the first address of a /24: the nearest below is 10.5.1.0",
  },
  { text: v4(`,"SubnetMax":"10.5.9.128"`), problem: "SubnetMax 10.5.9.128 is not the first address of a /24" },
  { text: v4(`,"SubnetMax":[]`), problem: "SubnetMax is a JSON object or list: give text" },
  {
    text: v4(`,"SubnetMin":"10.5.9.0","SubnetMax":"10.5.8.0"`),
    problem: "SubnetMin 10.5.9.0 lies behind SubnetMax 10.5.8.0",
  },
  { text: v6(``), problem: "IPv6Network is missing" },
  { text: v6(`,"IPv6Network":"fd05::/125"`), problem: "IPv6Network fd05::/125 is too small: it may be a /124 at most" },
  {
    text: v6(`,"IPv6Network":"fd05::/56","IPv6SubnetLen":57`),
    problem: "IPv6SubnetLen is 57: in fd05::/56 it may be from 58",
  },
  { text: v6(`,"IPv6Network":"fd05::/56","IPv6SubnetLen":127`), problem: "IPv6SubnetLen is 127" },
  {
    text: v6(`,"IPv6Network":"fd05::/56","IPv6SubnetMin":"10.5.1.0"`),
    problem: `IPv6SubnetMin "10.5.1.0" is no IPv6 address`,
  },
  {
    text: v6(`,"IPv6Network":"fd05::/56","IPv6SubnetMin":"fd05::1"`),
    problem: "IPv6SubnetMin fd05::1 is not the first address of a /64",
  },
  { text: backend(`"vxlan"`), problem: "Backend is no JSON object" },
  { text: backend(`{}`), problem: `Backend has no Type: set it to "vxlan" or "host-gw"` },
  {
    text: backend(`{"Type":"UDP"}`),
    problem: `twill does not speak the backend type "udp" of flannel: set it to "vxlan" or "host-gw"`,
  },
  { text: backend(`{"Type":"wireguard"}`), problem: `backend type "wireguard"` },
  { text: backend(`{"Type":"ipsec"}`), problem: `backend type "ipsec"` },
  { text: backend(`{"Type":"vxlam"}`), problem: `unknown Type "vxlam"` },
  {
    text: backend(`{"Type":"vxlan","VNI":16777216}`),
    problem: "Backend.VNI is 16777216: give an integer from 0 to 16777215",
  },
  { text: backend(`{"Type":"vxlan","VNI":"1"}`), problem: `Backend.VNI is the text "1"` },
  { text: backend(`{"Type":"vxlan","Port":65536}`), problem: "Backend.Port is 65536" },
  { text: backend(`{"Type":"vxlan","MTU":500}`), problem: "Backend.MTU is 500, less than the 576 that IPv4 pods need" },
  { text: backend(`{"Type":"vxlan","MTU":1400.5}`), problem: "Backend.MTU is 1400.5" },
  { text: backend(`{"Type":"vxlan","DirectRouting":"true"}`), problem: `Backend.DirectRouting is the text "true"` },
  {
    text: `{"EnableIPv6":true,"Network":"10.5.0.0/16","IPv6Network":"fd05::/56","Backend":{"Type":"vxlan","MTU":1300}}`,
    problem: "less than the 1350 that IPv6 pods need",
  },
  { text: `{"x":"${"y".repeat(70_000)}"}`, problem: "the network config has 70008 characters" },
];

for (const { text, problem } of bad) {
  test(`refuses ${text.slice(0, 90)}: ${problem}`, () => {
    const problems = problemsOf(text);
    expect(problems.length).toBe(1);
    expect(problems[0]).toContain(problem);
  });
}

test("every problem is named at once", () => {
  const text = `{"EnableIPv6":true,"Network":"x","IPv6Network":"y","EnableNFTables":0,"Backend":{"Type":"vxlan","VNI":-1,"GBP":2}}`;
  expect(problemsOf(text).length).toBe(5);
});

function lease(backendType: string, leaseId = "7"): Lease {
  const publicIp = { 4: parseAddr("192.0.2.1") ?? expect.fail() };
  const subnet = { 4: parsePrefix("10.5.1.0/24") ?? expect.fail() };
  return { key: "subnets/10.5.1.0-24", subnet, attrs: { publicIp, backendType, vtep: {} }, leaseId, modRevision: "5" };
}

test("without Backend it is vxlan, with one warning", () => {
  const warnings: string[] = [];
  const liveLeases = [lease("vxlan"), lease("", "0")];
  const config = parseNetworkConfig(`{"Network":"10.5.0.0/16"}`, {
    liveLeases,
    warn: (sentence) => warnings.push(sentence),
  });
  expect(config.backend).toEqual(VXLAN);
  expect(warnings).toEqual([
    "the network config has no Backend: taking vxlan, where flannel would take udp; write it out",
  ]);
});

test("without Backend it is refused while nodes of flannel's udp backend live, and they are named", () => {
  expect(problemsOf(`{"Network":"10.5.0.0/16"}`, { liveLeases: [lease("vxlan"), lease("")] })).toEqual([
    "Backend is missing, and nodes live here that take that for flannel's udp backend " +
      `(subnets/10.5.1.0-24, 10.5.1.0/24 of node 192.0.2.1): write "Backend":{"Type":"vxlan"} and restart those nodes`,
  ]);
});

test("namesBackend looks at nothing else", () => {
  expect(namesBackend(`{"backend":{}}`)).toBe(true);
  expect(namesBackend(`{"Backend":null}`)).toBe(false);
  expect(namesBackend(`nonsense`)).toBe(false);
});

test("isLeasable: the right length, from SubnetMin to SubnetMax inclusive, of a family in use", () => {
  const config = parseNetworkConfig(v4(`,"SubnetMin":"10.5.2.0","SubnetMax":"10.5.4.0"`));
  const fits = (text: string): boolean => isLeasable(config, parsePrefix(text) ?? expect.fail(text));
  expect(["10.5.2.0/24", "10.5.4.0/24"].every(fits)).toBe(true);
  expect(["10.5.1.0/24", "10.5.5.0/24", "10.5.2.0/25", "10.6.3.0/24", "fd05::/24"].some(fits)).toBe(false);
});

test("givesOut: a leasable subnet of each family in use, and none of another", () => {
  const config = parseNetworkConfig(v4(""));
  const of = (text: string): Prefix => parsePrefix(text) ?? expect.fail(text);
  const [four, six] = [of("10.5.2.0/24"), of("fd05:0:0:2::/64")];
  expect(givesOut(config, { 4: four })).toBe(true);
  const others = [{}, { 4: of("10.6.2.0/24") }, { 6: six }, { 4: four, 6: six }];
  expect(others.some((subnet) => givesOut(config, subnet))).toBe(false);
});
