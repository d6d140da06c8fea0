import { type Addr, formatAddr, parseAddr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import { parseMac } from "../addr/mac.ts";
import { type Prefix, formatInterfaceAddr, parsePrefix, prefixOf } from "../addr/prefix.ts";

import { describeChange, invalidDevice } from "./change.ts";
import type { Commands } from "./command.ts";
import { type HostChange, HostError, type Link, type LinkAddr, type Route, type RouteLookup } from "./host.ts";
import { formatRoute, protocolName, protocolNumber, routeMetric } from "./route.ts";

// Links, addresses and routes by iproute2: state is read as JSON (`ip -j`), changes go in through one `ip -batch`.

interface IpLink {
  readonly ifindex: number;
  readonly ifname?: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly txqlen?: number;
  readonly link_type: string;
  readonly address?: string;
  readonly linkinfo?: { readonly info_kind?: string };
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
    links.push({
      index: row.ifindex,
      name: row.ifname,
      kind: row.linkinfo?.info_kind ?? (row.link_type === "loopback" ? "loopback" : "device"),
      mtu: row.mtu,
      up: row.flags.includes("UP"),
      mac: row.link_type === "ether" ? parseMac(row.address ?? "") : undefined,
      txQueueLen: row.txqlen ?? 0,
      addresses: row.addr_info.flatMap(linkAddr),
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
    for (const hop of row.nexthops ?? [row]) {
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
    throw new HostError(`cannot look up the route to ${formatAddr(addr)}: ${clean(stderr)}`);
  }
  const [row] = parseRows(stdout) as readonly IpRoute[];
  if (row?.dev === undefined || (row.type !== undefined && row.type !== "unicast" && row.type !== "local"))
    return undefined;
  return { dev: row.dev, via: parseAddr(row.gateway ?? row.via?.host ?? ""), src: parseAddr(row.prefsrc ?? "") };
}

/** Carries out the changes by one `ip -force -batch -`; see Host.apply. */
export async function applyChanges(
  commands: Commands,
  changes: readonly HostChange[],
): Promise<(HostError | undefined)[]> {
  const results = changes.map(invalidDevice);
  const lines: string[] = [];
  const changeOfLine: number[] = [];
  for (const [i, change] of changes.entries()) {
    if (results[i]) continue;
    for (const line of batchLines(change)) {
      lines.push(line);
      changeOfLine.push(i);
    }
  }
  if (lines.length === 0) return results;
  const { code, stderr } = await commands.run("ip", ["-force", "-batch", "-"], `${lines.join("\n")}\n`);
  const fail = (i: number | undefined, reason: string): void => {
    const change = i === undefined ? undefined : changes[i];
    if (i === undefined || !change || results[i] || isDone(change, reason)) return;
    results[i] = new HostError(`cannot ${describeChange(change)}: ${reason}`);
  };
  let said: string[] = [];
  for (const text of stderr.split("\n")) {
    const line = /^Command failed .*:(\d+)$/.exec(text)?.[1];
    if (line === undefined) {
      if (text.trim() !== "") said.push(text);
      continue;
    }
    fail(changeOfLine[Number(line) - 1], clean(said.join("\n")));
    said = [];
  }
  // 1 is "a line failed"; anything else means that ip gave up, and nobody knows at which line.
  if (code > 1) for (const i of changes.keys()) fail(i, `ip ended with code ${code}: ${clean(said.join("\n"))}`);
  return results;
}

function batchLines(change: HostChange): string[] {
  switch (change.kind) {
    case "link":
      return linkLines(change);
    case "delete-link":
      return [`link delete dev ${change.dev}`];
    case "address":
      return [`address replace ${formatInterfaceAddr(change.address)} dev ${change.dev}`];
    case "delete-address":
      return [`address delete ${formatInterfaceAddr(change.address)} dev ${change.dev}`];
    case "route":
      return [`route replace ${batchRoute(change.route)}`];
    case "delete-route":
      return [`route delete ${batchRoute(change.route)}`];
  }
}

// iproute2 6.1 remembers the last protocol that it looked up by name, and a number after it spoils that memory
// (lib/rt_names.c, rtnl_rtprot_a2n): "static", then "99", then "static" gives 99. So protocols go in as numbers.
function batchRoute(route: Route): string {
  return formatRoute(route.protocol === undefined ? route : { ...route, protocol: protocolNumber(route.protocol) });
}

// One line each: within one message the kernel brings a link up before it looks at the address generation mode
// (net/core/rtnetlink.c, do_setlink), and the link would have got its link-local address by then.
function linkLines(change: HostChange & { kind: "link" }): string[] {
  const set = `link set dev ${change.dev}`;
  const lines: string[] = [];
  if (change.addrGenMode !== undefined) lines.push(`${set} addrgenmode ${change.addrGenMode}`);
  if (change.mtu !== undefined) lines.push(`${set} mtu ${change.mtu}`);
  if (change.txQueueLen !== undefined) lines.push(`${set} txqueuelen ${change.txQueueLen}`);
  if (change.up !== undefined) lines.push(`${set} ${change.up ? "up" : "down"}`);
  return lines;
}

// What is asked to go and is not there has gone.
function isDone(change: HostChange, reason: string): boolean {
  if (!change.kind.startsWith("delete-")) return false;
  return /^(Cannot find device|No such process|No such device)|address not found|^Cannot assign requested/i.test(
    reason,
  );
}

async function readJson(commands: Commands, args: readonly string[]): Promise<readonly unknown[]> {
  const { code, stdout, stderr } = await commands.run("ip", args);
  if (code !== 0) throw new HostError(`ip ${args.join(" ")} failed: ${clean(stderr)}`);
  return parseRows(stdout);
}

function parseRows(stdout: string): readonly unknown[] {
  // Where there is nothing to show, ip prints nothing at all.
  return stdout.trim() === "" ? [] : (JSON.parse(stdout) as unknown[]);
}

function clean(stderr: string): string {
  return stderr
    .split("\n")
    .map((line) => line.replace(/^(RTNETLINK answers|Error): /, "").replace(/\.$/, ""))
    .filter((line) => line.trim() !== "")
    .join("; ");
}
