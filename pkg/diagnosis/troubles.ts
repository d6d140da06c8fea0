import type { PeerProbe } from "../api/probe.ts";
import type { LeaseStatus } from "../api/status.ts";
import { nameOf } from "./peer-name.ts";

/** Something that was measured and is not as it should be, and who is to blame. */
export interface Trouble {
  readonly kind: "down" | "never-seen" | "overlay-down" | "narrow" | "no-tcp";
  /** Undefined where every peer has it: then it is this node. */
  readonly probe: PeerProbe | undefined;
  /** Of those that have it, one. */
  readonly example: PeerProbe;
  /** Who has it: the peer's, or "every peer". */
  readonly name: string;
  /** With the culprit as its subject. */
  readonly sentence: string;
}

/** What is wrong with the peers or the way to them, each with its culprit: what all peers have is this node's. */
export function troublesOf(probes: readonly PeerProbe[], leases: readonly LeaseStatus[]): Trouble[] {
  const alive = probes.filter(({ state }) => state === "up" || state === "overlay-down");
  const up = probes.filter(({ state }) => state === "up");
  const own = [
    common("overlay-down", alive),
    common("narrow", up, ({ mtu }) => mtu > 0),
    common("no-tcp", up, ({ tcp }) => tcp !== "unknown"),
  ].flatMap((trouble) => trouble ?? []);
  const blamed = new Set(own.map(({ kind }) => kind));
  const others = probes.flatMap((probe): Trouble[] =>
    kindsOf(probe)
      .filter((kind) => !blamed.has(kind))
      .map((kind) => {
        const name = nameOf(probe, leases);
        return { kind, probe, example: probe, name, sentence: `${name} ${ofPeer(kind, probe)}` };
      }),
  );
  return [...own, ...others];
}

/** What is wrong with one peer. */
function kindsOf({ state, lastAnswer, mtu, wantedMtu, tcp }: PeerProbe): Trouble["kind"][] {
  if (state === "down") return [lastAnswer > 0 ? "down" : "never-seen"];
  if (state === "overlay-down") return ["overlay-down"];
  if (state !== "up") return [];
  const narrow = mtu > 0 && mtu < wantedMtu;
  return [...(narrow ? (["narrow"] as const) : []), ...(tcp === "silent" ? (["no-tcp"] as const) : [])];
}

/** A trouble that every peer has which was measured, where those are two or more. */
function common(
  kind: keyof typeof OF_THIS_NODE,
  among: readonly PeerProbe[],
  measured: (probe: PeerProbe) => boolean = () => true,
): Trouble | undefined {
  const asked = among.filter(measured);
  const [example] = asked;
  if (!example || asked.length < 2 || !asked.every((probe) => kindsOf(probe).includes(kind))) return undefined;
  const sentence = `this node ${OF_THIS_NODE[kind](asked)}`;
  return { kind, probe: undefined, example, name: "every peer", sentence };
}

const OF_THIS_NODE = {
  "overlay-down": (all: readonly PeerProbe[]) =>
    `reaches no peer over the overlay, though ${all.length} answer on the underlay: its twilld, or UDP to and from it`,
  narrow: (all: readonly PeerProbe[]) =>
    `reaches every peer only by packets of at most ${Math.max(...all.map(({ mtu }) => mtu))} bytes where ` +
    `${all[0]?.wantedMtu} should pass: look at the MTU of its underlay`,
  "no-tcp": () =>
    "exchanges echoes with every peer, but TCP with none: wrong checksums (ethtool -K DEV tx off), or a firewall",
} as const;

function ofPeer(kind: Trouble["kind"], { underlay, overlay, mtu, wantedMtu, inbound }: PeerProbe): string {
  switch (kind) {
    case "down":
      return `does not answer: neither ${underlay} on the underlay nor ${overlay || "its overlay"}`;
    case "never-seen":
      return `has never answered, neither ${underlay} on the underlay nor ${overlay || "its overlay"}: its lease may be left over`;
    case "overlay-down":
      return `answers on the underlay (${underlay}), but not over the overlay (${overlay}): ${WAYS[inbound]}`;
    case "narrow":
      return `is reached by packets of at most ${mtu} bytes where ${wantedMtu} should pass: look at the MTU of the underlay there`;
    case "no-tcp":
      return "answers echoes, but no TCP: wrong checksums (ethtool -K DEV tx off), or a firewall";
  }
}

const WAYS = {
  arrives: "its packets arrive here, ours do not arrive there: the way from here to it is cut",
  silent: "none of its packets arrives here: its twilld, or the way from it to here is cut",
  unknown: "its twilld, or UDP between the nodes",
} as const;
