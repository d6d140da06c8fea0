import type { PeerProbe } from "../api/probe.ts";
import type { LeaseStatus, PeerStatus, Status } from "../api/status.ts";
import { printable } from "../base/printable.ts";
import { splitCounters } from "../metrics/counter-names.ts";
import type { Seen } from "./agent-view.ts";
import { Arrivals } from "./arrivals.ts";
import { type Evidence, judge } from "./judge.ts";
import { findTroubles } from "./find-troubles.ts";
import type { AskedAgent, Drop, Mesh, MeshNode, NodeState, SelfView, Way } from "./mesh.ts";

/** More would be neither read nor drawn. */
const MOST_CHARTED = 24;
const MOST_TROUBLES = 60;

/** Puts together what several agents say. It keeps what it has to remember from one look to the next. */
export class MeshMaker {
  readonly #arrivals = new Map<string, Arrivals>();

  /** `now` on the clock that never jumps, `wall` in milliseconds since 1970. */
  make(views: readonly Seen[], now: number, wall: number): Omit<Mesh, "events"> {
    const asked = new Map(views.flatMap((view) => (view.last ? [[idOf(view), view] as const] : [])));
    const leases = allLeases(views);
    const ids = new Set([...leases.keys(), ...asked.keys()]);
    const rates = totals(asked);
    const nodes = [...ids]
      .map((id) => makeNode(id, leases.get(id), asked, rates.get(id) ?? NO_RATE))
      .toSorted((a, b) => compare(a.name, b.name) || compare(a.id, b.id));
    const charted = chart(nodes, asked, rates);
    const ways = this.#ways(charted, asked, now);
    const agents = views.map(describeAgent);
    return {
      at: wall,
      network: describeNetwork(views),
      agents,
      nodes,
      charted,
      ways,
      troubles: findTroubles({ agents, nodes, ways, at: wall }).slice(0, MOST_TROUBLES),
    };
  }

  #ways(charted: readonly string[], asked: ReadonlyMap<string, Seen>, now: number): Way[] {
    const pairs = charted.flatMap((from) => charted.filter((to) => to !== from).map((to) => ({ from, to })));
    const known = pairs.filter(({ from, to }) => asked.has(from) || asked.has(to));
    const nameOf = ({ from, to }: { from: string; to: string }): string => `${from} ${to}`;
    const current = new Set(known.map(nameOf));
    for (const name of this.#arrivals.keys()) if (!current.has(name)) this.#arrivals.delete(name);
    for (const pair of known) {
      const arrivals = this.#arrivals.get(nameOf(pair)) ?? new Arrivals();
      this.#arrivals.set(nameOf(pair), arrivals);
      const [tx, rx] = [counting(asked.get(pair.from), pair.to), counting(asked.get(pair.to), pair.from)];
      arrivals.look(tx?.txPackets, rx?.rxPackets, now);
    }
    const evidence = (from: string, to: string): Evidence => {
      const view = answering(asked.get(from));
      return {
        echo: view?.last?.probes.get(to),
        peer: view?.last?.peers.get(to),
        arrives: this.#arrivals.get(`${from} ${to}`)?.arrives(now),
      };
    };
    return known.map(({ from, to }) => {
      const [own, other] = [evidence(from, to), evidence(to, from)];
      const { state, why, since } = judge(own, other);
      return { from, to, state, why: printable(why), since, echo: echoOf(own.echo), ...trafficOf(from, to, asked) };
    });
  }
}

const NO_RATE = { tx: 0, rx: 0 };
type Rates = ReadonlyMap<string, { readonly tx: number; readonly rx: number }>;

function idOf(view: Seen): string {
  return view.last?.status.lease?.key ?? view.socket;
}

function answering(view: Seen | undefined): Seen | undefined {
  return view?.answers ? view : undefined;
}

/** The peer's row of an agent that answers and counts each peer's packets. */
function counting(view: Seen | undefined, peer: string): PeerStatus | undefined {
  const row = answering(view)?.last?.peers.get(peer);
  const counted = view?.last?.status.dataplane?.name === "tun";
  return row && (counted || row.txPackets > 0n || row.rxPackets > 0n) ? row : undefined;
}

function allLeases(views: readonly Seen[]): Map<string, LeaseStatus> {
  const leases = new Map<string, LeaseStatus>();
  // Those that answer last, so that what they say counts.
  const ordered = views.toSorted((a, b) => Number(a.answers) - Number(b.answers));
  for (const { last } of ordered) for (const { lease } of last?.status.peers ?? []) leases.set(lease.key, lease);
  for (const { last } of ordered) if (last?.status.lease) leases.set(last.status.lease.key, last.status.lease);
  // What only a silent agent knows may be long gone, but for the agents themselves.
  const current = new Set(
    views.flatMap(({ answers, last }) => [
      ...(last?.status.lease ? [last.status.lease.key] : []),
      ...(answers || views.every((view) => !view.answers)
        ? (last?.status.peers ?? []).map(({ lease }) => lease.key)
        : []),
    ]),
  );
  for (const key of leases.keys()) if (!current.has(key)) leases.delete(key);
  return leases;
}

function makeNode(
  id: string,
  lease: LeaseStatus | undefined,
  asked: ReadonlyMap<string, Seen>,
  rate: { readonly tx: number; readonly rx: number },
): MeshNode {
  const view = asked.get(id);
  const status = view?.last?.status;
  const addresses = lease?.publicIps ?? status?.underlay?.publicIps ?? [];
  return {
    id,
    name: printable(status?.node.name || lease?.nodeName || addresses[0] || id),
    subnets: lease?.subnets ?? [],
    addresses,
    plane: printable(status?.dataplane?.name ?? lease?.dataplane ?? ""),
    ...stateOf(id, view, asked),
    self: view?.last ? selfOf(view, view.last.status) : null,
    txBytesPerSecond: rate.tx,
    rxBytesPerSecond: rate.rx,
  };
}

function stateOf(
  id: string,
  view: Seen | undefined,
  asked: ReadonlyMap<string, Seen>,
): { readonly state: NodeState; readonly since: number } {
  if (view && !view.answers) return { state: "silent", since: view.since };
  if (view) {
    const ready = view.last?.status.ready === true;
    return { state: ready ? "ready" : "not-ready", since: ready ? (view.last?.status.startedAt ?? 0) : 0 };
  }
  const echoes = [...asked.values()].flatMap((each) => answering(each)?.last?.probes.get(id) ?? []);
  const found = (["up", "overlay-down", "down"] as const).find((state) => echoes.some((echo) => echo.state === state));
  if (!found) return { state: "unknown", since: 0 };
  const since = Math.min(...echoes.filter(({ state }) => state === found).map((echo) => echo.since));
  return { state: ({ up: "answers", "overlay-down": "cut-off", down: "down" } as const)[found], since };
}

function selfOf(view: Seen, status: Status): SelfView {
  const { underlay, etcd, lease, dataplane } = status;
  return {
    version: printable(status.version),
    startedAt: status.startedAt,
    problems: status.problems.map(printable),
    underlay: underlay ? `${underlay.interface}, MTU ${underlay.mtu}` : "",
    mtus: dataplane?.mtus ?? [],
    rung: printable(dataplane?.rung ?? ""),
    etcd: etcd.connected ? "connected" : printable(etcd.error || "not connected"),
    leaseExpiresAt: lease?.expiresAt ?? 0,
    drops: dropsOf(view),
  };
}

function dropsOf({ last, before }: Seen): Drop[] {
  const of = (look: typeof last): ReadonlyMap<string, bigint> =>
    splitCounters(look?.status.dataplane?.counters ?? {}).drops;
  const earlier = of(before);
  const seconds = last && before ? (last.at - before.at) / 1000 : 0;
  return [...of(last)]
    .filter(([, count]) => count > 0n)
    .map(([reason, count]) => {
      const grown = Number(count - (earlier.get(reason) ?? count));
      return {
        reason: printable(reason),
        count: Number(count),
        perSecond: seconds > 0 ? Math.max(0, grown) / seconds : 0,
      };
    })
    .toSorted((a, b) => b.count - a.count);
}

function echoOf(probe: PeerProbe | undefined): Way["echo"] {
  if (!probe) return null;
  const { key: _, ...echo } = probe;
  return echo;
}

function trafficOf(
  from: string,
  to: string,
  asked: ReadonlyMap<string, Seen>,
): Pick<Way, "counted" | "bytesPerSecond" | "packetsPerSecond" | "bytes" | "packets"> {
  const sender = counting(asked.get(from), to);
  const receiver = sender ? undefined : counting(asked.get(to), from);
  const view = asked.get(sender ? from : to);
  const row = sender ?? receiver;
  if (!row || !view) return { counted: false, bytesPerSecond: 0, packetsPerSecond: 0, bytes: 0, packets: 0 };
  const earlier = view.before?.peers.get(sender ? to : from);
  const seconds = view.last && view.before ? (view.last.at - view.before.at) / 1000 : 0;
  const [bytes, packets] = sender ? [row.txBytes, row.txPackets] : [row.rxBytes, row.rxPackets];
  const [bytesThen, packetsThen] = sender
    ? [earlier?.txBytes ?? bytes, earlier?.txPackets ?? packets]
    : [earlier?.rxBytes ?? bytes, earlier?.rxPackets ?? packets];
  const rate = (now: bigint, then: bigint): number => (seconds > 0 ? Math.max(0, Number(now - then)) / seconds : 0);
  return {
    counted: true,
    bytesPerSecond: rate(bytes, bytesThen),
    packetsPerSecond: rate(packets, packetsThen),
    bytes: Number(bytes),
    packets: Number(packets),
  };
}

/** What each node sends and receives, by its own agent, or else by those that know it as a peer. */
function totals(asked: ReadonlyMap<string, Seen>): Rates {
  const sums = new Map<string, { tx: number; rx: number }>();
  const at = (id: string): { tx: number; rx: number } => {
    const sum = sums.get(id) ?? { tx: 0, rx: 0 };
    sums.set(id, sum);
    return sum;
  };
  for (const [id, view] of asked) {
    for (const peer of answering(view)?.last?.peers.keys() ?? []) {
      const out = trafficOf(id, peer, asked).bytesPerSecond;
      const back = trafficOf(peer, id, asked).bytesPerSecond;
      at(id).tx += out;
      at(id).rx += back;
      if (answering(asked.get(peer))) continue;
      at(peer).tx += back;
      at(peer).rx += out;
    }
  }
  return sums;
}

// In a large mesh: our own nodes, then those in trouble, then the busiest.
function chart(nodes: readonly MeshNode[], asked: ReadonlyMap<string, Seen>, rates: Rates): string[] {
  if (nodes.length <= MOST_CHARTED) return nodes.map(({ id }) => id);
  const rank = ({ id, state }: MeshNode): number =>
    asked.has(id) ? 2 : Number(state === "cut-off" || state === "down");
  const traffic = ({ id }: MeshNode): number => (rates.get(id)?.tx ?? 0) + (rates.get(id)?.rx ?? 0);
  const first = nodes.toSorted((a, b) => rank(b) - rank(a) || traffic(b) - traffic(a)).slice(0, MOST_CHARTED);
  const chosen = new Set(first.map(({ id }) => id));
  return nodes.filter(({ id }) => chosen.has(id)).map(({ id }) => id);
}

function describeNetwork(views: readonly Seen[]): string {
  const network = views.map(({ last }) => last?.status.network).find((each) => each !== undefined);
  if (!network) return "";
  const { networks, backendType, vni, port } = network;
  const wire = vni > 0 ? `${backendType}, VNI ${vni}, port ${port}` : backendType;
  return printable([...networks, wire].join(", "));
}

function describeAgent(view: Seen): AskedAgent {
  const { socket, answers, since, error, last } = view;
  return { socket, node: last ? idOf(view) : "", answers, since, error: answers ? "" : printable(error) };
}

function compare(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
