import type { Rung } from "../../../pkg/dataplane/tun/offload.ts";
import type { Machine } from "../machine.ts";

/** What a soak has found. */
export interface SoakReport {
  readonly date: string;
  readonly commit: string | undefined;
  readonly modified: boolean;
  readonly version: string;
  readonly machine: Machine;
  /** Bytes that every transfer carries over a good wire. */
  readonly bytes: number;
  readonly rungs: readonly RungReport[];
}

export interface RungReport {
  readonly rung: Rung;
  /** Why it could not be tried; the rest is empty then. */
  readonly unavailable?: string;
  readonly transfers: readonly TransferReport[];
  readonly agents: readonly AgentReport[];
  /** TcpInCsumErrors of all pods. */
  readonly checksumErrors: number;
}

export interface TransferReport {
  /** "twill → twill", "kernel → twill". */
  readonly way: string;
  readonly family: 4 | 6;
  /** What the wire did: "none", "drops 1 %". */
  readonly faults: string;
  readonly bytes: number;
  readonly seconds: number;
  /** Whether the receiver's SHA-256 is the sender's. */
  readonly intact: boolean;
}

export interface AgentReport {
  readonly node: string;
  readonly seconds: number;
  /** Resident memory in MB: after a tenth of the time, at the end, and the most that was seen. */
  readonly rssEarly: number;
  readonly rssEnd: number;
  readonly rssMost: number;
  /** Collections of the packet loop's thread. */
  readonly minor: number;
  readonly major: number;
  /** Packets that were carried, both ways. */
  readonly packets: number;
  /** Drops and other trouble by the packet loop's names, those above 0. */
  readonly trouble: Readonly<Record<string, number>>;
}

/** Whether everything came as it was sent. */
export function soakPassed({ rungs }: SoakReport): boolean {
  return rungs.every(
    ({ transfers, checksumErrors }) => checksumErrors === 0 && transfers.every(({ intact }) => intact),
  );
}
