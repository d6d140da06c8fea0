// Follows a packet to an address through what this host would do with it, as its kernel stands now: what the agent wants
// is compared with, never taken for, what is there. Nothing is sent.

import { type Addr, formatAddr, parseAddr, sameAddr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import { containsAddr, parsePrefix } from "../addr/prefix.ts";
import type { LeaseStatus, PeerStatus, Status } from "../api/status.ts";
import { tunDevice, vxlanDevice } from "../dataplane/device-names.ts";
import type { Host, Link, RouteLookup } from "../host/host.ts";
import { VXLAN_OVERHEAD } from "../packet/vxlan.ts";

/** One thing on the way. */
export interface Step {
  readonly what:
    "address" | "lease" | "forwarding" | "route" | "device" | "neighbour" | "fdb" | "peer" | "underlay" | "mtu";
  /** What was found there. */
  readonly found: string;
  /** Why a packet goes no further. */
  readonly stops?: string;
  /** What is odd and yet no end. */
  readonly doubt?: string;
}

/** What the agent knows, or why it could not be asked. */
export type Known =
  | { readonly agent: true; readonly status: Status; readonly leases: readonly LeaseStatus[] }
  | { readonly agent: false; readonly why: string };

/** The steps up to the one that stops the packet, or to the end. Throws a HostError where the host cannot be read. */
export async function trace(target: Addr, known: Known, host: Host): Promise<Step[]> {
  const steps: Step[] = [];
  for await (const step of walk(target, known, host)) {
    steps.push(step);
    if (step.stops !== undefined) break;
  }
  return steps;
}

async function* walk(target: Addr, known: Known, host: Host): AsyncGenerator<Step> {
  const links = await host.links();
  const route = await host.routeTo(target);
  if (route?.dev === "lo") return yield ownAddress(target, links);
  yield* forwarding(target, host);
  if (!known.agent) {
    yield plainRoute(route);
    if (route) yield deviceStep(route.dev, links);
    return;
  }
  const { status } = known;
  const lease = known.leases.find((one) => one.subnets.some((text) => holds(text, target)));
  yield known.leases.length === 0 ? unknownLease(target, status) : leaseStep(target, lease, status);
  if (!lease) return yield plainRoute(route);
  if (lease.own) return yield* toOwnPod(target, route, links, host);
  yield* toPeer(target, lease, status, route, links, host);
}

function ownAddress(target: Addr, links: readonly Link[]): Step {
  const link = links.find(({ addresses }) => addresses.some(({ addr }) => sameAddr(addr, target)));
  return { what: "address", found: `${formatAddr(target)} is this host's own, on ${link?.name ?? "lo"}` };
}

async function* forwarding({ family }: Addr, host: Host): AsyncGenerator<Step> {
  const path = family === 4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding";
  const on = (await host.sysctl(path)) === "1";
  const drops = (await host.foreignForwardChains(family)).filter((chain) => chain.policy === "drop");
  const names = drops.map(({ name }) => name).join(", ");
  yield {
    what: "forwarding",
    found: `${path.replaceAll("/", ".")} is ${on ? 1 : 0}${names === "" ? "" : `, ${names} drops what it does not accept`}`,
    ...(!on && { stops: `this host forwards nothing of its pods: sysctl -w ${path.replaceAll("/", ".")}=1` }),
    ...(names !== "" && { doubt: `unless ${names} accepts the pods' packets, they are dropped there` }),
  };
}

function plainRoute(route: RouteLookup | undefined): Step {
  return { what: "route", found: describeRoute(route), ...(!route && { stops: "there is no route" }) };
}

// A table that was read holds the own lease at least.
function unknownLease(target: Addr, { problems }: Status): Step {
  return {
    what: "lease",
    found: "not known: the agent knows of no lease",
    doubt: `whether ${formatAddr(target)} is a pod, and whose, is not known: ${problems[0] ?? "see twillctl status"}`,
  };
}

function leaseStep(target: Addr, lease: LeaseStatus | undefined, status: Status): Step {
  const what = "lease";
  if (lease) return { what, found: `${lease.subnets.join(" ")} of ${ownerOf(lease)}${lease.own ? ", this node" : ""}` };
  const networks = status.network?.networks ?? [];
  if (!networks.some((text) => holds(text, target)))
    return {
      what,
      found: `none: outside of the pod network ${networks.join(" ")}`.trim(),
      doubt: `${formatAddr(target)} is no pod: it goes the host's ordinary way`,
    };
  return { what, found: "none", stops: `no node holds a subnet with ${formatAddr(target)}: see twillctl leases` };
}

async function* toOwnPod(
  target: Addr,
  route: RouteLookup | undefined,
  links: readonly Link[],
  host: Host,
): AsyncGenerator<Step> {
  const onLink = route && route.via === undefined;
  yield {
    what: "route",
    found: describeRoute(route),
    ...(!onLink && { stops: "the own subnet is on no bridge: no pod of this node was attached yet, or cni0 is down" }),
  };
  if (!route) return;
  const device = deviceStep(route.dev, links);
  yield device;
  const neighbour = (await host.neighbours(route.dev)).find(({ addr }) => sameAddr(addr, target));
  yield {
    what: "neighbour",
    found: neighbour?.mac === undefined ? "not resolved" : `${neighbour.mac} on ${route.dev}`,
    ...(neighbour && neighbour.mac === undefined && { stops: `nobody on ${route.dev} has ${formatAddr(target)}` }),
    ...(!neighbour && { doubt: `no packet to ${formatAddr(target)} was sent lately: whether it lives is not known` }),
  };
}

async function* toPeer(
  target: Addr,
  lease: LeaseStatus,
  status: Status,
  route: RouteLookup | undefined,
  links: readonly Link[],
  host: Host,
): AsyncGenerator<Step> {
  const { family } = target;
  const plane = status.dataplane?.name ?? "";
  const vni = status.network?.vni ?? 0;
  const device = plane === "kernel" ? vxlanDevice(vni, family) : plane === "tun" ? tunDevice(vni) : undefined;
  const publicIps = lease.publicIps.flatMap((text) => parseAddr(text) ?? []);
  const plain = route?.dev === status.underlay?.interface && publicIps.some((addr) => sameAddr(addr, route?.via));
  yield routeStep(route, plain, device, status);
  if (!route) return;
  const inner = links.find(({ name }) => name === route.dev);
  yield deviceStep(route.dev, links);
  let outer = publicIps.find((addr) => addr.family === family) ?? publicIps[0];
  if (!plain && plane === "kernel") {
    const via = route.via ?? target;
    const entry = (await host.neighbours(route.dev)).find(({ addr }) => sameAddr(addr, via));
    const fix = "the agent puts it back within seconds; see twillctl status";
    yield {
      what: "neighbour",
      found:
        entry?.mac === undefined ? `none for ${formatAddr(via)} on ${route.dev}` : `${formatAddr(via)} is ${entry.mac}`,
      ...(entry?.mac === undefined && { stops: `the kernel does not know the MAC of ${formatAddr(via)}: ${fix}` }),
    };
    if (entry?.mac === undefined) return;
    const fdb = (await host.fdb(route.dev)).find(({ mac }) => mac === entry.mac);
    const right = fdb && publicIps.some((addr) => sameAddr(addr, fdb.dst));
    yield {
      what: "fdb",
      found: fdb ? `${entry.mac} goes to ${formatAddr(fdb.dst)}` : `none for ${entry.mac} on ${route.dev}`,
      ...(!fdb && { stops: `the kernel does not know where ${entry.mac} is: ${fix}` }),
      ...(fdb && !right && { stops: `the lease says ${lease.publicIps.join(" ")}: ${fix}` }),
    };
    if (fdb) outer = fdb.dst;
  }
  const peer = status.peers.find((one) => one.lease.key === lease.key);
  yield peerStep(lease, peer, outer);
  if (!outer) return;
  yield* toAddress(outer, inner && { name: inner.name, mtu: await mtuOf(inner, family, host) }, plain, links, host);
}

function routeStep(route: RouteLookup | undefined, plain: boolean, device: string | undefined, status: Status): Step {
  const step: Step = { what: "route", found: describeRoute(route) };
  const hint = "another route stands before ours, or the agent has not set it: see twillctl status and ip route";
  if (!route) return { ...step, stops: `there is no route: ${hint}` };
  if (plain || route.dev === device) return { ...step, found: `${step.found}${plain ? ", without a tunnel" : ""}` };
  const wanted = device ?? status.underlay?.interface ?? "the data plane's device";
  return { ...step, stops: `the packet leaves by ${route.dev} instead of ${wanted}: ${hint}` };
}

function peerStep(lease: LeaseStatus, peer: PeerStatus | undefined, outer: Addr | undefined): Step {
  const state = peer ? `${peer.state}${peer.reason === "" ? "" : `: ${peer.reason}`}` : "not among the peers yet";
  return {
    what: "peer",
    found: `${ownerOf(lease)}${lease.dataplane === "" ? "" : `, ${lease.dataplane}`}, ${state}`,
    ...(!outer && { stops: "its lease has no address" }),
    ...(outer && peer?.state === "failed" && { stops: `the data plane cannot reach it: ${peer.reason}` }),
    ...(peer?.state !== "in-sync" && peer?.state !== "failed" && { doubt: `${ownerOf(lease)} is not programmed yet` }),
  };
}

async function* toAddress(
  outer: Addr,
  inner: Pick<Link, "name" | "mtu"> | undefined,
  plain: boolean,
  links: readonly Link[],
  host: Host,
): AsyncGenerator<Step> {
  const route = await host.routeTo(outer);
  const address = formatAddr(outer);
  const link = links.find(({ name }) => name === route?.dev);
  const hop = route?.via ?? outer;
  const neighbour = route && (await host.neighbours(route.dev)).find(({ addr }) => sameAddr(addr, hop));
  const silent = neighbour !== undefined && neighbour.mac === undefined;
  yield {
    what: "underlay",
    found: `${address}: ${describeRoute(route)}${neighbour?.mac === undefined ? "" : `, next hop ${neighbour.mac}`}`,
    ...(!route && { stops: `${address} cannot be routed` }),
    ...(link?.up === false && { stops: `${link.name} is down` }),
    ...(silent && { stops: `nobody on ${link?.name} answers for ${formatAddr(hop)}: the node is down or cut off` }),
  };
  if (!link || !inner) return;
  const overhead = plain ? 0 : VXLAN_OVERHEAD[outer.family];
  const room = link.mtu - overhead;
  yield {
    what: "mtu",
    found: `${inner.mtu} on ${inner.name}; ${link.name} has ${link.mtu}, which leaves ${room}`,
    ...(inner.mtu > room && { doubt: `packets of more than ${room} bytes are cut in pieces on ${link.name}, or lost` }),
  };
}

// One device carries both families on the tun plane: IPv6 may have a narrower MTU of its own.
async function mtuOf({ name, mtu }: Link, family: Family, host: Host): Promise<number> {
  const own = family === 6 ? Number(await host.sysctl(`net/ipv6/conf/${name}/mtu`)) : 0;
  return own > 0 ? Math.min(mtu, own) : mtu;
}

function deviceStep(name: string, links: readonly Link[]): Step {
  const link = links.find((one) => one.name === name);
  if (!link) return { what: "device", found: name, stops: `${name} has gone` };
  const found = `${name}, ${link.kind}, MTU ${link.mtu}, ${link.up ? "up" : "down"}`;
  return { what: "device", found, ...(!link.up && { stops: `${name} is down: ip link set ${name} up` }) };
}

function describeRoute(route: RouteLookup | undefined): string {
  if (!route) return "none";
  const via = route.via ? `via ${formatAddr(route.via)} ` : "";
  return `${via}dev ${route.dev}${route.src ? ` src ${formatAddr(route.src)}` : ""}`;
}

function holds(text: string, addr: Addr): boolean {
  const prefix = parsePrefix(text);
  return prefix !== undefined && containsAddr(prefix, addr);
}

function ownerOf(lease: LeaseStatus): string {
  const name = lease.nodeName || lease.nodeId;
  return name === "" ? lease.publicIps.join(" ") : `${name} (${lease.publicIps.join(" ")})`;
}
