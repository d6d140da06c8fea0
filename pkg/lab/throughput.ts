import { join } from "node:path";
import { sleep, systemClock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import { CommandError, type Output } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import type { Endpoint } from "./ping.ts";
import { isListening } from "./proc.ts";

const PORT = 5201;
const LISTEN_MS = 3000;

interface Report {
  readonly error?: string;
  readonly end?: { readonly sum_received?: { readonly bits_per_second?: number } };
}

export interface ThroughputOptions {
  readonly seconds: number;
  /** Takes the server's log. */
  readonly directory: string;
  /** Streams side by side; 1 where it is left out. */
  readonly streams?: number;
  /** Bits per second that are offered at most; without it as many as go through. */
  readonly bitrate?: number;
  /** Data runs from `to` to `from`, on connections that `from` opened all the same. */
  readonly reverse?: boolean;
}

/**
 * TCP by iperf3 from one pod to another, in bits per second of all streams together, as the receiver counted them.
 * Throws with iperf3's words where it fails.
 */
export async function tcpThroughput(
  from: Endpoint,
  to: Endpoint & { readonly address: string },
  options: ThroughputOptions,
): Promise<number> {
  const server = await to.netns.start(["iperf3", "--server", "--one-off", "--port", String(PORT)], {
    name: `iperf3 in ${to.name}`,
    log: join(options.directory, `iperf3-${to.name}.log`),
  });
  try {
    await listening(server);
    const argv = iperfClient(to.address, { port: PORT, ...options });
    const output = await from.netns.capture(argv, { timeout: options.seconds * 1000 + 10_000 });
    try {
      return iperfRate(argv, output);
    } catch (cause) {
      throw new Error(`iperf3 from ${from.name} to ${to.name}: ${describeError(cause)}`, { cause });
    }
  } finally {
    await server.kill();
  }
}

/** What an iperf3 client is told. */
export interface IperfOptions {
  readonly port: number;
  readonly seconds: number;
  readonly streams?: number;
  readonly bitrate?: number;
  readonly reverse?: boolean;
}

/** The command line of an iperf3 that measures and reports for `iperfRate`. */
export function iperfClient(address: string, { port, seconds, streams = 1, bitrate, reverse }: IperfOptions): string[] {
  const argv = ["iperf3", "--client", address, "--port", String(port), "--time", String(seconds)];
  const rate = bitrate === undefined ? [] : ["--bitrate", String(bitrate)];
  return [...argv, "--parallel", String(streams), ...rate, ...(reverse === true ? ["--reverse"] : []), "--json"];
}

/** Bits per second, as the receiver counted them. Throws with iperf3's words where it failed. */
export function iperfRate(argv: readonly string[], output: Output): number {
  const report = parseReport(output.stdout);
  const rate = report.end?.sum_received?.bits_per_second;
  if (rate === undefined || report.error !== undefined) {
    throw new Error(report.error ?? new CommandError(argv, output).message);
  }
  return rate;
}

// A server that is asked too early would refuse the connection.
async function listening(server: Daemon): Promise<void> {
  const deadline = systemClock.now() + LISTEN_MS;
  while (server.running && !isListening(server.pid, PORT) && systemClock.now() < deadline) {
    await sleep(systemClock, 10);
  }
}

function parseReport(text: string): Report {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return {};
  }
}
