import type { PeerProbe } from "../api/probe.ts";

/**
 * The mesh as the page draws it: what one or more agents say of it, put together. Plain JSON. Times are milliseconds since
 * 1970, 0 where they are not known; every text is free of control characters, and none of them is HTML.
 */
export interface Mesh {
  /** When it was put together. */
  readonly at: number;
  /** "10.244.0.0/16, vxlan, VNI 1, port 8472"; empty while no agent knows it. */
  readonly network: string;
  readonly agents: readonly AskedAgent[];
  /** Every node that an agent knows of, ordered by name. */
  readonly nodes: readonly MeshNode[];
  /** The ids of the nodes that map and matrix show: all of them, or in a large mesh those that matter most. */
  readonly charted: readonly string[];
  /** Between charted nodes, both ways, wherever an asked agent is at one of the ends. */
  readonly ways: readonly Way[];
  /** What is wrong, the gravest first. */
  readonly troubles: readonly Trouble[];
  /** What happened, the newest first. */
  readonly events: readonly MeshEvent[];
}

/** An agent whose socket twillctl was given. */
export interface AskedAgent {
  readonly socket: string;
  /** The id of its node; empty while it has not said it. */
  readonly node: string;
  readonly answers: boolean;
  /** Since when it has been as it is now. */
  readonly since: number;
  /** Why it does not answer; empty while it does. */
  readonly error: string;
}

/**
 * "ready" and "not-ready" are what its agent says, "silent" is an agent that was asked and does not answer. Of a node whose
 * agent was not asked the others' echoes tell: "answers", "cut-off" (only on the underlay), "down", or nothing yet.
 */
export type NodeState = "ready" | "not-ready" | "silent" | "answers" | "cut-off" | "down" | "unknown";

export interface MeshNode {
  /** The key of its lease, or its agent's socket while it has none. */
  readonly id: string;
  readonly name: string;
  readonly subnets: readonly string[];
  readonly addresses: readonly string[];
  /** "tun", "kernel", "host-gw"; empty for a node that does not say it: flannel's. */
  readonly plane: string;
  readonly state: NodeState;
  /** Since when, where it is known. */
  readonly since: number;
  /** What its agent says of itself; absent for a node whose agent was never heard. */
  readonly self: SelfView | null;
  /** What it sends and receives through the overlay, as far as an agent at either end counts it. */
  readonly txBytesPerSecond: number;
  readonly rxBytesPerSecond: number;
}

export interface SelfView {
  readonly version: string;
  readonly startedAt: number;
  readonly problems: readonly string[];
  readonly underlay: string;
  readonly mtus: readonly number[];
  /** The rung of its offloads; empty where it has none. */
  readonly rung: string;
  /** "connected", or why not. */
  readonly etcd: string;
  readonly leaseExpiresAt: number;
  /** Packets that its data plane dropped since it was opened, by the counter's name, the most first. */
  readonly drops: readonly Drop[];
}

export interface Drop {
  readonly reason: string;
  readonly count: number;
  readonly perSecond: number;
}

/**
 * "broken": what is sent does not arrive. "unanswered": echoes do not come back, and which direction loses them is not known.
 * "down": the other node answers neither here nor on the underlay. "degraded": it works, but not as it should.
 */
export type WayState = "up" | "degraded" | "broken" | "unanswered" | "down" | "unknown";

/** One direction between two nodes. */
export interface Way {
  readonly from: string;
  readonly to: string;
  readonly state: WayState;
  /** What is wrong with it, in words; empty for "up" and "unknown". */
  readonly why: string;
  readonly since: number;
  /** What `from` measured: there and back again. Absent where its agent was not asked or is silent. */
  readonly echo: Omit<PeerProbe, "key"> | null;
  /** Whether the sending or the receiving node counts it: the kernel's plane does not. */
  readonly counted: boolean;
  readonly bytesPerSecond: number;
  readonly packetsPerSecond: number;
  /** Since the data plane was opened. */
  readonly bytes: number;
  readonly packets: number;
}

export interface Trouble {
  readonly severity: "error" | "warning";
  readonly text: string;
  /** Since when; 0 where it is not known. */
  readonly since: number;
  /** The node it is about, or the ends of a way. */
  readonly nodes: readonly string[];
}

export interface MeshEvent {
  /** Different for each. */
  readonly id: string;
  readonly at: number;
  readonly level: "info" | "warn" | "error";
  /** Who says it: a node's name, or "twillctl". */
  readonly from: string;
  readonly text: string;
  /** The facts of a log line, as JSON; empty where there are none. */
  readonly facts: string;
}
