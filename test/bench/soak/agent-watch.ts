import { readFileSync } from "node:fs";
import { systemClock } from "../../../pkg/base/clock.ts";
import type { Node } from "../../../pkg/lab/node.ts";
import { parseCollections } from "../measure/gc.ts";
import { readMemory } from "../measure/memory.ts";
import type { AgentReport } from "./report.ts";

const SAMPLE_MS = 1000;
// Not trouble but work.
const WORK = new Set(["tx_packets", "tx_bytes", "rx_packets", "rx_bytes", "rx_merged", "loop_turns"]);

/** Looks at a node's agent, started with --trace-gc, while others make it work. */
export class AgentWatch {
  readonly #node: Node;
  readonly #pid: number;
  readonly #start = systemClock.now();
  readonly #logOffset: number;
  readonly #samples: number[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(node: Node) {
    if (!node.twilld) throw new Error(`no twilld on ${node.name}`);
    this.#node = node;
    this.#pid = node.twilld.pid;
    this.#logOffset = node.logText().length;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#sample();
  }

  #sample(): void {
    this.#samples.push(readMemory([this.#pid])["agentRss"] ?? Number.NaN);
  }

  /** Looks no more. */
  stop(): void {
    clearInterval(this.#timer);
  }

  async end(): Promise<AgentReport> {
    this.#sample();
    this.stop();
    const samples = this.#samples;
    const loop = parseCollections(readFileSync(this.#node.log, "utf8"), this.#logOffset)[1];
    const counters = await this.#counters();
    return {
      node: this.#node.name,
      seconds: (systemClock.now() - this.#start) / 1000,
      rssEarly: samples[Math.floor(samples.length / 10)] ?? Number.NaN,
      rssEnd: samples.at(-1) ?? Number.NaN,
      rssMost: Math.max(...samples),
      minor: loop?.minor ?? 0,
      major: loop?.major ?? 0,
      packets: (counters["tx_packets"] ?? 0) + (counters["rx_packets"] ?? 0),
      trouble: Object.fromEntries(Object.entries(counters).filter(([name, count]) => count > 0 && !WORK.has(name))),
    };
  }

  async #counters(): Promise<Record<string, number>> {
    const { stdout } = await this.#node.ctl(["--json", "status"]);
    const { dataplane } = JSON.parse(stdout) as { dataplane: { counters: Record<string, string | number> } };
    return Object.fromEntries(Object.entries(dataplane.counters).map(([name, count]) => [name, Number(count)]));
  }
}
