import { sleep, systemClock } from "../../../pkg/base/clock.ts";
import type { Daemon } from "../../../pkg/lab/daemon.ts";
import type { Netns } from "../../../pkg/lab/netns.ts";

const PATIENCE_MS = 15_000;
const POLL_MS = 20;

/** Waits until it is so. Throws where that does not come, or where the agent it depends on has ended, with its last words. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  what: string,
  agent?: Daemon,
): Promise<void> {
  const deadline = systemClock.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (agent && !agent.running)
      throw new Error(`${agent.name} ${agent.describeEnding()}: ${agent.tail(3).join("; ")}`);
    if (systemClock.now() > deadline) throw new Error(`waited ${PATIENCE_MS / 1000} s for ${what}`);
    await sleep(systemClock, POLL_MS);
  }
}

export async function hasDevice(netns: Netns, device: string): Promise<boolean> {
  return (await netns.capture(["ip", "link", "show", device])).status === 0;
}

/** Whether what goes to the subnet ("10.250.1") is routed to another device than the underlay's. */
export async function hasOverlayRoute(netns: Netns, subnet: string): Promise<boolean> {
  const { status, stdout } = await netns.capture(["ip", "route", "get", `${subnet}.10`]);
  return status === 0 && !stdout.includes(" dev eth0");
}
