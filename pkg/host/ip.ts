import { type Addr, formatAddr, parseAddr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import { parseMac } from "../addr/mac.ts";
import { type Prefix, parsePrefix, prefixOf } from "../addr/prefix.ts";

import type { Commands } from "./command.ts";
import { HostError, type Link, type LinkAddr, type Route, type RouteLookup } from "./host.ts";
import { protocolName, routeMetric } from "./route.ts";
import { readVxlan, type VxlanData } from "./vxlan.ts";

// Links, addresses and routes as iproute2 shows them in JSON (`ip -j`); batch.ts has the other direction.

interface IpLink {
  readonly ifindex: number;
  readonly ifname?: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly txqlen?: number;
  readonly link_type: string;
  readonly address?: string;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: VxlanData };
  readonly addr_info: readonly IpAddr[];
}

interface IpAddr {
  readonly local?: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly deprecated?: boolean;
  readonly dynamic?: boolean;
  readonly temporary?: boolean;
}

interface IpHop {
  readonly dev?: string;
  readonly gateway?: string;
  /** The gateway of an IPv4 route through an IPv6 neighbour (RFC 5549). */
  readonly via?: { readonly host: string };
  readonly flags?: readonly string[];
}

interface IpRoute extends IpHop {
  readonly type?: string;
  readonly dst: string;
  readonly prefsrc?: string;
  readonly protocol?: string;
  readonly metric?: number;
  readonly nexthops?: readonly IpHop[];
}

export async function readLinks(commands: Commands): Promise<Link[]> {
  const rows = (await readJson(commands, ["-d", "-j", "address", "show"])) as readonly IpLink[];
  const links: Link[] = [];
  for (const row of rows) {
    if (row.ifname === undefined) continue;
    const { info_kind: kind, info_data: data } = row.linkinfo ?? {};
    links.push({
      index: row.ifindex,
      name: row.ifname,
      kind: kind ?? (row.link_type === "loopback" ? "loopback" : "device"),
      mtu: row.mtu,
      up: row.flags.includes("UP"),
      mac: row.link_type === "ether" ? parseMac(row.address ?? "") : undefined,
      txQueueLen: row.txqlen ?? 0,
      addresses: row.addr_info.flatMap(linkAddr),
      ...(kind === "vxlan" && data && { vxlan: readVxlan(data) }),
    });
  }
  return links;
}

function linkAddr(row: IpAddr): LinkAddr[] {
  const addr = parseAddr(row.local ?? "");
  if (!addr) return [];
  return [
    {
      addr,
      length: row.prefixlen,
      scope: row.scope === "link" || row.scope === "host" || row.scope === "site" ? row.scope : "global",
      deprecated: row.deprecated === true,
      dynamic: row.dynamic === true,
      temporary: row.temporary === true,
    },
  ];
}

export async function readRoutes(commands: Commands, family: Family): Promise<Route[]> {
  // Numbers (-N), since names of protocols come from a file that differs between hosts.
  const args = [`-${family}`, "-N", "-j", "route", "show", "table", "main"];
  const rows = (await readJson(commands, args)) as readonly IpRoute[];
  const routes: Route[] = [];
  for (const row of rows) {
    // `ip -N` gives the type of a route that is not unicast as a number; iproute2 leaves out "unicast" itself.
    if (row.type !== undefined && row.type !== "unicast" && row.type !== "1") continue;
    const dst = row.dst === "default" ? undefined : routeDst(row.dst);
    const hops = row.nexthops ?? [row];
    for (const hop of hops) {
      if (hop.dev === undefined) continue;
      const via = parseAddr(hop.gateway ?? hop.via?.host ?? "");
      const src = parseAddr(row.prefsrc ?? "");
      const route: Route = {
        dst,
        ...(via && { via }),
        dev: hop.dev,
        ...(hop.flags?.includes("onlink") === true && { onlink: true }),
        ...(src && { src }),
        ...(row.protocol !== undefined && { protocol: protocolName(row.protocol) }),
        ...(row.metric !== undefined && { metric: row.metric }),
        ...(hops.length > 1 && { multipath: true }),
      };
      // What the kernel fills in reads as left out, so that a route reads back as it was written.
      const { metric: _, ...unset } = route;
      routes.push(routeMetric(defaultOf(unset, family)) === route.metric ? unset : route);
    }
  }
  return routes;
}

function defaultOf(route: Route, family: Family): Route {
  return route.dst ? route : { ...route, dst: prefixOf({ family, value: 0n }, 0) };
}

function routeDst(text: string): Prefix | undefined {
  const addr = parseAddr(text);
  return addr ? prefixOf(addr, addr.family === 4 ? 32 : 128) : parsePrefix(text);
}

export async function readRouteTo(commands: Commands, addr: Addr): Promise<RouteLookup | undefined> {
  const { code, stdout, stderr } = await commands.run("ip", ["-j", "route", "get", formatAddr(addr)]);
  if (code !== 0) {
    // Unreachable, blackhole and prohibit come back as errnos of the lookup itself.
    if (/RTNETLINK answers: (Network is unreachable|No route to host|Invalid argument|Permission denied)/.test(stderr))
      return undefined;
    throw new HostError(`cannot look up the route to ${formatAddr(addr)}: ${cleanReason(stderr)}`);
  }
  const [row] = parseRows(stdout) as readonly IpRoute[];
  if (row?.dev === undefined || (row.type !== undefined && row.type !== "unicast" && row.type !== "local"))
    return undefined;
  return { dev: row.dev, via: parseAddr(row.gateway ?? row.via?.host ?? ""), src: parseAddr(row.prefsrc ?? "") };
}

async function readJson(commands: Commands, args: readonly string[]): Promise<readonly unknown[]> {
  const { code, stdout, stderr } = await commands.run("ip", args);
  if (code !== 0) throw new HostError(`ip ${args.join(" ")} failed: ${cleanReason(stderr)}`);
  return parseRows(stdout);
}

function parseRows(stdout: string): readonly unknown[] {
  // Where there is nothing to show, ip prints nothing at all.
  return stdout.trim() === "" ? [] : (JSON.parse(stdout) as unknown[]);
}

/** What went wrong, of what iproute2 writes to its standard error. */
export function cleanReason(stderr: string): string {
  return stderr
    .split("\n")
    .map((line) => line.replace(/^(RTNETLINK answers|Error): /, "").replace(/\.$/, ""))
    .filter((line) => line.trim() !== "")
    .join("; ");
}
