import type { PeerProbe, Probed } from "../../pkg/api/probe.ts";
import type { LeaseStatus } from "../../pkg/api/status.ts";
import { nameOf } from "../../pkg/diagnosis/peer-name.ts";
import { troublesOf } from "../../pkg/diagnosis/troubles.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { answers, loss, mtu, noPeers, rtt } from "./peers.ts";
import { type Cell, type Screen, table } from "./screen.ts";
import { toJson } from "./to-json.ts";

/** Measures the peers now, or one of them; it ends with 1 where something does not come through. */
export async function runProbe(call: Call): Promise<Outcome> {
  const agent = await call.agent();
  const [probed, leases, status] = await Promise.all([agent.probe(call.args[0] ?? ""), agent.leases(), agent.status()]);
  const problems = describeProblems(probed, leases);
  const show = (): string => (probed.peers.length === 0 ? noPeers(status) : showProbed(probed, leases, call.screen));
  const text = call.json ? toJson({ ...probed, problems }) : show();
  return { text, code: problems.length === 0 ? EXIT.ok : EXIT.notReady, problems: call.json ? [] : problems };
}

const HEADING = ["PEER", "NODE", "OVERLAY", "UNDERLAY", "ANSWERS", "RTT", "LOSS", "MTU", "TCP"];

function showProbed({ peers, address }: Probed, leases: readonly LeaseStatus[], screen: Screen): string {
  const rows = peers.map((probe): Cell[] => [
    { text: leaseOf(probe, leases)?.subnets.join(" ") ?? probe.key },
    { text: leaseOf(probe, leases)?.nodeName || "-" },
    { text: probe.overlay || "-" },
    { text: probe.underlay },
    answers(probe, screen.now),
    { text: rtt(probe) },
    { text: loss(probe) },
    mtu(probe),
    { text: probe.tcp === "unknown" ? "-" : probe.tcp, ...(probe.tcp === "silent" && { colour: "red" as const }) },
  ]);
  const pod = address
    ? `${address.address}: ${address.sent - address.lost} of ${address.sent} echoes, RTT ${rtt(address)}, MTU ${address.mtu || "-"}\n`
    : "";
  return table(HEADING, rows, screen) + pod;
}

function describeProblems({ peers, address }: Probed, leases: readonly LeaseStatus[]): string[] {
  const all = troublesOf(peers, leases).map(({ sentence }) => sentence);
  if (address && address.lost === address.sent) {
    const [node] = peers.filter(({ state }) => state === "up");
    const but = node ? `, though ${nameOf(node, leases)} does: the pod, or a firewall there (FORWARD)` : "";
    all.push(`${address.address} does not answer${but}`);
  }
  return all;
}

function leaseOf({ key }: PeerProbe, leases: readonly LeaseStatus[]): LeaseStatus | undefined {
  return leases.find((lease) => lease.key === key);
}
