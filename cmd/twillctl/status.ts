import type { PeerProbe } from "../../pkg/api/probe.ts";
import type { DataplaneStatus, EtcdStatus, NetworkStatus, PeerStatus, Status } from "../../pkg/api/status.ts";
import { bytes, span } from "../../pkg/base/amounts.ts";
import { printable } from "../../pkg/base/printable.ts";
import { troublesOf } from "../../pkg/diagnosis/troubles.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { expiry } from "./leases.ts";
import { noPeers } from "./peers.ts";
import { type Cell, type Colour, paint, type Screen, table } from "./screen.ts";
import { toJson } from "./to-json.ts";

/** This node; it ends with 1 where the node is not ready. */
export async function runStatus(call: Call): Promise<Outcome> {
  const agent = await call.agent();
  const [status, probes] = await Promise.all([agent.status(), agent.probes()]);
  const leases = status.peers.map(({ lease }) => lease);
  const troubles = troublesOf(probes, leases).map(({ sentence }) => sentence);
  const text = call.json ? toJson({ ...status, troubles }) : showStatus(status, call.screen, probes, troubles);
  return { text, code: status.ready ? EXIT.ok : EXIT.notReady };
}

/**
 * The node as an operator wants to see it: ready or why not, what was measured of the peers and is wrong, then the facts, then
 * the peers.
 */
export function showStatus(
  status: Status,
  screen: Screen,
  probes: readonly PeerProbe[] = [],
  troubles: readonly string[] = [],
): string {
  const name = printable(status.node.name || status.node.id || "this node");
  const lines = [paint(`${name} is ${status.ready ? "ready" : "not ready"}`, status.ready ? "green" : "red", screen)];
  for (const problem of [...status.problems, ...troubles])
    lines.push(paint(`! ${printable(problem)}`, "yellow", screen));
  lines.push("");
  for (const [label, text] of facts(status, screen.now)) lines.push(`${label.padEnd(LABEL)}${printable(text)}`);
  lines.push("", status.peers.length === 0 ? noPeers(status) : peerTable(status.peers, probes, screen));
  return lines.join("\n");
}

const LABEL = 12;

function facts(status: Status, now: number): [string, string][] {
  const { network, underlay, lease, dataplane } = status;
  return [
    ["agent", `twilld ${status.version}, running for ${span(now - status.startedAt)}`],
    ["node id", status.node.id],
    ["network", network ? describeNetwork(network) : "not read from etcd yet"],
    [
      "underlay",
      underlay ? `${underlay.interface}, MTU ${underlay.mtu}, ${underlay.publicIps.join(" ")}` : "not chosen yet",
    ],
    ["lease", lease ? `${lease.subnets.join(" ")}, expires ${expiry(lease, now)}` : "not acquired yet"],
    ["data plane", dataplane ? describeDataplane(dataplane) : "not open yet"],
    ...counters(dataplane),
    ["etcd", describeEtcd(status.etcd, now)],
  ];
}

function describeNetwork({ networks, backendType, vni, port }: NetworkStatus): string {
  // host-gw sends no datagrams.
  return [networks.join(" "), backendType, ...(vni > 0 ? [`VNI ${vni}`, `port ${port}`] : [])].join(", ");
}

function describeDataplane(dataplane: DataplaneStatus): string {
  return `${dataplane.name}, MTU ${dataplane.mtus.join(" ")}`;
}

function counters(dataplane: DataplaneStatus | undefined): [string, string][] {
  const counted = Object.entries(dataplane?.counters ?? {}).filter(([, count]) => count > 0n);
  return counted.map(([name, count], i) => [i === 0 ? "counters" : "", `${name} ${count}`]);
}

function describeEtcd(etcd: EtcdStatus, now: number): string {
  const where = etcd.endpoints.join(" ");
  const time = etcd.since > 0 ? ` for ${span(now - etcd.since)}` : "";
  if (etcd.connected) return `${where}, connected${time}`;
  return `${where}, not connected${time}${etcd.error === "" ? "" : `: ${etcd.error}`}`;
}

const STATE_COLOURS = { "in-sync": "green", pending: "yellow", failed: "red" } as const satisfies Record<
  PeerStatus["state"],
  Colour
>;

function stateOf({ lease, state, reason }: PeerStatus, probes: readonly PeerProbe[], now: number): Cell {
  const probe = probes.find(({ key }) => key === lease.key);
  const silent = probe?.state === "overlay-down" || probe?.state === "down";
  const unreachable = silent ? `, unreachable for ${span(now - probe.since)}` : "";
  const text = state + (reason === "" ? "" : `: ${reason}`) + unreachable;
  return { text, colour: silent ? "red" : STATE_COLOURS[state] };
}

function peerTable(peers: readonly PeerStatus[], probes: readonly PeerProbe[], screen: Screen): string {
  const rows = peers.map((peer): Cell[] => [
    { text: peer.lease.subnets.join(" ") },
    { text: peer.lease.nodeName || "-" },
    { text: peer.lease.publicIps.join(" ") },
    { text: bytes(peer.txBytes) },
    { text: bytes(peer.rxBytes) },
    stateOf(peer, probes, screen.now),
  ]);
  return table(["PEER", "NODE", "ADDRESS", "SENT", "RECEIVED", "STATE"], rows, screen);
}
