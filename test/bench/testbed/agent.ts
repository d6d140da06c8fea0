import { basename, join } from "node:path";
import type { Daemon } from "../../../pkg/lab/daemon.ts";
import type { Lab } from "../../../pkg/lab/lab.ts";
import type { UnderlayHost } from "../../../pkg/lab/underlay.ts";
import { waitUntil } from "./wait.ts";

/** Starts an overlay's agent and waits until it is up. Throws with the end of its log where that does not come. */
export async function startAgent(
  lab: Lab,
  machine: UnderlayHost,
  argv: readonly string[],
  isUp: () => boolean | Promise<boolean>,
): Promise<Daemon> {
  const name = `${basename(argv[0] ?? "")} on ${machine.name}`;
  const agent = await machine.netns.start(argv, { name, log: join(lab.directory, `agent-${machine.name}.log`) });
  await waitUntil(isUp, `${name} to start`, agent);
  return agent;
}
