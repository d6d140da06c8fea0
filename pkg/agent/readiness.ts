import { rmSync } from "node:fs";
import type { Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Fields, Logger } from "../base/logger.ts";
import { type AgentState, readAgentStatus, writeAgentStatus } from "../cni/agent-status.ts";
import { writeSubnetEnv } from "../subnetenv/file.ts";
import type { SubnetEnv } from "../subnetenv/subnet-env.ts";

/** Why no pod may be attached now. */
export interface Blocker {
  readonly state: Exclude<AgentState, "ready">;
  readonly message: string;
}

/**
 * Tells this node's container runtimes whether pods may be attached: subnet.env, whose existence is the sign for flannel's
 * plugin, and cni-status.json for ours. Both are compared with the disk each time and put back when somebody has deleted
 * or changed them. subnet.env comes before the status, and stays when the node is not ready: pods that run need it.
 */
export class Readiness {
  readonly #subnetFile: string;
  readonly #runDir: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #told: string | undefined;
  #written = "";
  #statusProblem: string | undefined;
  #stopped = false;

  /** Why pods may not be attached; undefined while they may. */
  blocker: Blocker | undefined = { state: "not-ready", message: "twilld is starting" };

  constructor(options: {
    readonly subnetFile: string;
    readonly runDir: string;
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#subnetFile = options.subnetFile;
    this.#runDir = options.runDir;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Why cni-status.json could not be written. */
  get problem(): string | undefined {
    return this.#statusProblem;
  }

  /** Pods may be attached, with these values, once they are written. `facts` go into the log when that is news. */
  open(env: SubnetEnv, facts: Fields): void {
    if (this.#stopped) return;
    try {
      this.#writeSubnetEnv(env);
    } catch (error) {
      return this.close({ state: "not-ready", message: describeError(error) });
    }
    this.blocker = undefined;
    this.#writeStatus("ready", "pods may be attached");
    if (this.#told !== "") this.#log.info("ready", facts);
    this.#told = "";
  }

  /** No pod may be attached. Told in the log once per reason after the node was ready. */
  close(blocker: Blocker): void {
    if (this.#stopped) return;
    this.blocker = blocker;
    this.#writeStatus(blocker.state, blocker.message);
    // What happens on the way up is told where it happens.
    if (this.#told !== undefined && this.#told !== blocker.message) {
      this.#log.warn("not ready, no new pods", { reason: blocker.message });
    }
    if (this.#told !== undefined) this.#told = blocker.message;
  }

  /** The last word of this run; only the first counts. */
  stop(blocker: Blocker): void {
    if (this.#stopped) return;
    this.blocker = blocker;
    this.#writeStatus(blocker.state, blocker.message);
    this.#stopped = true;
  }

  /** Removes subnet.env for a node that leaves for good. Throws an Error that names it. */
  remove(): void {
    try {
      rmSync(this.#subnetFile, { force: true });
    } catch (error) {
      throw new Error(`cannot remove ${this.#subnetFile}`, { cause: error });
    }
  }

  #writeSubnetEnv(env: SubnetEnv): void {
    const text = JSON.stringify(env, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    const changed = writeSubnetEnv(this.#subnetFile, env);
    if (changed && this.#written === text) {
      this.#log.warn("somebody changed or removed subnet.env, written again", { path: this.#subnetFile });
    }
    this.#written = text;
  }

  #writeStatus(state: AgentState, message: string): void {
    try {
      const current = this.#readStatus();
      if (current?.state !== state || current.message !== message) {
        writeAgentStatus(this.#runDir, { state, message }, this.#clock);
      }
      this.#statusProblem = undefined;
    } catch (error) {
      const problem = `cannot tell the CNI plugin: ${describeError(error)}`;
      if (problem !== this.#statusProblem) this.#log.warn("cannot write cni-status.json", { err: error });
      this.#statusProblem = problem;
    }
  }

  // One that cannot be read is one to be replaced.
  #readStatus(): { readonly state: AgentState; readonly message: string } | undefined {
    try {
      return readAgentStatus(this.#runDir);
    } catch {
      return undefined;
    }
  }
}
