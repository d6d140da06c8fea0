import { isObject, isString, type JsonObject, objectsOf, without } from "./json.ts";
import { atLeast } from "./version.ts";

// What specification 1.1.0 added to a result; an older reader must not see it.
const NEW_IN_1_1 = {
  interfaces: ["mtu", "socketPath", "pciID"],
  routes: ["mtu", "advmss", "priority", "table", "scope"],
};

/**
 * A plugin's result in the form of another version of the specification. Three forms exist: `ip4` and `ip6` (0.1, 0.2);
 * `ips` whose items name their version (0.3, 0.4); `ips` without (from 1.0 on, with more fields from 1.1 on). What the
 * older form has no place for is lost: interfaces, and all but the first address of a family before 0.3.0.
 */
export function convertResult(result: JsonObject, to: string): JsonObject {
  const given = result["cniVersion"];
  const from = isString(given) ? given : "";
  if (from === to) return result;
  const newest = atLeast(from, "0.3.0") ? dropIpVersions(result) : fromIp4Ip6(result);
  const known = atLeast(to, "1.1.0") ? newest : dropNewFields(newest);
  const converted = atLeast(to, "1.0.0") ? known : atLeast(to, "0.3.0") ? addIpVersions(known) : toIp4Ip6(known);
  return { ...converted, cniVersion: to };
}

/**
 * What a plugin in a chain hands on: the result of the plugins before it and its own. Both must have the form of 0.3.0 or
 * newer; the indices of the own addresses move behind the interfaces that were there.
 */
export function mergeResults(previous: JsonObject, own: JsonObject): JsonObject {
  const before = objectsOf(previous["interfaces"]);
  const ips = objectsOf(own["ips"]).map((ip) =>
    typeof ip["interface"] === "number" ? { ...ip, interface: ip["interface"] + before.length } : ip,
  );
  return {
    ...previous,
    ...own,
    interfaces: [...before, ...objectsOf(own["interfaces"])],
    ips: [...objectsOf(previous["ips"]), ...ips],
    routes: [...objectsOf(previous["routes"]), ...objectsOf(own["routes"])],
    dns: { ...(isObject(previous["dns"]) && previous["dns"]), ...(isObject(own["dns"]) && own["dns"]) },
  };
}

/**
 * The result with a gateway in every route: one without means the family's default gateway (specification 1.1.0,
 * section 5, "Add Success"), and that is what the kernel was given. Plugins of containernetworking/plugins compare the
 * routes of a result with the kernel's as they stand, and miss a route whose gateway the result leaves out. The result
 * must have the form of 0.3.0 or newer.
 */
export function fillGateways(result: JsonObject): JsonObject {
  const ips = objectsOf(result["ips"]).filter(({ gateway }) => isString(gateway));
  return changeItems(result, "routes", (route) => {
    const ip = ips.find(({ address }) => isIpv6(address) === isIpv6(route["dst"]));
    return ip && route["gw"] === undefined ? { ...route, gw: ip["gateway"] } : route;
  });
}

function fromIp4Ip6(result: JsonObject): JsonObject {
  const ips: JsonObject[] = [];
  const routes: JsonObject[] = [];
  for (const part of [result["ip4"], result["ip6"]]) {
    if (!isObject(part)) continue;
    const { ip: address, gateway } = part;
    ips.push({ address, ...(gateway !== undefined && { gateway }) });
    routes.push(...objectsOf(part["routes"]));
  }
  return { ...without(result, ["ip4", "ip6"]), ips, routes };
}

function toIp4Ip6(result: JsonObject): JsonObject {
  const part = (isFamily: (text: unknown) => boolean): JsonObject | undefined => {
    const ip = objectsOf(result["ips"]).find(({ address }) => isFamily(address));
    if (!ip) return undefined;
    const { address, gateway } = ip;
    const routes = objectsOf(result["routes"]).filter(({ dst }) => isFamily(dst));
    return { ip: address, ...(gateway !== undefined && { gateway }), ...(routes.length > 0 && { routes }) };
  };
  const ip4 = part((text) => !isIpv6(text));
  const ip6 = part(isIpv6);
  return { ...without(result, ["interfaces", "ips", "routes"]), ...(ip4 && { ip4 }), ...(ip6 && { ip6 }) };
}

function dropIpVersions(result: JsonObject): JsonObject {
  return changeItems(result, "ips", (ip) => without(ip, ["version"]));
}

function addIpVersions(result: JsonObject): JsonObject {
  return changeItems(result, "ips", (ip) => ({ version: isIpv6(ip["address"]) ? "6" : "4", ...ip }));
}

function dropNewFields(result: JsonObject): JsonObject {
  const interfaces = changeItems(result, "interfaces", (item) => without(item, NEW_IN_1_1.interfaces));
  return changeItems(interfaces, "routes", (item) => without(item, NEW_IN_1_1.routes));
}

function changeItems(result: JsonObject, key: string, change: (item: JsonObject) => JsonObject): JsonObject {
  return key in result ? { ...result, [key]: objectsOf(result[key]).map(change) } : result;
}

function isIpv6(text: unknown): boolean {
  return isString(text) && text.includes(":");
}
