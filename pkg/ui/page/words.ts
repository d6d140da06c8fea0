import { bytes, span } from "../../base/amounts.ts";
import type { Mesh, MeshNode, NodeState, Way, WayState } from "../mesh.ts";

/** A state is told by a word and a sign, never by a colour alone. */
export interface Words {
  readonly word: string;
  readonly sign: string;
  readonly tone: "ok" | "warn" | "bad" | "none";
}

export const WAY_WORDS: Readonly<Record<WayState, Words>> = {
  up: { word: "works", sign: "✓", tone: "ok" },
  degraded: { word: "degraded", sign: "!", tone: "warn" },
  broken: { word: "broken", sign: "✕", tone: "bad" },
  unanswered: { word: "no answer", sign: "✕", tone: "bad" },
  down: { word: "down", sign: "✕", tone: "bad" },
  unknown: { word: "not known", sign: "·", tone: "none" },
};

export const NODE_WORDS: Readonly<Record<NodeState, Words>> = {
  ready: { word: "ready", sign: "✓", tone: "ok" },
  "not-ready": { word: "not ready", sign: "✕", tone: "bad" },
  silent: { word: "agent silent", sign: "✕", tone: "bad" },
  answers: { word: "answers", sign: "✓", tone: "ok" },
  "cut-off": { word: "underlay only", sign: "✕", tone: "bad" },
  down: { word: "down", sign: "✕", tone: "bad" },
  unknown: { word: "not heard yet", sign: "·", tone: "none" },
};

export function perSecond(count: number): string {
  return `${bytes(BigInt(Math.round(count)))}/s`;
}

export function amount(count: number): string {
  return bytes(BigInt(Math.round(count)));
}

/** "0.42": three digits are all that a round trip is worth. */
export function milliseconds(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);
}

/** Of the last echoes, in per cent. */
export function loss({ sent, lost }: { readonly sent: number; readonly lost: number }): string {
  return sent > 0 ? `${Math.round((100 * lost) / sent)} %` : "–";
}

/** "14:02:11", in the time of whoever looks. */
export function clock(at: number): string {
  return new Date(at).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23" as const,
  });
}

/** "for 12 s, since 14:02:11"; empty where it is not known. */
export function duration(since: number, now: number): string {
  return since > 0 ? `for ${span(now - since)}, since ${clock(since)}` : "";
}

export function nodeWords({ state, since }: MeshNode, now: number): string {
  const { word } = NODE_WORDS[state];
  return since > 0 && NODE_WORDS[state].tone === "bad" ? `${word} ${duration(since, now)}` : word;
}

/** The way between two nodes; undefined where no agent knows it. */
export function wayOf(mesh: Mesh, from: string, to: string): Way | undefined {
  return mesh.ways.find((way) => way.from === from && way.to === to);
}

export function nameOf(mesh: Mesh, id: string): string {
  return mesh.nodes.find((node) => node.id === id)?.name ?? id;
}
