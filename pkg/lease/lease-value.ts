import { type Addr, formatAddr, parseAddr } from "../addr/addr.ts";
import { FAMILIES, type Family, type PerFamily } from "../addr/family.ts";
import { type Mac, macBytes, parseMac } from "../addr/mac.ts";
import { isObject, JsonObject, parseJsonObject } from "./json-object.ts";
import type { LeaseAttrs, Vtep } from "./lease.ts";
import { excerpt, type Parsed } from "./parsed.ts";

// Whoever may write below the prefix may write anything. A real value has some 200 characters; flannel's extension
// backend puts the output of a command into it.
const LONGEST_VALUE = 16 * 1024;
const LONGEST_NAME = 253;

export const MAX_VNI = 2 ** 24 - 1;

// A lease of v0.16 or older may lack its VNI. flannel never looks at a peer's: one network has one VNI, and 1 is the
// default that those networks had.
const DEFAULT_VNI = 1;

const PUBLIC_IP: Readonly<Record<Family, string>> = { 4: "PublicIP", 6: "PublicIPv6" };
const BACKEND_DATA: Readonly<Record<Family, string>> = { 4: "BackendData", 6: "BackendV6Data" };

/** The JSON of a lease: flannel's fields in flannel's order and bytes, then ours. */
export function encodeLeaseValue(attrs: LeaseAttrs): string {
  const { publicIp, backendType, vtep, nodeId, nodeName, dataplane } = attrs;
  return JSON.stringify({
    // Without an IPv4 address flannel writes the unspecified one here, but null for a missing IPv6 address.
    PublicIP: publicIp[4] ? formatAddr(publicIp[4]) : "0.0.0.0",
    PublicIPv6: publicIp[6] ? formatAddr(publicIp[6]) : null,
    BackendType: backendType === "" ? undefined : backendType,
    BackendData: vtep[4] && { VNI: vtep[4].vni, VtepMAC: vtep[4].mac },
    BackendV6Data: vtep[6] && { VNI: vtep[6].vni, VtepMAC: vtep[6].mac },
    NodeID: nodeId,
    NodeName: nodeName,
    Dataplane: dataplane,
  });
}

/** Reads what encodeLeaseValue, any version of flannel or a person may have written. Never throws. */
export function decodeLeaseValue(text: string): Parsed<LeaseAttrs> {
  if (text.length > LONGEST_VALUE) {
    return { malformed: `has ${text.length} characters; a lease has at most ${LONGEST_VALUE}` };
  }
  const json = parseJsonObject(text);
  if (json.malformed !== undefined) return json;
  try {
    return { value: attrsOf(json.value) };
  } catch (error) {
    if (error instanceof Malformed) return { malformed: error.message };
    throw error;
  }
}

class Malformed extends Error {
  override readonly name = "Malformed";
}

function attrsOf(json: JsonObject): LeaseAttrs {
  const publicIp = perFamily((family) => publicIpOf(json, family));
  if (!publicIp[4] && !publicIp[6]) throw new Malformed("has neither a PublicIP nor a PublicIPv6");
  const backendType = stringOf(json, "BackendType") ?? "";
  // Other backends put other things there, a key or the output of a command, that mean nothing to us.
  const vtep = backendType === "vxlan" ? perFamily((family) => vtepOf(json, BACKEND_DATA[family])) : {};
  const nodeId = stringOf(json, "NodeID");
  const nodeName = stringOf(json, "NodeName");
  const dataplane = stringOf(json, "Dataplane");
  return {
    publicIp,
    backendType,
    vtep,
    ...(nodeId && { nodeId }),
    ...(nodeName && { nodeName }),
    ...(dataplane && { dataplane }),
  };
}

function publicIpOf(json: JsonObject, family: Family): Addr | undefined {
  const name = PUBLIC_IP[family];
  const text = stringOf(json, name);
  if (text === undefined || text === "") return undefined;
  const addr = parseAddr(text);
  if (addr?.family !== family) throw new Malformed(`has a ${name} that is no IPv${family} address: ${excerpt(text)}`);
  if (addr.value === 0n) return undefined;
  if (isNoOtherHost(addr)) throw new Malformed(`has a ${name} that is not the address of one other host: ${text}`);
  return addr;
}

// Multicast and the limited broadcast (RFC 1122 section 3.2.1.3, RFC 4291 section 2.7); "this network" and loopback, which
// would hand pods' packets to this very host (RFC 6890); in IPv6 also what is mapped from IPv4.
function isNoOtherHost({ family, value }: Addr): boolean {
  if (family === 6) return value === 1n || value >> 32n === 0xffffn || value >> 120n === 0xffn;
  const first = value >> 24n;
  return first === 0n || first === 127n || value >> 28n === 0xen || value === 0xffff_ffffn;
}

function vtepOf(json: JsonObject, name: string): Vtep | undefined {
  const value = json.field(name);
  if (value === undefined) return undefined;
  if (!isObject(value)) throw new Malformed(`has a ${name} that is no JSON object`);
  const data = new JsonObject(value);
  const text = stringOf(data, "VtepMAC");
  if (text === undefined) throw new Malformed(`has a ${name} without VtepMAC`);
  const mac = parseMac(text);
  if (!mac || !isUnicast(mac)) throw new Malformed(`has a VtepMAC that is no unicast MAC address: ${excerpt(text)}`);
  const vni = data.field("VNI") ?? DEFAULT_VNI;
  if (typeof vni !== "number" || !Number.isInteger(vni) || vni < 0 || vni > MAX_VNI) {
    throw new Malformed(`has a VNI that is no integer from 0 to ${MAX_VNI}`);
  }
  return { vni, mac };
}

/**
 * Whether a MAC is that of one machine. The all-zero address matters: an FDB entry for it is the kernel's default
 * destination and would draw all traffic without an entry of its own (man 8 bridge, "dst").
 */
export function isUnicast(mac: Mac): boolean {
  const bytes = macBytes(mac);
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}

function stringOf(json: JsonObject, name: string): string | undefined {
  const value = json.field(name);
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw new Malformed(`has a ${name} that is no string`);
  if (value.length > LONGEST_NAME) throw new Malformed(`has a ${name} of more than ${LONGEST_NAME} characters`);
  if (/\p{Cc}/u.test(value)) throw new Malformed(`has a ${name} with control characters in it`);
  return value;
}

function perFamily<T>(read: (family: Family) => T | undefined): PerFamily<T> {
  const out: { -readonly [F in Family]?: T } = {};
  for (const family of FAMILIES) {
    const value = read(family);
    if (value !== undefined) out[family] = value;
  }
  return out;
}
