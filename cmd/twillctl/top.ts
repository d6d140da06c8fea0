import type { AgentClient } from "../../pkg/api/client.ts";
import type { PeerProbe } from "../../pkg/api/probe.ts";
import type { PeerStatus, Status } from "../../pkg/api/status.ts";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { bytes } from "../../pkg/base/amounts.ts";
import { printable } from "../../pkg/base/printable.ts";
import { splitCounters } from "../../pkg/metrics/counter-names.ts";
import { type Call, EXIT, type Outcome, type Run } from "./command.ts";
import { answers, loss, noPeers, rtt } from "./peers.ts";
import { type Cell, type Screen, table } from "./screen.ts";
import { toJson } from "./to-json.ts";

const APART_MS = 1000;

interface Sample {
  readonly at: number;
  readonly status: Status;
  readonly probes: readonly PeerProbe[];
}

/** A peer's traffic in the last moments. */
export interface PeerRate {
  readonly key: string;
  readonly node: string;
  readonly subnets: readonly string[];
  readonly txBytesPerSecond: number;
  readonly rxBytesPerSecond: number;
  readonly txPacketsPerSecond: number;
  readonly rxPacketsPerSecond: number;
  readonly probe: PeerProbe | undefined;
}

/** Live traffic: each run shows what has passed since the one before, or in a second. */
export function makeTop(): Run {
  let before: Sample | undefined;
  return async (call: Call): Promise<Outcome> => {
    const agent = await call.agent();
    if (!before) {
      before = await sample(agent);
      await sleep(systemClock, APART_MS, call.signal);
    }
    const now = await sample(agent);
    const peers = rates(before, now);
    const drops = dropRates(before, now);
    const seconds = (now.at - before.at) / 1000;
    before = now;
    const shown = (): string => (peers.length === 0 ? noPeers(now.status) : show(peers, drops, call.screen));
    return { text: call.json ? toJson({ seconds, peers, drops }) : shown(), code: EXIT.ok };
  };
}

async function sample(agent: AgentClient): Promise<Sample> {
  const [status, probes] = await Promise.all([agent.status(), agent.probes()]);
  return { at: systemClock.now(), status, probes };
}

function rates(before: Sample, now: Sample): PeerRate[] {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000);
  const earlier = new Map(before.status.peers.map((peer) => [peer.lease.key, peer]));
  const all = now.status.peers.map((peer): PeerRate => {
    const { lease } = peer;
    const rate = (count: (peer: PeerStatus) => bigint): number => {
      const grown = Number(count(peer)) - Number(count(earlier.get(lease.key) ?? peer));
      // An agent that was restarted counts from nothing.
      return Math.max(0, grown) / seconds;
    };
    return {
      key: lease.key,
      node: lease.nodeName || lease.publicIps.join(" "),
      subnets: lease.subnets,
      txBytesPerSecond: rate((each) => each.txBytes),
      rxBytesPerSecond: rate((each) => each.rxBytes),
      txPacketsPerSecond: rate((each) => each.txPackets),
      rxPacketsPerSecond: rate((each) => each.rxPackets),
      probe: now.probes.find(({ key }) => key === lease.key),
    };
  });
  const sum = (each: PeerRate): number => each.txBytesPerSecond + each.rxBytesPerSecond;
  return all.toSorted((a, b) => sum(b) - sum(a));
}

function dropRates(before: Sample, now: Sample): Record<string, number> {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000);
  const [earlier, later] = [before, now].map(({ status }) => splitCounters(status.dataplane?.counters ?? {}).drops);
  const grown = [...(later ?? [])]
    .map(([name, count]): [string, number] => [name, Number(count - (earlier?.get(name) ?? 0n)) / seconds])
    .filter(([, rate]) => rate > 0);
  return Object.fromEntries(grown);
}

function show(peers: readonly PeerRate[], drops: Readonly<Record<string, number>>, screen: Screen): string {
  const perSecond = (count: number): string => `${bytes(BigInt(Math.round(count)))}/s`;
  const rows = peers.map((peer): Cell[] => [
    { text: peer.node },
    { text: peer.subnets.join(" ") },
    { text: perSecond(peer.txBytesPerSecond) },
    { text: perSecond(peer.rxBytesPerSecond) },
    { text: `${Math.round(peer.txPacketsPerSecond)}/s` },
    { text: `${Math.round(peer.rxPacketsPerSecond)}/s` },
    { text: rtt(peer.probe) },
    { text: loss(peer.probe) },
    answers(peer.probe, screen.now),
  ]);
  const heading = ["NODE", "PEER", "SENT", "RECEIVED", "PACKETS OUT", "PACKETS IN", "RTT", "LOSS", "ANSWERS"];
  const lines = Object.entries(drops).map(([name, rate]) => `${printable(name)} ${rate.toFixed(1)}/s\n`);
  return table(heading, rows, screen) + (lines.length > 0 ? `\n${lines.join("")}` : "");
}
