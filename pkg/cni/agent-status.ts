import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { errorCode } from "../base/errors.ts";

/**
 * What the agent says to the CNI plugin, which cannot ask it: a container runtime must get an answer even while the
 * agent is down.
 *
 *   ready      pods may be attached
 *   not-ready  no new pods for now; those that run are well
 *   limited    no new pods for now; those that run may have lost part of the network
 *   conflict   no new pods until a person has solved what the message says
 */
export type AgentState = "ready" | "not-ready" | "limited" | "conflict";

export interface AgentStatus {
  readonly state: AgentState;
  /** A sentence for the operator: what is so and, unless ready, what to do. */
  readonly message: string;
  /** ISO 8601 in UTC: when the agent wrote this. */
  readonly updatedAt: string;
}

const STATES: readonly unknown[] = ["ready", "not-ready", "limited", "conflict"] satisfies AgentState[];

export function agentStatusPath(runDir: string): string {
  return join(runDir, "cni-status.json");
}

/** Replaces `<runDir>/cni-status.json` (mode 0644, directory 0755). Throws the system's error. */
export function writeAgentStatus(
  runDir: string,
  status: Pick<AgentStatus, "state" | "message">,
  clock: Clock = systemClock,
): void {
  const { state, message } = status;
  const full: AgentStatus = { state, message, updatedAt: new Date(clock.wall()).toISOString() };
  writeFileAtomic(agentStatusPath(runDir), `${JSON.stringify(full)}\n`, { mode: 0o644, dirMode: 0o755 });
}

/**
 * Reads `<runDir>/cni-status.json`; undefined when there is none, as where flanneld wrote subnet.env. Throws an Error
 * that names the file when it cannot be read or is not an AgentStatus.
 */
export function readAgentStatus(runDir: string): AgentStatus | undefined {
  const path = agentStatusPath(runDir);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw new Error(`cannot read ${path}`, { cause: error });
  }
  let status: unknown;
  try {
    status = JSON.parse(text);
  } catch (error) {
    throw new Error(`cannot decode ${path}; restart twilld, which writes it again`, { cause: error });
  }
  if (!isAgentStatus(status)) {
    throw new Error(`${path} is not an agent status; restart twilld, which writes it again`);
  }
  return status;
}

function isAgentStatus(value: unknown): value is AgentStatus {
  if (typeof value !== "object" || value === null) return false;
  const { state, message, updatedAt } = value as Record<string, unknown>;
  return STATES.includes(state) && typeof message === "string" && typeof updatedAt === "string";
}
