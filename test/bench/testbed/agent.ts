import { join } from "node:path";
import { sleep, systemClock } from "../../../pkg/base/clock.ts";
import type { Daemon } from "../../../pkg/lab/daemon.ts";
import type { Lab } from "../../../pkg/lab/lab.ts";
import type { UnderlayHost } from "../../../pkg/lab/underlay.ts";

const START_MS = 15_000;

export interface AgentCommand {
  readonly argv: readonly string[];
  /** The network device that the agent makes: once it is there, the agent has started. */
  readonly device: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts an overlay's agent and waits for its device. Throws with the end of its log where it does not come. */
export async function startAgent(lab: Lab, machine: UnderlayHost, command: AgentCommand): Promise<Daemon> {
  const { argv, device, env = {} } = command;
  const name = `${argv[0]} on ${machine.name}`;
  const daemon = await machine.netns.start(argv, { name, log: join(lab.directory, `agent-${machine.name}.log`), env });
  const deadline = systemClock.now() + START_MS;
  while ((await machine.netns.capture(["ip", "link", "show", device])).status !== 0) {
    if (!daemon.running || systemClock.now() > deadline) {
      const what = daemon.running ? `made no device ${device}` : daemon.describeEnding();
      throw new Error(`${name} ${what}: ${daemon.tail(3).join("; ")}`);
    }
    await sleep(systemClock, 20);
  }
  return daemon;
}
