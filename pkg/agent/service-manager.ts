import { type Clock, sleep } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { PacketLoops } from "./packet-loops.ts";

/** What the service manager is told about, asked several times a second. */
export interface Supervised {
  /** Whether the control loops run and get on. */
  live(): boolean;
  ready(): { readonly ready: boolean; readonly reason: string };
  /** How often each packet loop has turned: each rises at least once a second. None in the planes of the kernel. */
  turns(): readonly number[];
}

/** What the service manager asked for in our environment, sd_notify(3) and sd_watchdog_enabled(3). */
export interface ManagerWishes {
  readonly socket: string;
  /** Milliseconds without a sign of life after which it restarts us; undefined for never. */
  readonly watchdogMs: number | undefined;
}

/** Undefined where no service manager wants to be told. `pid` is ours. */
export function managerWishes(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): ManagerWishes | undefined {
  const socket = env["NOTIFY_SOCKET"];
  if (socket === undefined || socket === "") return undefined;
  const ours = env["WATCHDOG_PID"] === undefined || env["WATCHDOG_PID"] === String(pid);
  const watchdogMs = Number(env["WATCHDOG_USEC"]) / 1000;
  return { socket, watchdogMs: ours && watchdogMs > 0 ? watchdogMs : undefined };
}

// Until pods may be attached somebody waits for it: container runtimes, at boot.
const STARTING_MS = 100;
const RUNNING_MS = 1_000;
// A packet loop without traffic turns once a second; one that has not for longer than this is not fed for.
const LEAST_PATIENCE_MS = 2_000;

/**
 * Tells the service manager that pods may be attached (READY, once), how things stand (STATUS, at every change), that both
 * the control loops and the packet loops get on (WATCHDOG) and that we stop (STOPPING), until the signal aborts. This runs
 * on the control thread's event loop, so one that hangs tells nothing.
 */
export async function tellManager(
  agent: Supervised,
  options: {
    readonly watchdogMs: number | undefined;
    /** Sends the lines in one datagram; throws where it cannot. */
    readonly send: (text: string) => void;
    readonly clock: Clock;
    readonly log: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  const { watchdogMs, clock } = options;
  const packetLoops = new PacketLoops(Math.max(LEAST_PATIENCE_MS, (watchdogMs ?? 0) / 4));
  const period = watchdogMs === undefined ? RUNNING_MS : Math.min(RUNNING_MS, watchdogMs / 4);
  let announced = false;
  let status = "";
  let trouble: string | undefined;
  let starved = false;
  const tell = (lines: readonly string[]): boolean => {
    if (lines.length === 0) return true;
    try {
      options.send(lines.join("\n"));
      trouble = undefined;
      return true;
    } catch (error) {
      const reason = describeError(error);
      if (reason !== trouble) options.log.warn("cannot tell the service manager, will retry", { reason });
      trouble = reason;
      return false;
    }
  };
  while (!signal.aborted) {
    const { ready, reason } = agent.ready();
    const stuck = watchdogMs === undefined ? undefined : stuckPart(agent, packetLoops, clock.now());
    if (stuck !== undefined && !starved) options.log.error("stuck, waiting to be restarted", { reason: stuck });
    starved = stuck !== undefined;
    const now = oneLine(stuck === undefined ? reason : `stuck: ${stuck}`);
    const lines = [
      ...(ready && !announced ? ["READY=1"] : []),
      ...(now === status ? [] : [`STATUS=${now}`]),
      ...(watchdogMs === undefined || starved ? [] : ["WATCHDOG=1"]),
    ];
    if (tell(lines)) {
      announced ||= ready;
      status = now;
    }
    await sleep(clock, announced ? period : Math.min(STARTING_MS, period), signal);
  }
  tell(["STOPPING=1", "STATUS=stopping"]);
}

function stuckPart(agent: Supervised, packetLoops: PacketLoops, now: number): string | undefined {
  if (!agent.live()) return "the control loop does not get on";
  return packetLoops.move(agent.turns(), now) ? undefined : "a packet loop does not turn";
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
