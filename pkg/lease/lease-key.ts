import { formatAddr, parseAddr } from "../addr/addr.ts";
import { ADDR_BITS, FAMILIES, type Family, type PerFamily } from "../addr/family.ts";
import { formatPrefix, type Prefix, prefixOf } from "../addr/prefix.ts";
import type { LeaseKey } from "./lease.ts";
import type { Parsed } from "./parsed.ts";

// IPv6-only leases lie outside "subnets": flannel takes every key that begins with that for an IPv4 lease, and its
// v0.28.9 answers one that it cannot read by dropping all of its routes.
const FOLDER = "subnets/";
const FOLDER_V6 = "ipv6-subnets/";

// flannel searches for (\d+\.\d+.\d+.\d+)-(\d+)(?:&([a-f\d:]+)-(\d+))?$, so it also takes what has something else in
// front or other characters for two of the dots. Nobody writes those; here the whole name must match.
const NAME = /^(\d+\.\d+\.\d+\.\d+)-(\d{1,3})(?:&([a-f\d:]+)-(\d{1,3}))?$/;
const NAME_V6 = /^([a-f\d:]+)-(\d{1,3})$/;

// "255.255.255.255-32&ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-128" has 62.
const LONGEST_NAME = 80;

/**
 * The subnets that a key below the prefix stands for: "subnets/10.5.52.0-24", "subnets/10.5.49.0-24&fd05:0:0:1b::-64",
 * "ipv6-subnets/fd05:0:0:1b::-64". Undefined for a key that is no business of leases ("config").
 */
export function parseLeaseKey(key: string): Parsed<PerFamily<Prefix>> | undefined {
  if (key.startsWith(FOLDER_V6)) return parseV6(key.slice(FOLDER_V6.length));
  if (key.startsWith(FOLDER)) return parseName(key.slice(FOLDER.length));
  if (key.startsWith("subnets")) {
    return { malformed: `begins with "subnets", where flannel expects nothing but leases: delete it` };
  }
  return undefined;
}

/** The key of a lease on these subnets, in flannel's form where flannel has one. Throws a RangeError without a subnet. */
export function formatLeaseKey(subnet: PerFamily<Prefix>): LeaseKey {
  const name = FAMILIES.flatMap((family) => {
    const prefix = subnet[family];
    return prefix ? [`${formatAddr(prefix)}-${prefix.length}`] : [];
  }).join("&");
  if (name === "") throw new RangeError("a lease has at least one subnet");
  return (subnet[4] ? FOLDER : FOLDER_V6) + name;
}

/** For people: "10.5.52.0/24", in dual stack "10.5.49.0/24 and fd05:0:0:1b::/64". */
export function formatSubnet(subnet: PerFamily<Prefix>): string {
  return FAMILIES.flatMap((family) => subnet[family] ?? [])
    .map(formatPrefix)
    .join(" and ");
}

function parseName(name: string): Parsed<PerFamily<Prefix>> {
  const match = name.length > LONGEST_NAME ? null : NAME.exec(name);
  if (!match) return { malformed: "is not of the form 10.5.52.0-24 or 10.5.49.0-24&fd05:0:0:1b::-64" };
  const [, v4 = "", len4 = "", v6, len6] = match;
  const four = parseSubnet(4, v4, len4);
  if (four.malformed !== undefined) return four;
  if (v6 === undefined || len6 === undefined) return { value: { 4: four.value } };
  const six = parseSubnet(6, v6, len6);
  return six.malformed === undefined ? { value: { 4: four.value, 6: six.value } } : six;
}

function parseV6(name: string): Parsed<PerFamily<Prefix>> {
  const match = name.length > LONGEST_NAME ? null : NAME_V6.exec(name);
  if (!match) return { malformed: "is not of the form fd05:0:0:1b::-64" };
  const six = parseSubnet(6, match[1] ?? "", match[2] ?? "");
  return six.malformed === undefined ? { value: { 6: six.value } } : six;
}

function parseSubnet(family: Family, text: string, digits: string): Parsed<Prefix> {
  const addr = parseAddr(text);
  if (addr?.family !== family) return { malformed: `has no IPv${family} address where one belongs: ${text}` };
  const length = Number(digits);
  // flannel's limits are 31 and 127. A length of zero would send the whole internet to one peer; flannel's own
  // IPv6-only form, "0.0.0.0-0&fd05:...", has it.
  if (length < 1 || length >= ADDR_BITS[family]) {
    return { malformed: `has the IPv${family} length ${digits}; from 1 to ${ADDR_BITS[family] - 1} make sense` };
  }
  const prefix = prefixOf(addr, length);
  if (prefix.value !== addr.value) {
    return { malformed: `has ${text}, which is not the first address of its /${length}, ${formatAddr(prefix)}` };
  }
  return { value: prefix };
}
