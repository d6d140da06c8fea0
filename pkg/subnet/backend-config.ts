import { isObject, JsonObject } from "../lease/json-object.ts";
import { describeLease } from "../lease/lease-row.ts";
import { MAX_VNI } from "../lease/lease-value.ts";
import type { Lease } from "../lease/lease.ts";
import { excerpt } from "../lease/parsed.ts";
import { booleanField, integerField, type Problems } from "./config-fields.ts";

export type Backend = VxlanBackend | HostGwBackend;

export interface VxlanBackend {
  readonly type: "vxlan";
  readonly vni: number;
  /** UDP port; 8472 where the config says 0 or nothing. */
  readonly port: number;
  /** Underlay MTU to reckon with; undefined: the underlay interface's. */
  readonly mtu: number | undefined;
  readonly gbp: boolean;
  readonly learning: boolean;
  readonly directRouting: boolean;
}

export interface HostGwBackend {
  readonly type: "host-gw";
}

// The port of Linux before IANA assigned 4789 (drivers/net/vxlan/vxlan_core.c, vxlan_port); flannel's 0 means it.
const LINUX_VXLAN_PORT = 8472;
const DEFAULT_VNI = 1;

// What every IPv4 host takes (RFC 791 section 3.1, "Total Length"), and what an IPv6 link carries (RFC 8200 section 5)
// behind the 70 bytes of VXLAN over IPv6.
const LEAST_MTU = 576;
const LEAST_MTU_V6 = 1280 + 70;

const NOT_YET = ["udp", "wireguard", "ipip", "ipsec", "extension", "alloc", "tencent-vpc"];
const NEXT_STEP = `set it to "vxlan" or "host-gw"`;

export interface BackendContext {
  readonly ipv6: boolean;
  /** The leases of the cluster, looked at only where the config has no Backend. */
  readonly leases: readonly Lease[];
  readonly warn: (sentence: string) => void;
}

/** Reads `Backend` of a network config. Undefined when it is wrong, and then `problems` says why. */
export function parseBackend(value: unknown, context: BackendContext, problems: Problems): Backend | undefined {
  if (value === undefined) return assumeVxlan(context, problems);
  if (!isObject(value)) {
    problems.push(`Backend is no JSON object: write {"Type":"vxlan"}`);
    return undefined;
  }
  const json = new JsonObject(value);
  const text = json.field("Type");
  const type = typeof text === "string" ? text.toLowerCase() : undefined;
  if (type === "host-gw") return { type };
  if (type === "vxlan") return vxlan(json, context.ipv6, problems);
  if (type === undefined) problems.push(`Backend has no Type: ${NEXT_STEP}`);
  else if (NOT_YET.includes(type))
    problems.push(`twill does not speak the backend type "${type}" of flannel: ${NEXT_STEP}`);
  else problems.push(`Backend has the unknown Type ${excerpt(type)}: ${NEXT_STEP}`);
  return undefined;
}

// Without Backend flannel's code takes udp while its documents say vxlan. Leases tell which it is: those of the udp
// backend have no BackendType. A reservation need not have one, and nobody lives behind it.
function assumeVxlan(context: BackendContext, problems: Problems): Backend | undefined {
  const udp = context.leases.filter((lease) => lease.leaseId !== "0" && lease.attrs.backendType === "");
  if (udp.length === 0) {
    context.warn(`the network config has no Backend: taking vxlan, where flannel would take udp; write it out`);
    return vxlan(new JsonObject({}), context.ipv6, problems);
  }
  const named = udp.slice(0, 3).map((lease) => `${lease.key}, ${describeLease(lease)}`);
  const more = udp.length > named.length ? `, and ${udp.length - named.length} more` : "";
  problems.push(
    `Backend is missing, and nodes live here that take that for flannel's udp backend (${named.join("; ")}${more}): ` +
      `write "Backend":{"Type":"vxlan"} and restart those nodes`,
  );
  return undefined;
}

function vxlan(json: JsonObject, ipv6: boolean, problems: Problems): VxlanBackend {
  const least = ipv6 ? LEAST_MTU_V6 : LEAST_MTU;
  const mtu = integerField(json, "MTU", "Backend.MTU", 0, 65_535, problems) ?? 0;
  if (mtu !== 0 && mtu < least) {
    problems.push(`Backend.MTU is ${mtu}, less than the ${least} that IPv${ipv6 ? 6 : 4} pods need: leave it out`);
  }
  return {
    type: "vxlan",
    vni: integerField(json, "VNI", "Backend.VNI", 0, MAX_VNI, problems) ?? DEFAULT_VNI,
    port: integerField(json, "Port", "Backend.Port", 0, 65_535, problems) || LINUX_VXLAN_PORT,
    mtu: mtu === 0 ? undefined : mtu,
    gbp: booleanField(json, "GBP", "Backend.GBP", problems) ?? false,
    learning: booleanField(json, "Learning", "Backend.Learning", problems) ?? false,
    directRouting: booleanField(json, "DirectRouting", "Backend.DirectRouting", problems) ?? false,
  };
}
