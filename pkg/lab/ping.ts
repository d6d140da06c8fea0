import type { Netns } from "./netns.ts";

/** How many echo requests came back. */
export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Mean round trip in milliseconds; undefined where nothing came back. */
  readonly rtt: number | undefined;
}

/** A place that pings. */
export interface Source {
  readonly name: string;
  readonly netns: Pick<Netns, "capture" | "run">;
}

/** A place that pings, or that is pinged. */
export interface Endpoint extends Source {
  readonly netns: Netns;
}

export interface Target {
  readonly name: string;
  readonly address: string;
}

/** From whom to whom: `results[row][column]`, undefined where both are the same. */
export interface PingMatrix {
  readonly sources: readonly string[];
  readonly targets: readonly string[];
  readonly results: readonly (readonly (PingResult | undefined)[])[];
}

const COUNT = 3;
const INTERVAL_S = 0.2;
const WAIT_S = 2;
// Sources that ping at the same time. Each pings all its targets at once.
const WORKERS = 8;
const FIRST_REPLY_S = 10;

// One line for each target, written whole: pings that run side by side must not mix their output.
const PING_ALL = `
for target in "$@"; do
  { out=$(ping -n -q -c ${COUNT} -i ${INTERVAL_S} -W ${WAIT_S} "$target" 2>&1 | tr '\\n' ' '); printf '%s %s\\n' "$target" "$out"; } &
done
wait
`;

// ping -w with -c 1 goes on until the first reply, whatever was lost before.
const FIRST_REPLIES = `
for target in "$@"; do
  { ping -n -q -i ${INTERVAL_S} -c 1 -w ${FIRST_REPLY_S} "$target" >/dev/null 2>&1 || echo "$target"; } &
done
wait
`;

/**
 * Waits until every source has had one reply from every target: until all nodes have learnt of each other. Resolves to
 * the pairs that had none.
 */
export async function firstReplies(sources: readonly Source[], targets: readonly Target[]): Promise<string[]> {
  const silent = await Promise.all(
    sources.map(async (source) => {
      const others = targets.filter((target) => target.name !== source.name);
      const argv = ["sh", "-c", FIRST_REPLIES, "ping", ...others.map((target) => target.address)];
      const { stdout } = await source.netns.run(argv);
      const missing = stdout.split("\n");
      return others.filter((target) => missing.includes(target.address)).map((t) => `${source.name} -> ${t.name}`);
    }),
  );
  return silent.flat();
}

/** Pings every target from every source, a few packets each. A source is not asked to ping itself. */
export async function pingMatrix(sources: readonly Source[], targets: readonly Target[]): Promise<PingMatrix> {
  const results: (readonly (PingResult | undefined)[])[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let row = next++; row < sources.length; row = next++) {
      const source = sources[row];
      if (source) results[row] = await pingAll(source, targets);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  return { sources: sources.map((s) => s.name), targets: targets.map((t) => t.name), results };
}

async function pingAll(source: Source, targets: readonly Target[]): Promise<(PingResult | undefined)[]> {
  const others = targets.filter((target) => target.name !== source.name).map((target) => target.address);
  const { stdout } = await source.netns.capture(["sh", "-c", PING_ALL, "ping", ...others]);
  const lines = new Map(stdout.split("\n").map((line) => [line.slice(0, line.indexOf(" ")), line]));
  return targets.map((target) =>
    target.name === source.name ? undefined : parsePing(lines.get(target.address) ?? "", COUNT),
  );
}

/** Reads the summary of ping(8). What has none, such as "Network is unreachable", has lost all of `count` packets. */
export function parsePing(text: string, count: number): PingResult {
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(text);
  const times = /= [\d.]+\/([\d.]+)\//.exec(text);
  return {
    sent: counts ? Number(counts[1]) : count,
    received: counts ? Number(counts[2]) : 0,
    rtt: times ? Number(times[1]) : undefined,
  };
}

/** How many of all packets were lost. */
export function lostPackets(matrix: PingMatrix): { readonly sent: number; readonly lost: number } {
  let sent = 0;
  let lost = 0;
  for (const result of matrix.results.flat()) {
    sent += result?.sent ?? 0;
    lost += result ? result.sent - result.received : 0;
  }
  return { sent, lost };
}
