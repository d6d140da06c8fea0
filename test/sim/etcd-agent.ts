import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Agent } from "../../pkg/agent/agent.ts";
import { runAgent } from "../../pkg/agent/run-agent.ts";
import { seededRandom } from "../../pkg/base/backoff.ts";
import { systemClock } from "../../pkg/base/clock.ts";
import { MemoryLogger } from "../../pkg/base/logger.ts";
import { MemoryDataplane } from "../../pkg/dataplane/memory-dataplane.ts";
import { MemoryHost } from "../../pkg/host/memory-host.ts";
import { EtcdRegistry } from "../../pkg/subnet/etcd-registry.ts";
import { until } from "../until.ts";
import { addRoute, addUnderlay, agentConfig, PREFIX } from "./agent-config.ts";

export { PREFIX } from "./agent-config.ts";

// Faster than an agent's own, which is tested in pkg/subnet/etcd-faults.test.ts, but for the deadline of a call.
const TIMING = { probe: 1_000, relist: 300_000, confirm: 5_000 };

/** A real agent on a real etcd, with a host and a data plane in memory. */
export class EtcdAgent implements AsyncDisposable {
  readonly log = new MemoryLogger();
  /** The keys of the peers that each pass was asked for. */
  readonly passes: string[][] = [];
  readonly #dir = mkdtempSync(join(tmpdir(), "twill-agent-"));
  readonly #stop = new AbortController();
  readonly #registry: EtcdRegistry;
  readonly #ended: Promise<unknown>;
  #agent: Agent | undefined;

  /** Starts agent n, with 192.0.2.n on eth0, and waits until it can be asked. */
  static async start(n: number, endpoints: readonly string[]): Promise<EtcdAgent> {
    const deps = { clock: systemClock, random: seededRandom(n) };
    const agent = new EtcdAgent(n, await EtcdRegistry.open({ endpoints, prefix: PREFIX }, deps, TIMING));
    await until(() => agent.#agent !== undefined);
    return agent;
  }

  private constructor(n: number, registry: EtcdRegistry) {
    this.#registry = registry;
    const host = new MemoryHost();
    addUnderlay(host, `192.0.2.${n}/24`);
    addRoute(host, "0.0.0.0/0", "192.0.2.254");
    this.#ended = runAgent(
      {
        config: agentConfig(n, this.#dir, { leaseTtl: 60, renewMargin: 55 }),
        version: "0.0.0-test",
        pid: n,
        registry,
        host,
        openDataplane: (_, vtepMac) => this.#watched(new MemoryDataplane({ vni: 1, vtepMac })),
        services: [
          async (agent) => {
            this.#agent = agent;
          },
        ],
        clock: systemClock,
        random: seededRandom(n),
        log: this.log,
      },
      this.#stop.signal,
    ).catch((error: unknown) => error);
  }

  get agent(): Agent {
    if (!this.#agent) throw new Error("the agent does not run");
    return this.#agent;
  }

  get ready(): boolean {
    return this.agent.status().ready;
  }

  /** The key of its own lease. */
  get key(): string {
    const { lease } = this.agent.status();
    if (!lease) throw new Error("the agent has no lease");
    return lease.key;
  }

  /** The keys of the peers that the data plane has now. */
  get peers(): readonly string[] {
    return this.passes.at(-1) ?? [];
  }

  /** What was told of contact with etcd: "lost", "back". */
  get contact(): string[] {
    return this.log.lines.flatMap(({ level, sentence }) => {
      if (level === "debug" || !sentence.includes("contact")) return [];
      return [sentence.includes("lost") ? "lost" : "back"];
    });
  }

  /** Stops it. Throws what it ended with, if it was not told to. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const ending = await this.#ended;
    this.#registry.close();
    rmSync(this.#dir, { recursive: true, force: true });
    if (ending instanceof Error) throw ending;
  }

  #watched(plane: MemoryDataplane): MemoryDataplane {
    const reconcile = plane.reconcile.bind(plane);
    plane.reconcile = (want) => {
      this.passes.push(want.peers.map((peer) => peer.key));
      return reconcile(want);
    };
    return plane;
  }
}
