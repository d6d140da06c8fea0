import { systemClock } from "../../pkg/base/clock.ts";
import { ConfigError } from "../../pkg/base/errors.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { obstacles } from "../../pkg/lab/preflight.ts";
import type { UpCommand } from "./arguments.ts";
import { Progress, type Screen } from "./progress.ts";
import { report } from "./report.ts";

export const DEFAULT_NAME = "lab";

export interface UpOptions {
  readonly screen: Screen;
  /** Stops the lab, or gives its start up. */
  readonly signal: AbortSignal;
  /** Called once the lab is up and was shown to work, or not to. */
  readonly onUp?: (healthy: boolean) => void;
}

/** Runs a lab until the signal aborts. Resolves to whether everything that was tried in it worked. */
export async function up(command: UpCommand, options: UpOptions): Promise<boolean> {
  const { screen, signal } = options;
  const problems = await obstacles({ tun: command.dataplane === "tun" });
  if (problems.length > 0) throw new ConfigError(problems);
  const startedAt = systemClock.now();
  const progress = new Progress(screen, systemClock);
  const name = command.name ?? DEFAULT_NAME;
  screen.write(`Starting ${name}: ${plural(command.nodes, "node")} with ${plural(command.pods, "pod")} each\n`);
  let lab: Lab | undefined;
  try {
    lab = await Lab.create({
      name,
      nodes: command.nodes,
      pods: command.pods,
      config: { Network: command.network, Backend: { Type: "vxlan" } },
      mtu: command.mtu,
      args: [`--dataplane=${command.dataplane}`, ...command.twilldArgs],
      onProgress: progress.show,
      signal,
    });
    watch(lab, screen, signal);
    const healthy = await report(lab, screen, progress);
    const seconds = ((systemClock.now() - startedAt) / 1000).toFixed(1);
    screen.write(`\n${healthy ? "Everything works" : "Not everything works"}, ${seconds} s after the start.\n`);
    options.onUp?.(healthy);
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
    return healthy;
  } catch (error) {
    // What fails once the lab is being stopped fails because of that.
    if (!signal.aborted) throw error;
    return false;
  } finally {
    progress.interrupt();
    await lab?.close();
  }
}

// A process that ends while nobody stops it is news.
function watch(lab: Lab, screen: Screen, signal: AbortSignal): void {
  for (const daemon of [lab.etcd.daemon, ...lab.nodes.map((node) => node.twilld)]) {
    void daemon?.ended.then(() => {
      if (signal.aborted) return;
      screen.write(`${daemon.name} ${daemon.describeEnding()}; the end of ${daemon.log}:\n`);
      for (const line of daemon.tail()) screen.write(`  ${line}\n`);
    });
  }
}

function plural(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}
