import { expect, test } from "vitest";
import type { PeerProbe } from "../api/probe.ts";
import { troublesOf } from "./troubles.ts";

function probe(i: number, change: Partial<PeerProbe> = {}): PeerProbe {
  return {
    key: `k${i}`,
    overlay: `10.5.${i}.0`,
    underlay: `192.0.2.${i}`,
    state: "up",
    since: 1,
    rttMs: 1,
    sent: 20,
    lost: 0,
    lastSeen: 1,
    lastAnswer: 1,
    mtu: 1450,
    wantedMtu: 1450,
    tcp: "answers",
    inbound: "unknown",
    ...change,
  };
}

const told = (...probes: PeerProbe[]): string[] => troublesOf(probes, []).map(({ sentence }) => sentence);

const cases: { says: string; probes: PeerProbe[]; culprits: RegExp[] }[] = [
  { says: "nothing where all is well", probes: [probe(1), probe(2)], culprits: [] },
  { says: "nothing of who was not asked yet", probes: [probe(1, { state: "unknown", mtu: 0 })], culprits: [] },
  {
    says: "each peer that has a trouble of its own",
    probes: [
      probe(1, { mtu: 1350 }),
      probe(2, { tcp: "silent" }),
      probe(3, { state: "overlay-down" }),
      probe(4, { state: "down" }),
      probe(5, { state: "down", lastSeen: 0, lastAnswer: 0 }),
      probe(6, { state: "down", lastSeen: 0 }),
      probe(7),
    ],
    culprits: [
      /^192\.0\.2\.1 is reached by packets of at most 1350 bytes/,
      /^192\.0\.2\.2 answers echoes, but no TCP/,
      /^192\.0\.2\.3 answers on the underlay .*UDP between the nodes$/,
      /^192\.0\.2\.4 does not answer/,
      /^192\.0\.2\.5 has never answered.*left over$/,
      /^192\.0\.2\.6 does not answer/,
    ],
  },
  {
    says: "which way is cut",
    probes: [
      probe(1, { state: "overlay-down", inbound: "arrives" }),
      probe(2, { state: "overlay-down", inbound: "silent" }),
      probe(3),
    ],
    culprits: [/^192\.0\.2\.1 .*the way from here to it is cut$/, /^192\.0\.2\.2 .*the way from it to here is cut$/],
  },
  {
    says: "this node where every peer has it, and whoever has more than that",
    probes: [probe(1, { tcp: "silent" }), probe(2, { tcp: "silent", mtu: 1350 }), probe(3, { state: "down" })],
    culprits: [
      /^this node exchanges echoes with every peer, but TCP with none/,
      /^192\.0\.2\.2 is reached by packets of at most 1350/,
      /^192\.0\.2\.3 does not answer/,
    ],
  },
  {
    says: "this node, whose overlay is dead, and not the node that is down",
    probes: [probe(1, { state: "overlay-down" }), probe(2, { state: "overlay-down" }), probe(3, { state: "down" })],
    culprits: [/^this node reaches no peer over the overlay, though 2 answer/, /^192\.0\.2\.3 does not answer/],
  },
  {
    says: "the peer where there is only one: nobody else shows whose fault it is",
    probes: [probe(1, { tcp: "silent" })],
    culprits: [/^192\.0\.2\.1 answers echoes, but no TCP/],
  },
  {
    says: "this node's MTU",
    probes: [probe(1, { mtu: 1350 }), probe(2, { mtu: 1340 })],
    culprits: [/^this node reaches every peer only by packets of at most 1350 bytes where 1450 should pass/],
  },
];

for (const { says, probes, culprits } of cases) {
  test(says, () => {
    const sentences = told(...probes);
    expect(sentences).toHaveLength(culprits.length);
    for (const [i, culprit] of culprits.entries()) expect(sentences[i]).toMatch(culprit);
  });
}
