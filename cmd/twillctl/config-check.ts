import { readFile } from "node:fs/promises";
import { formatAddr } from "../../pkg/addr/addr.ts";
import { ADDR_BITS, type Family } from "../../pkg/addr/family.ts";
import { formatPrefix } from "../../pkg/addr/prefix.ts";
import { formatNetworkConfig } from "../../pkg/agent/network-text.ts";
import { RefusedError } from "../../pkg/api/control.ts";
import { describeError, errorCode } from "../../pkg/base/errors.ts";
import { nearest } from "../../pkg/base/nearest.ts";
import { isObject } from "../../pkg/lease/json-object.ts";
import {
  type ConfigContext,
  familiesOf,
  namesBackend,
  type NetworkConfig,
  parseNetworkConfig,
} from "../../pkg/subnet/network-config.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { toJson } from "./to-json.ts";

/** A network config that makes sense. */
export interface Checked {
  /** As it was given. */
  readonly text: string;
  readonly config: NetworkConfig;
  /** What is doubtful, a sentence each. */
  readonly warnings: readonly string[];
}

/** Checks a file or standard input. */
export async function runConfigCheck(call: Call): Promise<Outcome> {
  const text = await readConfigText(call);
  const { config, warnings } = checkConfig(text);
  const doubts = namesBackend(text)
    ? warnings
    : [...warnings, "Backend is missing and was not compared with the leases that live in etcd: config set does that"];
  return { text: describeConfig(config, doubts, call.json), code: EXIT.ok, problems: call.json ? [] : doubts };
}

/** The text in the file that the first argument names, or on standard input for "-". Throws a RefusedError. */
export async function readConfigText(call: Call): Promise<string> {
  const [file = "-"] = call.args;
  if (file === "-") return call.stdin();
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const reason = errorCode(error) === "ENOENT" ? "there is no such file" : describeError(error);
    throw new RefusedError(`cannot read ${file}: ${reason}`, { cause: error });
  }
}

/** Throws a ConfigError with a sentence for every problem. */
export function checkConfig(text: string, context: ConfigContext = {}): Checked {
  const warnings: string[] = [];
  const config = parseNetworkConfig(text, { ...context, warn: (sentence) => warnings.push(sentence) });
  return { text, config, warnings: [...warnings, ...unknownFields(text)] };
}

/** The effective values, for people or as the JSON that could be written in place of the text. */
export function describeConfig(config: NetworkConfig, warnings: readonly string[], json: boolean): string {
  const effective: unknown = JSON.parse(formatNetworkConfig(config));
  if (json) return toJson({ config: effective, warnings });
  const lines = familiesOf(config).map((family) => describeRange(config, family));
  return `${[...lines, `backend   ${describeBackend(config)}`].join("\n")}\n\n${toJson(effective)}`;
}

function describeRange({ network, subnetLen, subnetMin, subnetMax }: NetworkConfig, family: Family): string {
  const [whole, length, min, max] = [network[family], subnetLen[family], subnetMin[family], subnetMax[family]];
  if (!whole || length === undefined || !min || !max) return "";
  const count = ((max.value - min.value) >> BigInt(ADDR_BITS[family] - length)) + 1n;
  return `${family === 4 ? "network " : "network6"}  ${formatPrefix(whole)}: ${count} subnets of /${length}, ${formatAddr(min)} to ${formatAddr(max)}`;
}

function describeBackend({ backend }: NetworkConfig): string {
  if (backend.type === "host-gw") return "host-gw: plain routes, all nodes on one link";
  const { vni, port, mtu, directRouting } = backend;
  const parts = [`vxlan, VNI ${vni}, UDP port ${port}`, `MTU of ${mtu ?? "the underlay"} less the headers`];
  return [...parts, ...(directRouting ? ["plain routes to nodes on the same link"] : [])].join(", ");
}

const FIELDS =
  "EnableIPv4 EnableIPv6 EnableNFTables Network SubnetMin SubnetMax SubnetLen IPv6Network IPv6SubnetMin IPv6SubnetMax IPv6SubnetLen Backend".split(
    " ",
  );
const BACKEND_FIELDS = ["Type", "VNI", "Port", "MTU", "GBP", "Learning", "DirectRouting"];

// flannel ignores what it does not know, and so a slip of the pen goes unnoticed.
function unknownFields(text: string): string[] {
  const json: unknown = JSON.parse(text);
  if (!isObject(json)) return [];
  const backend: unknown = Object.entries(json).find(([name]) => name.toLowerCase() === "backend")?.[1];
  return [...unknownIn(json, FIELDS, ""), ...(isObject(backend) ? unknownIn(backend, BACKEND_FIELDS, "Backend.") : [])];
}

function unknownIn(json: object, fields: readonly string[], path: string): string[] {
  const known = new Set(fields.map((name) => name.toLowerCase()));
  return Object.keys(json)
    .filter((name) => !known.has(name.toLowerCase()))
    .map((name) => {
      const near = fields.find((field) => field.toLowerCase() === nearest(name.toLowerCase(), known));
      return `${path}${name} is no field of a network config and is ignored${near ? `: did you mean ${path}${near}?` : ""}`;
    });
}
