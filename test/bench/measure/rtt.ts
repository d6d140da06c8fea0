import { sleep, systemClock } from "../../../pkg/base/clock.ts";
import type { Figures } from "../figures.ts";
import { mean, percentile } from "../statistics.ts";
import type { Testbed } from "../testbed/testbed.ts";
import { measureTcp, type TcpOptions } from "./tcp.ts";

const INTERVAL_S = 0.002;
const PER_SECOND = 1 / INTERVAL_S;
// What the load gets to reach its full rate.
const LOAD_MS = 300;
const LONGEST_MS = 30_000;

/** Round trips on an idle network, for `seconds`. */
export async function measureRtt(testbed: Testbed, seconds: number): Promise<Figures> {
  const times = await ping(testbed, Math.round(seconds * PER_SECOND));
  return { rttMean: mean(times), rttP99: percentile(times, 0.99) };
}

/** Round trips beside TCP streams that go the same way as the requests. */
export async function measureLoadedRtt(testbed: Testbed, options: TcpOptions): Promise<Figures> {
  const pings = async (): Promise<number[]> => {
    await sleep(systemClock, LOAD_MS);
    return ping(testbed, Math.round((options.seconds - (2 * LOAD_MS) / 1000) * PER_SECOND));
  };
  // Both are waited for, whichever fails: the next measurement must find the network idle.
  const [load, times] = await Promise.allSettled([measureTcp(testbed, options), pings()]);
  if (load.status === "rejected") throw load.reason;
  if (times.status === "rejected") throw times.reason;
  return { rttLoadedMean: mean(times.value), rttLoadedP99: percentile(times.value, 0.99) };
}

async function ping({ client, server }: Testbed, count: number): Promise<number[]> {
  const argv = ["ping", "-n", "-i", String(INTERVAL_S), "-c", String(Math.max(count, 10)), "-W", "1", server.address];
  // Status 1 only says that some were lost.
  const { stdout } = await client.netns.capture(argv, { timeout: LONGEST_MS });
  const times = parseRoundTrips(stdout);
  if (times.length === 0) throw new Error(`no ping from ${client.name} to ${server.name} came back`);
  return times;
}

/** The round trips that ping(8) lists, in microseconds. */
export function parseRoundTrips(text: string): number[] {
  // A duplicate is not a round trip of its own.
  return [...text.matchAll(/ time=([\d.]+) ms$/gm)].map((match) => Number(match[1]) * 1000);
}
