import { type Addr, formatAddr, parseAddr, sameAddr } from "../addr/addr.ts";
import type { Family, PerFamily } from "../addr/family.ts";
import { type Prefix, containsAddr, parsePrefix } from "../addr/prefix.ts";
import { ConfigError, describeError } from "../base/errors.ts";

import type { Underlay } from "./underlay.ts";

// Which interface carries the traffic between nodes, and which of its addresses peers are told. The order is flannel's:
// every --iface, then every --iface-regex, then --iface-can-reach, and the first that gives an interface with usable
// addresses wins. Where none of them was given: the interface that holds --public-ip, else that of the default route.

/** What the operator said. */
export interface UnderlayChoice {
  /** Names or addresses of interfaces. */
  readonly iface: readonly string[];
  /** Regular expressions in ECMAScript's syntax, unanchored, tried on addresses and then on names. */
  readonly ifaceRegex: readonly string[];
  readonly ifaceCanReach: Addr | undefined;
  readonly publicIp: PerFamily<Addr>;
}

/** What this host has. */
export interface UnderlayRows {
  readonly links: readonly LinkRow[];
  /** The main table's routes, of the families in use. */
  readonly routes: PerFamily<readonly RouteRow[]>;
  /** The route to `ifaceCanReach`; undefined when it is unreachable or not asked for. */
  readonly reach?: { readonly dev: string; readonly src: Addr | undefined } | undefined;
}

export interface LinkRow {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly addresses: readonly AddrRow[];
}

export interface AddrRow {
  readonly addr: Addr;
  readonly scope: string;
  readonly deprecated: boolean;
  readonly dynamic: boolean;
  readonly temporary: boolean;
}

export interface RouteRow {
  /** Undefined is the default route. */
  readonly dst: Prefix | undefined;
  readonly dev: string;
  readonly metric?: number;
}

export interface ChosenUnderlay {
  readonly underlay: Underlay;
  /** Why this one, to follow "chose the interface eth1: " in a log. */
  readonly because: string;
}

interface Candidate {
  readonly link: LinkRow;
  /** The address that pointed to the link; it beats the others of its family. */
  readonly addr?: Addr | undefined;
  readonly because: string;
}

/**
 * Chooses the underlay. The interface needs a usable address of every family in `families`. Throws a ConfigError that
 * names what was looked for, what this host has and what to do.
 */
export function chooseUnderlay(
  rows: UnderlayRows,
  choice: UnderlayChoice,
  families: readonly Family[],
): ChosenUnderlay {
  const misses: string[] = [];
  for (const candidate of candidates(rows, choice, families, misses)) {
    const addr = usableAddrs(candidate, families);
    const missing = families.filter((family) => !addr[family]);
    if (missing.length > 0) {
      misses.push(`${candidate.link.name} (${candidate.because}) has no usable ${familyNames(missing)} address`);
      continue;
    }
    const { index, name, mtu } = candidate.link;
    const publicIp: { -readonly [F in Family]?: Addr } = {};
    for (const family of families) {
      const ip = choice.publicIp[family] ?? addr[family];
      if (ip) publicIp[family] = ip;
    }
    return { underlay: { name, index, mtu, addr, publicIp }, because: candidate.because };
  }
  throw new ConfigError([
    `cannot choose the interface for traffic between nodes: ${misses.join("; ")}. ` +
      `This host has ${describeLinks(rows.links)}: name the right one with --iface`,
  ]);
}

// In the order in which they are tried. What was looked for and not found goes to `misses`.
function* candidates(
  rows: UnderlayRows,
  choice: UnderlayChoice,
  families: readonly Family[],
  misses: string[],
): Generator<Candidate> {
  const regexes = choice.ifaceRegex.map((text) => ({ text, regex: compile(text) }));
  for (const text of choice.iface) yield* byNameOrAddr(rows.links, text, misses);
  for (const { text, regex } of regexes) yield* byRegex(rows.links, text, regex, families, misses);
  if (choice.ifaceCanReach) yield* byReach(rows, choice.ifaceCanReach, misses);
  if (choice.iface.length > 0 || choice.ifaceRegex.length > 0 || choice.ifaceCanReach) return;
  for (const family of families) {
    const addr = choice.publicIp[family];
    // An address that no interface holds is one behind NAT: it says nothing about the interface.
    const link = addr && holder(rows.links, addr);
    if (link) {
      yield { link, addr, because: `it holds the public address ${formatAddr(addr)}` };
      return;
    }
  }
  yield* byDefaultRoute(rows, families, misses);
}

function* byNameOrAddr(links: readonly LinkRow[], text: string, misses: string[]): Generator<Candidate> {
  const addr = parseAddr(text);
  const link = addr ? holder(links, addr) : links.find((link) => link.name === text);
  if (!link)
    misses.push(addr ? `no interface has the address ${text} (--iface)` : `there is no interface ${text} (--iface)`);
  else yield { link, addr, because: addr ? `--iface ${text} is its address` : `--iface names it` };
}

function* byRegex(
  links: readonly LinkRow[],
  text: string,
  regex: RegExp,
  families: readonly Family[],
  misses: string[],
): Generator<Candidate> {
  let hits = 0;
  for (const link of links) {
    const match = link.addresses.find(
      (row) => families.includes(row.addr.family) && isUsable(row) && regex.test(formatAddr(row.addr)),
    );
    if (!match) continue;
    hits++;
    const because = `--iface-regex ${text} matches its address ${formatAddr(match.addr)}`;
    yield { link, addr: match.addr, because };
  }
  for (const link of links) {
    if (!regex.test(link.name)) continue;
    hits++;
    yield { link, because: `--iface-regex ${text} matches its name` };
  }
  if (hits === 0) misses.push(`--iface-regex ${text} matches neither an address nor a name`);
}

function* byReach(rows: UnderlayRows, target: Addr, misses: string[]): Generator<Candidate> {
  const { reach } = rows;
  // A target of our own is routed through lo: the interface that holds it is meant.
  const link =
    reach && ((reach.src && holder(rows.links, reach.src)) ?? rows.links.find(({ name }) => name === reach.dev));
  if (!link) misses.push(`there is no route to ${formatAddr(target)} (--iface-can-reach)`);
  else yield { link, addr: reach.src, because: `the way to ${formatAddr(target)} leads through it` };
}

function* byDefaultRoute(rows: UnderlayRows, families: readonly Family[], misses: string[]): Generator<Candidate> {
  const [first, ...others] = families.flatMap((family) => {
    const name = defaultRouteDev(rows.routes[family] ?? []);
    return name === undefined ? [] : [{ family, name }];
  });
  if (!first) {
    misses.push(`there is no ${familyNames(families)} default route`);
    return;
  }
  const other = others.find(({ name }) => name !== first.name);
  if (other) {
    misses.push(
      `the IPv${first.family} default route leads through ${first.name} and the IPv${other.family} default route ` +
        `through ${other.name}, but both families must share one interface`,
    );
    return;
  }
  const link = rows.links.find(({ name }) => name === first.name);
  if (!link) misses.push(`the default route leads through ${first.name}, which is gone`);
  else yield { link, because: "it carries the default route" };
}

function defaultRouteDev(routes: readonly RouteRow[]): string | undefined {
  const [best] = routes
    .filter((route) => !route.dst || route.dst.length === 0)
    .toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
  return best?.dev;
}

function usableAddrs(candidate: Candidate, families: readonly Family[]): PerFamily<Addr> {
  const addrs: { -readonly [F in Family]?: Addr } = {};
  for (const family of families) {
    const rows = candidate.link.addresses.filter((row) => row.addr.family === family && isUsable(row));
    const named = rows.find((row) => sameAddr(row.addr, candidate.addr));
    const best = named ?? rows.toSorted((a, b) => rank(a) - rank(b))[0];
    if (best) addrs[family] = best.addr;
  }
  return addrs;
}

// Lower is better: global before link-local, then permanent before dynamic, then stable before temporary (RFC 8981).
function rank(row: AddrRow): number {
  return (isLinkLocal(row) ? 4 : 0) + (row.dynamic ? 2 : 0) + (row.temporary ? 1 : 0);
}

function isLinkLocal(row: AddrRow): boolean {
  return row.scope === "link" || LINK_LOCAL.some((prefix) => containsAddr(prefix, row.addr));
}

function isUsable(row: AddrRow): boolean {
  return !row.deprecated && !NOT_UNICAST.some((prefix) => containsAddr(prefix, row.addr));
}

const LINK_LOCAL = prefixes("169.254.0.0/16", "fe80::/10");

// Unspecified, loopback, multicast, broadcast (RFC 6890).
const NOT_UNICAST = prefixes(
  "0.0.0.0/32",
  "127.0.0.0/8",
  "224.0.0.0/4",
  "255.255.255.255/32",
  "::/128",
  "::1/128",
  "ff00::/8",
);

function prefixes(...texts: readonly string[]): readonly Prefix[] {
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}

function holder(links: readonly LinkRow[], addr: Addr): LinkRow | undefined {
  return links.find((link) => link.addresses.some((row) => sameAddr(row.addr, addr)));
}

function compile(text: string): RegExp {
  // Go, and so flannel, writes "ignore case" as a prefix of the expression.
  const ignoreCase = text.startsWith("(?i)");
  try {
    return new RegExp(ignoreCase ? text.slice("(?i)".length) : text, ignoreCase ? "iu" : "u");
  } catch (error) {
    throw new ConfigError([
      `--iface-regex ${text} is not a regular expression (${describeError(error)}): correct it, or name the interface with --iface`,
    ]);
  }
}

function describeLinks(links: readonly LinkRow[]): string {
  const shown = links.map((link) => {
    const addrs = link.addresses.filter(isUsable).map((row) => formatAddr(row.addr));
    return addrs.length === 0 ? undefined : `${link.name} (${addrs.join(", ")})`;
  });
  return shown.filter((text) => text !== undefined).join(", ") || "no interface with a usable address";
}

function familyNames(families: readonly Family[]): string {
  return families.map((family) => `IPv${family}`).join(" or ");
}
