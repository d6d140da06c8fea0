import { FAMILIES, type PerFamily } from "../addr/family.ts";
import { formatPrefix, type InterfaceAddr, type Prefix, prefixOf } from "../addr/prefix.ts";
import { CODE, CniError } from "./error.ts";
import { isString, type JsonObject } from "./json.ts";
import type { NetConf } from "./netconf.ts";

/** What the agent has leased for this node, as subnet.env tells it. */
export interface PodNetwork {
  /** The whole overlay. */
  readonly network: PerFamily<readonly Prefix[]>;
  /** This node's subnet, with or without host bits. */
  readonly subnet: PerFamily<InterfaceAddr>;
  /** Bytes. */
  readonly mtu: number;
  /** Whether the agent masquerades. */
  readonly ipMasq: boolean;
}

// We set these; a value of the user's could only contradict.
const OURS = ["name", "ipam"] as const;

/** The plugin that the netconf delegates to: `delegate.type`, or bridge. Throws a CniError when that is not a name. */
export function delegateType(conf: NetConf): string {
  const type = conf.delegate["type"] ?? "bridge";
  // A name with a slash would leave CNI_PATH, and we ourselves would call ourselves for ever.
  if (!isString(type) || !/^[^/\s]+$/.test(type) || type === "." || type === "..") {
    throw new CniError(CODE.badConfig, `the netconf's "delegate.type" is ${JSON.stringify(type)}, not a plugin's name`);
  }
  if (type === "twill" || type === "twill-cni") {
    throw new CniError(CODE.badConfig, `the netconf's "delegate.type" is "${type}": twill cannot delegate to itself`);
  }
  return type;
}

/**
 * The netconf for the delegate, by the rules of flannel's plugin: what the user wrote under `delegate` stays, the rest
 * is filled in from the lease. Throws a CniError: 2 for a field that must not be there, 7 for a value that is wrong.
 */
export function renderDelegate(conf: NetConf, net: PodNetwork): JsonObject {
  const type = delegateType(conf);
  for (const key of OURS) {
    if (!(key in conf.delegate)) continue;
    const given = JSON.stringify(conf.delegate[key]);
    const advice = key === "ipam" ? 'write it beside "delegate"' : "twill sets it";
    throw new CniError(CODE.unsupportedField, `the netconf's "delegate" must not have "${key}" (${given}); ${advice}`);
  }
  return {
    ipMasq: !net.ipMasq,
    mtu: net.mtu,
    ...(type === "bridge" && { isGateway: true }),
    ...conf.delegate,
    type,
    name: conf.name,
    ...(conf.cniVersion !== "" && { cniVersion: conf.cniVersion }),
    ...(conf.runtimeConfig && { runtimeConfig: conf.runtimeConfig }),
    ipam: renderIpam(conf.ipam, net),
  };
}

function renderIpam(ipam: JsonObject, net: PodNetwork): JsonObject {
  const routes = ipam["routes"] ?? [];
  if (!Array.isArray(routes)) {
    throw new CniError(CODE.badConfig, `the netconf's "ipam.routes" is ${JSON.stringify(routes)}, not a list`);
  }
  const ranges: JsonObject[][] = [];
  const overlay: JsonObject[] = [];
  for (const family of FAMILIES) {
    const subnet = net.subnet[family];
    if (subnet) ranges.push([{ subnet: formatPrefix(prefixOf(subnet.addr, subnet.length)) }]);
    for (const network of net.network[family] ?? []) overlay.push({ dst: formatPrefix(network) });
  }
  return { type: "host-local", ...ipam, ranges, routes: [...(routes as unknown[]), ...overlay] };
}
