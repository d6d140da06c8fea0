import type { Daemon } from "../../../pkg/lab/daemon.ts";
import type { Lab } from "../../../pkg/lab/lab.ts";
import type { Netns } from "../../../pkg/lab/netns.ts";

/** Where traffic begins or ends. */
export interface End {
  readonly name: string;
  readonly netns: Netns;
  readonly address: string;
}

/** Two machines on the underlay, a pod on each, and what carries packets between the pods. */
export interface Testbed {
  /** The pod that connects. What goes from it to the server goes "→". */
  readonly client: End;
  readonly server: End;
  /** The machines; eth0 is on the underlay. */
  readonly machines: readonly Netns[];
  /** The processes that packets or the table of peers pass through; none where the kernel does everything. */
  readonly agents: readonly Daemon[];
  /** What the agents have logged at warning level or above, a sentence each. */
  complaints?(): string[];
}

/** One row of the tables: a way from pod to pod. */
export interface Configuration {
  readonly id: string;
  readonly title: string;
  /** Whether the underlay without offloads is measured too. */
  readonly wireLike: boolean;
  /** Without it the others cannot be judged, so that its failure ends the run. */
  readonly required: boolean;
  /** Sets it up. Throws where this machine cannot have it. */
  open(lab: Lab): Promise<Testbed>;
}

/** This machine lacks something that a configuration needs. The message is the sentence to show in the figures' place. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}
