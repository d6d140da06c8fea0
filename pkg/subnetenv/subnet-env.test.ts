import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAddr } from "../addr/addr.ts";
import { parsePrefix, type Prefix } from "../addr/prefix.ts";
import { formatSubnetEnv, parseSubnetEnv, subnetEnvOf } from "./subnet-env.ts";

const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text);
  if (!parsed) throw new Error(`bad prefix ${text}`);
  return parsed;
};

const GOLDEN = new URL("../../../shared/golden/flannel/", import.meta.url).pathname;

test.skipIf(!existsSync(GOLDEN))("every recorded subnet.env of flannel is written back byte for byte", () => {
  const files = readdirSync(GOLDEN, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith("subnet.env"));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const text = readFileSync(join(GOLDEN, file), "utf8");
    expect(formatSubnetEnv(parseSubnetEnv(text)), file).toBe(text);
  }
});

const DUAL = `FLANNEL_NETWORK=10.5.0.0/16
FLANNEL_SUBNET=10.5.49.1/24
FLANNEL_IPV6_NETWORK=fd05::/56
FLANNEL_IPV6_SUBNET=fd05:0:0:1b::1/64
FLANNEL_MTU=1430
FLANNEL_IPMASQ=true
`;

test("a lease of both families gives the first usable addresses and the smaller MTU", () => {
  const env = subnetEnvOf({
    network: { 4: prefix("10.5.0.0/16"), 6: prefix("fd05::/56") },
    subnet: { 4: prefix("10.5.49.0/24"), 6: prefix("fd05:0:0:1b::/64") },
    mtu: { 4: 1450, 6: 1430 },
    ipMasq: true,
  });
  expect(formatSubnetEnv(env)).toBe(DUAL);
});

test("the MTU of a family without a subnet does not count", () => {
  const env = subnetEnvOf({
    network: { 4: prefix("10.5.0.0/16") },
    subnet: { 4: prefix("10.5.19.64/26") },
    mtu: { 4: 1450, 6: 1430 },
    ipMasq: false,
  });
  expect(formatSubnetEnv(env)).toBe(
    "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.19.65/26\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n",
  );
});

test("a lease without any family is refused", () => {
  expect(() => subnetEnvOf({ network: {}, subnet: {}, mtu: {}, ipMasq: true })).toThrow(RangeError);
});

test("IPv6 alone is enough", () => {
  const text = DUAL.split("\n").slice(2).join("\n");
  expect(formatSubnetEnv(parseSubnetEnv(text))).toBe(text);
});

test("a comma list of networks is kept in order", () => {
  const text = DUAL.replace("10.5.0.0/16", "10.5.0.0/16,10.96.0.0/12");
  expect(parseSubnetEnv(text).network[4]).toEqual([prefix("10.5.0.0/16"), prefix("10.96.0.0/12")]);
  expect(formatSubnetEnv(parseSubnetEnv(text))).toBe(text);
});

test("the subnet keeps its host part, the network loses it", () => {
  const env = parseSubnetEnv(DUAL.replace("10.5.0.0/16", "10.5.3.4/16"));
  expect(env.subnet[4]).toEqual({ addr: parseAddr("10.5.49.1"), length: 24 });
  expect(env.network[4]).toEqual([prefix("10.5.0.0/16")]);
});

const tolerated = [
  { name: "CRLF", text: DUAL.replaceAll("\n", "\r\n") },
  { name: "no newline at the end", text: DUAL.trimEnd() },
  { name: "blank lines and comments", text: `# by hand\n\n  \n${DUAL}  # FLANNEL_MTU=9\n` },
  { name: "double quotes", text: DUAL.replaceAll(/=(.*)$/gm, '="$1"') },
  { name: "single quotes", text: DUAL.replaceAll(/=(.*)$/gm, "='$1'") },
  { name: "unknown keys and lines that are no assignment", text: `FLANNEL_NEW=1\nnonsense\n=3\n${DUAL}` },
  { name: "another order", text: DUAL.split("\n").reverse().join("\n") },
  { name: "a key twice: the last one counts", text: `FLANNEL_MTU=900\n${DUAL}` },
];
for (const c of tolerated) {
  test(`tolerated: ${c.name}`, () => {
    expect(formatSubnetEnv(parseSubnetEnv(c.text))).toBe(DUAL);
  });
}

const refused = [
  {
    name: "an empty file: one sentence with all that is missing",
    text: "",
    says: /^FLANNEL_NETWORK or FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET or FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ missing$/,
  },
  { name: "no MTU", text: DUAL.replace(/FLANNEL_MTU.*\n/, ""), says: /^FLANNEL_MTU missing$/ },
  { name: "an MTU of letters", text: DUAL.replace("1430", "big"), says: /FLANNEL_MTU is "big", not a number from/ },
  { name: "an MTU below IPv4's least", text: DUAL.replace("1430", "67"), says: /FLANNEL_MTU is "67"/ },
  { name: "an MTU above a device's most", text: DUAL.replace("1430", "65536"), says: /FLANNEL_MTU is "65536"/ },
  { name: "an unclear IPMASQ", text: DUAL.replace("=true", "=yes"), says: /FLANNEL_IPMASQ is "yes", neither/ },
  { name: "IPv6 where IPv4 belongs", text: DUAL.replace("10.5.0.0/16", "fd05::/56"), says: /FLANNEL_NETWORK is "fd05/ },
  {
    name: "a subnet without length",
    text: DUAL.replace("49.1/24", "49.1"),
    says: /FLANNEL_SUBNET is "10.5.49.1", not/,
  },
  { name: "a bad one in a list", text: DUAL.replace("10.5.0.0/16", "10.5.0.0/16,x"), says: /is "10.5.0.0\/16,x", not/ },
  { name: "everything at once", text: "FLANNEL_MTU=x\nFLANNEL_IPMASQ=y", says: /missing; FLANNEL_MTU.*; FLANNEL_IPM/ },
];
for (const c of refused) {
  test(`refused: ${c.name}`, () => {
    expect(() => parseSubnetEnv(c.text)).toThrow(c.says);
  });
}
