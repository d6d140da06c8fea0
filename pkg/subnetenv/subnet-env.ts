import { type Family, FAMILIES, type PerFamily } from "../addr/family.ts";
import {
  addrAt,
  formatInterfaceAddr,
  formatPrefix,
  type InterfaceAddr,
  parseInterfaceAddr,
  parsePrefix,
  type Prefix,
} from "../addr/prefix.ts";
import { ConfigError } from "../base/errors.ts";

/** What subnet.env tells the programs on a node about its pod network. */
export interface SubnetEnv {
  /** The whole overlay. flannel may list several networks of a family. */
  readonly network: PerFamily<readonly Prefix[]>;
  /** This node's subnet, with the address that the pods' bridge takes: the first usable one. */
  readonly subnet: PerFamily<InterfaceAddr>;
  /** What a pod's packet may measure, in bytes. */
  readonly mtu: number;
  /** Whether the agent masquerades, so that the bridge must not. */
  readonly ipMasq: boolean;
}

// The names as flannel writes them, in its order.
const NETWORK_KEY = { 4: "FLANNEL_NETWORK", 6: "FLANNEL_IPV6_NETWORK" } as const;
const SUBNET_KEY = { 4: "FLANNEL_SUBNET", 6: "FLANNEL_IPV6_SUBNET" } as const;
const MTU_KEY = "FLANNEL_MTU";
const IPMASQ_KEY = "FLANNEL_IPMASQ";

// IPv4's least MTU (RFC 791 section 3.2) and the most that a device can have.
const LEAST_MTU = 68;
const MOST_MTU = 65535;

/**
 * The values for a leased subnet. `mtu` holds the overlay's MTU in bytes per family; the file has room for one, so it is
 * the smallest of the families that have a subnet: the larger would break the other family. Throws a RangeError when no
 * family has both a subnet and an MTU.
 */
export function subnetEnvOf(lease: {
  readonly network: PerFamily<Prefix>;
  readonly subnet: PerFamily<Prefix>;
  readonly mtu: PerFamily<number>;
  readonly ipMasq: boolean;
}): SubnetEnv {
  const network: { [F in Family]?: readonly Prefix[] } = {};
  const subnet: { [F in Family]?: InterfaceAddr } = {};
  const mtus: number[] = [];
  for (const family of FAMILIES) {
    const { [family]: whole } = lease.network;
    const { [family]: own } = lease.subnet;
    const { [family]: mtu } = lease.mtu;
    if (!whole || !own || mtu === undefined) continue;
    network[family] = [whole];
    subnet[family] = { addr: addrAt(own, 1n), length: own.length };
    mtus.push(mtu);
  }
  if (mtus.length === 0) throw new RangeError("subnet.env needs a network, a subnet and an MTU of one family");
  return { network, subnet, mtu: Math.min(...mtus), ipMasq: lease.ipMasq };
}

/** The text of the file, byte for byte as flannel writes it. */
export function formatSubnetEnv(env: SubnetEnv): string {
  const lines: string[] = [];
  for (const family of FAMILIES) {
    const network = env.network[family];
    const subnet = env.subnet[family];
    if (network) lines.push(`${NETWORK_KEY[family]}=${network.map(formatPrefix).join(",")}`);
    if (subnet) lines.push(`${SUBNET_KEY[family]}=${formatInterfaceAddr(subnet)}`);
  }
  lines.push(`${MTU_KEY}=${env.mtu}`, `${IPMASQ_KEY}=${env.ipMasq}`);
  return lines.map((line) => `${line}\n`).join("");
}

/**
 * Reads the text of a subnet.env. Needed are a network and a subnet of one family, the MTU and IPMASQ; blank lines,
 * comments, quotes, CRLF and unknown keys are accepted, and the last of two equal keys counts, as in a shell. Throws a
 * ConfigError with every problem; the missing keys are one of them.
 */
export function parseSubnetEnv(text: string): SubnetEnv {
  const values = parseVariables(text);
  const problems: string[] = [];
  const missing: string[] = [];

  const network = perFamily(values, NETWORK_KEY, problems, "a list of networks such as", parseNetworks);
  const subnet = perFamily(values, SUBNET_KEY, problems, "an address with a prefix length such as", parseSubnet);
  if (!hasAny(values, NETWORK_KEY)) missing.push(`${NETWORK_KEY[4]} or ${NETWORK_KEY[6]}`);
  if (!hasAny(values, SUBNET_KEY)) missing.push(`${SUBNET_KEY[4]} or ${SUBNET_KEY[6]}`);

  const mtu = Number(values.get(MTU_KEY));
  if (!values.has(MTU_KEY)) missing.push(MTU_KEY);
  else if (!/^\d+$/.test(values.get(MTU_KEY) ?? "") || mtu < LEAST_MTU || mtu > MOST_MTU) {
    problems.push(`${MTU_KEY} is "${values.get(MTU_KEY)}", not a number from ${LEAST_MTU} to ${MOST_MTU}`);
  }

  const ipMasq = values.get(IPMASQ_KEY);
  if (ipMasq === undefined) missing.push(IPMASQ_KEY);
  else if (ipMasq !== "true" && ipMasq !== "false") {
    problems.push(`${IPMASQ_KEY} is "${ipMasq}", neither true nor false`);
  }

  if (missing.length > 0) problems.unshift(`${missing.join(", ")} missing`);
  if (problems.length > 0) throw new ConfigError(problems);
  return { network, subnet, mtu, ipMasq: ipMasq === "true" };
}

/** The subnets alone, of a text that may lack everything else. Throws a ConfigError when one of them cannot be read. */
export function parseSubnets(text: string): PerFamily<InterfaceAddr> {
  const problems: string[] = [];
  const what = "an address with a prefix length such as";
  const subnet = perFamily(parseVariables(text), SUBNET_KEY, problems, what, parseSubnet);
  if (problems.length > 0) throw new ConfigError(problems);
  return subnet;
}

function parseVariables(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\s*([A-Za-z_]\w*)=(.*)$/.exec(line.trimEnd());
    if (!match) continue;
    const [, name = "", value = ""] = match;
    values.set(name, value.replace(/^(["'])(.*)\1$/, "$2"));
  }
  return values;
}

const EXAMPLE = { 4: "10.5.52.1/24", 6: "fd05:0:0:34::1/64" } as const;

function perFamily<T>(
  values: ReadonlyMap<string, string>,
  keys: Readonly<Record<Family, string>>,
  problems: string[],
  what: string,
  parse: (text: string, family: Family) => T | undefined,
): PerFamily<T> {
  const out: { [F in Family]?: T } = {};
  for (const family of FAMILIES) {
    const text = values.get(keys[family]);
    if (text === undefined) continue;
    const value = parse(text, family);
    if (value === undefined) problems.push(`${keys[family]} is "${text}", not ${what} ${EXAMPLE[family]}`);
    else out[family] = value;
  }
  return out;
}

function hasAny(values: ReadonlyMap<string, string>, keys: Readonly<Record<Family, string>>): boolean {
  return FAMILIES.some((family) => values.has(keys[family]));
}

function parseNetworks(text: string, family: Family): readonly Prefix[] | undefined {
  const networks: Prefix[] = [];
  for (const part of text.split(",")) {
    const network = parsePrefix(part.trim());
    if (network?.family !== family) return undefined;
    networks.push(network);
  }
  return networks;
}

function parseSubnet(text: string, family: Family): InterfaceAddr | undefined {
  const subnet = parseInterfaceAddr(text);
  return subnet?.addr.family === family ? subnet : undefined;
}
