import { type Addr, formatAddr, parseAddr } from "../addr/addr.ts";
import { ADDR_BITS, FAMILIES, type Family, type PerFamily } from "../addr/family.ts";
import {
  addrAt,
  containsAddr,
  formatPrefix,
  lastAddr,
  overlaps,
  parsePrefix,
  type Prefix,
  prefixOf,
} from "../addr/prefix.ts";
import { ConfigError } from "../base/errors.ts";
import { type JsonObject, parseJsonObject } from "../lease/json-object.ts";
import type { Lease } from "../lease/lease.ts";
import { excerpt } from "../lease/parsed.ts";
import { type Backend, parseBackend } from "./backend-config.ts";
import { booleanField, integerField, type Problems, stringField } from "./config-fields.ts";

export type { Backend, HostGwBackend, VxlanBackend } from "./backend-config.ts";

/** The cluster's network as `<prefix>/config` describes it, every default filled in. */
export interface NetworkConfig {
  /** The whole overlay. */
  readonly network: PerFamily<Prefix>;
  /** Prefix length of one node's subnet. */
  readonly subnetLen: PerFamily<number>;
  /** First and last subnet that may be leased, as network addresses, both inclusive. */
  readonly subnetMin: PerFamily<Addr>;
  readonly subnetMax: PerFamily<Addr>;
  /** flannel's EnableNFTables. We always use nftables for masquerade; kept so that the effective config is complete. */
  readonly enableNFTables: boolean;
  readonly backend: Backend;
}

/** What may be asked of the cluster around a config. */
export interface ConfigContext {
  /** The cluster's leases; needed only where the config has no Backend (`namesBackend`). */
  readonly liveLeases?: readonly Lease[];
  /** Hears of what is doubtful but can be lived with: one sentence. */
  readonly warn?: (sentence: string) => void;
}

const LONGEST_CONFIG = 64 * 1024;

// By family: how the fields are called, the longest subnet, and the length that subnets have where nothing is said and
// the network is large enough: flannel's numbers.
const RULES = {
  4: { enable: "EnableIPv4", byDefault: true, network: "Network", field: "Subnet", longest: 30, usual: 24 },
  6: { enable: "EnableIPv6", byDefault: false, network: "IPv6Network", field: "IPv6Subnet", longest: 126, usual: 64 },
} as const;
const EXAMPLE = { 4: "10.5.0.0/16", 6: "fd05::/48" } as const;

// This network, loopback, link-local, multicast and reserved (RFC 6890): routes for them would take the host's own traffic.
const NOT_FOR_PODS = {
  4: prefixes("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"),
  6: prefixes("::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8"),
} as const;

// A network holds at least four subnets.
const LEAST_EXTRA_BITS = 2;

/**
 * Reads a network config by flannel's rules. Throws a ConfigError that names every problem and what to do about each.
 */
export function parseNetworkConfig(text: string, context: ConfigContext = {}): NetworkConfig {
  if (text.length > LONGEST_CONFIG) {
    throw new ConfigError([`the network config has ${text.length} characters; ${LONGEST_CONFIG} are the most`]);
  }
  const json = parseJsonObject(text);
  if (json.malformed !== undefined) {
    throw new ConfigError([
      `the network config ${json.malformed}: write it as {"Network":"${EXAMPLE[4]}","Backend":{"Type":"vxlan"}}`,
    ]);
  }
  return networkConfigOf(json.value, context);
}

/** Whether a config says which backend it wants. False for text that is no config at all. */
export function namesBackend(text: string): boolean {
  return parseJsonObject(text).value?.field("Backend") !== undefined;
}

/** Whether a subnet is one that this config gives out: the right length, and from the first to the last inclusive. */
export function isLeasable(config: NetworkConfig, subnet: Prefix): boolean {
  const least = config.subnetMin[subnet.family];
  const most = config.subnetMax[subnet.family];
  if (!least || !most || subnet.length !== config.subnetLen[subnet.family]) return false;
  return subnet.value >= least.value && subnet.value <= most.value;
}

/** Whether a lease of the network may have these subnets, one of each of its families and of no other. */
export function givesOut(config: NetworkConfig, subnet: PerFamily<Prefix>): boolean {
  return FAMILIES.every((family) => {
    const own = subnet[family];
    return own ? isLeasable(config, own) : config.network[family] === undefined;
  });
}

/** The families of a config's network. */
export function familiesOf(config: NetworkConfig): Family[] {
  return FAMILIES.filter((family) => config.network[family] !== undefined);
}

function networkConfigOf(json: JsonObject, context: ConfigContext): NetworkConfig {
  const problems: Problems = [];
  const network: { -readonly [F in Family]?: Prefix } = {};
  const subnetLen: { -readonly [F in Family]?: number } = {};
  const subnetMin: { -readonly [F in Family]?: Addr } = {};
  const subnetMax: { -readonly [F in Family]?: Addr } = {};
  let enabled = 0;
  for (const family of FAMILIES) {
    const rules = RULES[family];
    if (!(booleanField(json, rules.enable, rules.enable, problems) ?? rules.byDefault)) continue;
    enabled += 1;
    const range = rangeOf(json, family, problems);
    if (!range) continue;
    network[family] = range.network;
    subnetLen[family] = range.length;
    subnetMin[family] = range.min;
    subnetMax[family] = range.max;
  }
  if (enabled === 0) problems.push("neither IPv4 nor IPv6 is enabled: set EnableIPv4 or EnableIPv6 to true");
  const enableNFTables = booleanField(json, "EnableNFTables", "EnableNFTables", problems) ?? false;
  // The warning waits until the rest is known to be right: a config that is refused anyway needs no second sentence.
  const warnings: string[] = [];
  const backend = parseBackend(
    json.field("Backend"),
    { ipv6: network[6] !== undefined, leases: context.liveLeases ?? [], warn: (sentence) => warnings.push(sentence) },
    problems,
  );
  if (problems.length > 0 || !backend) throw new ConfigError(problems);
  for (const sentence of warnings) context.warn?.(sentence);
  return { network, subnetLen, subnetMin, subnetMax, enableNFTables, backend };
}

interface Range {
  readonly network: Prefix;
  readonly length: number;
  readonly min: Addr;
  readonly max: Addr;
}

function rangeOf(json: JsonObject, family: Family, problems: Problems): Range | undefined {
  const rules = RULES[family];
  const before = problems.length;
  const network = networkOf(json, family, problems);
  const lengthName = `${rules.field}Len`;
  const asked = integerField(json, lengthName, lengthName, 0, ADDR_BITS[family], problems);
  if (!network || problems.length > before) return undefined;
  const length = lengthOf(network, asked || undefined, problems);
  if (length === undefined) return undefined;
  const size = 1n << BigInt(ADDR_BITS[family] - length);
  const min = boundOf(json, network, length, "Min", problems) ?? addrAt(network, size);
  const max = boundOf(json, network, length, "Max", problems) ?? prefixOf(lastAddr(network), length);
  if (problems.length > before) return undefined;
  if (min.value > max.value) {
    const [least, most] = [`${rules.field}Min`, `${rules.field}Max`];
    problems.push(`${least} ${formatAddr(min)} lies behind ${most} ${formatAddr(max)}: swap them or leave one out`);
    return undefined;
  }
  return { network, length, min, max: { family, value: max.value } };
}

function networkOf(json: JsonObject, family: Family, problems: Problems): Prefix | undefined {
  const { network: name, enable } = RULES[family];
  const before = problems.length;
  const text = stringField(json, name, EXAMPLE[family], problems);
  if (problems.length > before) return undefined;
  if (text === undefined) {
    problems.push(
      `${name} is missing: give the pods' IPv${family} network, such as "${EXAMPLE[family]}", or set ${enable} to false`,
    );
    return undefined;
  }
  const network = parsePrefix(text);
  const special =
    network?.family === family ? NOT_FOR_PODS[family].find((other) => overlaps(network, other)) : undefined;
  if (network && special) {
    problems.push(
      `${name} ${formatPrefix(network)} overlaps ${formatPrefix(special)}, which pods cannot have: choose another`,
    );
    return undefined;
  }
  if (network?.family === family) return network;
  problems.push(`${name} ${excerpt(text)} is no IPv${family} network: write it as "${EXAMPLE[family]}"`);
  return undefined;
}

function prefixes(...texts: readonly string[]): readonly Prefix[] {
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}

function lengthOf(network: Prefix, asked: number | undefined, problems: Problems): number | undefined {
  const { longest, usual, field, network: name } = RULES[network.family];
  const least = network.length + LEAST_EXTRA_BITS;
  if (least > longest) {
    problems.push(`${name} ${formatPrefix(network)} is too small: it may be a /${longest - LEAST_EXTRA_BITS} at most`);
    return undefined;
  }
  if (asked === undefined) return Math.max(usual, least);
  if (asked >= least && asked <= longest) return asked;
  problems.push(
    `${field}Len is ${asked}: in ${formatPrefix(network)} it may be from ${least}, so that there are four subnets, to ${longest}`,
  );
  return undefined;
}

function boundOf(
  json: JsonObject,
  network: Prefix,
  length: number,
  end: "Min" | "Max",
  problems: Problems,
): Addr | undefined {
  const { family } = network;
  const name = `${RULES[family].field}${end}`;
  const text = stringField(json, name, formatAddr(network), problems);
  if (text === undefined) return undefined;
  const addr = parseAddr(text);
  // The unspecified address is Go's zero value: flannel takes it for "not given".
  if (addr?.family === family && addr.value === 0n) return undefined;
  if (addr?.family !== family) {
    problems.push(
      `${name} ${excerpt(text)} is no IPv${family} address: give a subnet's first address, without a length`,
    );
  } else if (!containsAddr(network, addr)) {
    problems.push(`${name} ${text} lies outside ${RULES[family].network} ${formatPrefix(network)}: choose one inside`);
  } else if (prefixOf(addr, length).value !== addr.value) {
    problems.push(
      `${name} ${text} is not the first address of a /${length}: the nearest below is ${formatAddr(prefixOf(addr, length))}`,
    );
  } else {
    return addr;
  }
  return undefined;
}
