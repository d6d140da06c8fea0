import type { PeerProbe } from "../../pkg/api/probe.ts";
import type { PeerStatus, Status } from "../../pkg/api/status.ts";
import { bytes, span } from "../../pkg/base/amounts.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { type Cell, type Colour, type Screen, table } from "./screen.ts";
import { toJson } from "./to-json.ts";

/** Every peer: whether it is programmed, whether it answers, and what was measured of the way there. */
export async function runPeers(call: Call): Promise<Outcome> {
  const agent = await call.agent();
  const [status, probes] = await Promise.all([agent.status(), agent.probes()]);
  const byKey = new Map(probes.map((probe) => [probe.key, probe]));
  const both = status.peers.map((peer) => ({ ...peer, probe: byKey.get(peer.lease.key) }));
  const show = (): string => (both.length === 0 ? noPeers(status) : showPeers(both, call.screen));
  return { text: call.json ? toJson({ peers: both }) : show(), code: EXIT.ok };
}

/** Why an agent tells of no peer. */
export function noPeers({ lease }: Status): string {
  return lease
    ? "No peers: no other node holds a lease.\n"
    : "No peer is known: the leases of the others are read once this node has its own.\n";
}

/** A peer with what was measured of it, where it was. */
export interface MeasuredPeer extends PeerStatus {
  readonly probe: PeerProbe | undefined;
}

const HEADING = ["PEER", "NODE", "ADDRESS", "STATE", "ANSWERS", "RTT", "LOSS", "MTU", "SENT", "RECEIVED"];

function showPeers(peers: readonly MeasuredPeer[], screen: Screen): string {
  const rows = peers.map(({ lease, state, reason, probe, txBytes, rxBytes }): Cell[] => [
    { text: lease.subnets.join(" ") },
    { text: lease.nodeName || "-" },
    { text: lease.publicIps.join(" ") },
    { text: state + (reason === "" ? "" : `: ${reason}`), ...(state !== "in-sync" && { colour: "red" as const }) },
    answers(probe, screen.now),
    { text: rtt(probe) },
    { text: loss(probe) },
    mtu(probe),
    { text: bytes(txBytes) },
    { text: bytes(rxBytes) },
  ]);
  return table(HEADING, rows, screen);
}

/** Whether a peer answers, in words. */
export function answers(probe: PeerProbe | undefined, now: number): Cell {
  if (!probe || probe.state === "unknown") return { text: "not asked yet", colour: "dim" };
  const time = probe.since > 0 ? ` for ${span(now - probe.since)}` : "";
  const words = { up: "yes", "overlay-down": `underlay only${time}`, down: `no${time}` } as const;
  const colours = { up: "green", "overlay-down": "red", down: "red" } as const satisfies Record<string, Colour>;
  return { text: words[probe.state], colour: colours[probe.state] };
}

export function rtt(probe: Pick<PeerProbe, "rttMs"> | undefined): string {
  return probe && probe.rttMs > 0 ? `${probe.rttMs.toFixed(2)} ms` : "-";
}

export function loss(probe: Pick<PeerProbe, "sent" | "lost"> | undefined): string {
  return probe && probe.sent > 0 ? `${Math.round((100 * probe.lost) / probe.sent)} %` : "-";
}

export function mtu(probe: PeerProbe | undefined): Cell {
  if (!probe || probe.mtu === 0) return { text: "-" };
  if (probe.mtu >= probe.wantedMtu) return { text: String(probe.mtu) };
  return { text: `${probe.mtu} of ${probe.wantedMtu}`, colour: "red" };
}
