// What it costs to watch a node: `node test/bench/watch-cost.ts [PEERS] [SECONDS]`, as root, on a machine that does nothing
// else. A node with that many peers carries TCP from another one; pods measure the round trip beside it, in turns while nobody
// asks and while /metrics is read twice a second. Then twillctl status, cold, also with etcd black-holed. Built programs.
import { readFileSync } from "node:fs";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { HEALTHZ_PORT } from "../../pkg/lab/node.ts";
import { TWILLCTL } from "../../pkg/lab/programs.ts";
import { tcpThroughput } from "../../pkg/lab/throughput.ts";
import { flannelLeases } from "../flannel-leases.ts";
import { until } from "../until.ts";

const [peers = 1000, seconds = 40] = process.argv.slice(2).map(Number);
const PHASES = 4;
const STATUS_RUNS = 10;
// Half of what goes through on a small machine, so that there is a queue and still room.
const LOAD_BITS = 500_000_000;

const lab = await Lab.create({ config: { Network: "10.0.0.0/8", Backend: { Type: "vxlan" } }, nodes: 2, pods: 2 });
try {
  for (let i = 0; i < peers; i += 100)
    await lab.etcd.ctl(["txn"], { input: flannelLeases(lab.prefix, i, Math.min(100, peers - i)) });
  const node = lab.node(1);
  await until(async () => count(await page(node), "in-sync") > peers);
  const memory = rss(node);
  const options = { seconds, directory: lab.directory, bitrate: LOAD_BITS };
  const load = tcpThroughput(lab.pod(1, 2), lab.pod(2, 2), options);
  const trips: { quiet: number[]; scraped: number[] } = { quiet: [], scraped: [] };
  const scrapes: number[] = [];
  for (let i = 0; i < PHASES; i++) {
    const scraped = i % 2 === 1;
    const end = new AbortController();
    const scraping = scraped ? scrape(node, end.signal, scrapes) : Promise.resolve();
    trips[scraped ? "scraped" : "quiet"].push(...(await roundTrips(seconds / PHASES)));
    end.abort();
    await scraping;
  }
  await load;
  print(`round trip under ${LOAD_BITS / 1e6} Mbit/s of TCP, nobody asks`, trips.quiet, "ms");
  print("the same while /metrics is read twice a second", trips.scraped, "ms");
  print(`a scrape with ${peers} peers`, scrapes, "ms");
  console.log(`memory of twilld: ${memory} MB before, ${rss(node)} MB after`);
  print("twillctl status", await statusTimes(node), "ms");
  await lab.underlay.run([
    "nft",
    "table inet hole { chain in { type filter hook input priority raw; tcp dport 2379 drop; }; }",
  ]);
  print("twillctl status, etcd black-holed", await statusTimes(node), "ms");
} finally {
  await lab.close();
}

async function roundTrips(duration: number): Promise<number[]> {
  const argv = ["ping", "-n", "-i", "0.01", "-w", String(duration), lab.pod(2, 1).address];
  const { stdout } = await lab.pod(1, 1).netns.capture(argv, { timeout: duration * 1000 + 10_000 });
  return [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, text]) => Number(text));
}

/** Reads /metrics twice a second as Prometheus does, one reader for all. */
async function scrape(node: Node, signal: AbortSignal, times: number[]): Promise<void> {
  // The reader's own first request takes longer than anything that is measured here.
  const script = `await (await fetch("http://127.0.0.1:${HEALTHZ_PORT}/healthz")).text();
  for (;;) {
    const before = performance.now();
    await (await fetch("http://127.0.0.1:${HEALTHZ_PORT}/metrics")).text();
    console.log((performance.now() - before).toFixed(2));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }`;
  const log = `${lab.directory}/scrape-${times.length}.log`;
  const reader = await node.netns.start([process.execPath, "--input-type=module", "-e", script], {
    name: "scraper",
    log,
  });
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await reader.kill();
  times.push(...readFileSync(log, "utf8").trim().split("\n").map(Number));
}

async function page(node: Node): Promise<string> {
  return (await node.http("/metrics")).body;
}

function count(text: string, state: string): number {
  return Number(new RegExp(`^twill_peers\\{state="${state}"\\} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
}

function rss(node: Node): number {
  const text = readFileSync(`/proc/${node.twilld?.pid ?? 0}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024);
}

async function statusTimes(node: Node): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < STATUS_RUNS; i++) {
    const before = systemClock.now();
    await node.netns.capture([TWILLCTL, `--socket=${node.socket}`, "status"]);
    times.push(systemClock.now() - before);
    await sleep(systemClock, 100);
  }
  return times;
}

function print(what: string, values: readonly number[], unit: string): void {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(2);
  console.log(`${what}: p50 ${at(0.5)} ${unit}, p99 ${at(0.99)} ${unit}, most ${at(1)} ${unit} (${sorted.length})`);
}
