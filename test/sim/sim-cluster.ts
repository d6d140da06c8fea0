import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Agent, Ending } from "../../pkg/agent/agent.ts";
import type { AgentConfig } from "../../pkg/agent/config.ts";
import { runAgent } from "../../pkg/agent/run-agent.ts";
import { seededRandom } from "../../pkg/base/backoff.ts";
import { FakeClock } from "../../pkg/base/fake-clock.ts";
import { MemoryLogger } from "../../pkg/base/logger.ts";
import { type AgentStatus, readAgentStatus } from "../../pkg/cni/agent-status.ts";
import type { Want } from "../../pkg/dataplane/dataplane.ts";
import { MemoryDataplane } from "../../pkg/dataplane/memory-dataplane.ts";
import { MemoryHost } from "../../pkg/host/memory-host.ts";
import { MemoryEtcd } from "../../pkg/subnet/memory-etcd.ts";
import { MemoryRegistry } from "../../pkg/subnet/memory-registry.ts";
import { readSubnetEnv } from "../../pkg/subnetenv/file.ts";
import type { SubnetEnv } from "../../pkg/subnetenv/subnet-env.ts";
import { addRoute, addUnderlay, agentConfig, PREFIX } from "./agent-config.ts";

export { PREFIX } from "./agent-config.ts";

/** A whole cluster in one process: real agents on an etcd, hosts, data planes and a clock in memory. */
export class SimCluster {
  readonly clock = new FakeClock();
  readonly etcd = new MemoryEtcd(this.clock);
  readonly #dir = mkdtempSync(join(tmpdir(), "sim-"));
  readonly #nodes: SimNode[] = [];

  config(text = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}'): void {
    this.etcd.put(`${PREFIX}/config`, text);
  }

  /** Node n has 192.0.2.n and 2001:db8::n on eth0. */
  node(n: number, changes: Partial<AgentConfig> = {}): SimNode {
    const node = new SimNode(this, n, join(this.#dir, `node${n}`), changes);
    this.#nodes.push(node);
    return node;
  }

  /** Stops everything. Returns how many timers are left: each is a leak. */
  async end(): Promise<number> {
    for (const node of this.#nodes) if (node.running) await node.stop();
    this.etcd.close();
    rmSync(this.#dir, { recursive: true, force: true });
    return this.clock.pending;
  }

  /** The subnet leases as etcdctl would show them: key to value. */
  leases(): Record<string, Record<string, unknown>> {
    const stored = this.etcd.range(`${PREFIX}/`).filter(({ key }) => key.includes("subnets/"));
    return Object.fromEntries(stored.map(({ key, value }) => [key.slice(PREFIX.length + 1), JSON.parse(value)]));
  }
}

export class SimNode {
  readonly host = new MemoryHost();
  readonly config: AgentConfig;
  readonly #cluster: SimCluster;
  readonly #n: number;
  /** Everything logged since the last start. */
  log = new MemoryLogger();
  registry: MemoryRegistry;
  /** The data plane opened last, and every one of them. */
  readonly planes: MemoryDataplane[] = [];
  /** Called with each data plane before it is opened. */
  prepare: (plane: MemoryDataplane) => void = () => undefined;
  /** Called with every info line. */
  onLog: (sentence: string) => void = () => undefined;
  #agent: Agent | undefined;
  #stop = new AbortController();
  #ended: Promise<Ending | Error> | undefined;
  #result: Ending | Error | undefined;

  constructor(cluster: SimCluster, n: number, dir: string, changes: Partial<AgentConfig>) {
    this.#cluster = cluster;
    this.#n = n;
    this.registry = new MemoryRegistry(cluster.etcd, PREFIX);
    this.config = agentConfig(n, dir, changes);
    this.setAddress(`192.0.2.${n}/24`, `2001:db8::${n}/64`);
    this.route("0.0.0.0/0", "192.0.2.254");
    this.route("::/0", "2001:db8::ff");
  }

  get running(): boolean {
    return this.#ended !== undefined && this.#result === undefined;
  }

  get agent(): Agent {
    if (!this.#agent) throw new Error("the agent was never started");
    return this.#agent;
  }

  /** Whether it says that pods may be attached. */
  get ready(): boolean {
    return this.agent.status().ready;
  }

  /** The key of its own lease, as it knows it. */
  get key(): string {
    const key = this.agent.status().lease?.key;
    if (key === undefined) throw new Error("the node has no lease");
    return key;
  }

  get plane(): MemoryDataplane {
    const plane = this.planes.at(-1);
    if (!plane) throw new Error("no data plane was opened");
    return plane;
  }

  /** What the data plane was last programmed with, peers by the subnet in their key. */
  get programmed(): { own: string; peers: string[] } | undefined {
    const want: Want | undefined = this.planes.at(-1)?.programmed;
    return want && { own: want.own.key, peers: want.peers.map((peer) => peer.key) };
  }

  get subnetEnv(): SubnetEnv | undefined {
    return readSubnetEnv(this.config.subnetFile);
  }

  get cni(): AgentStatus | undefined {
    return readAgentStatus(this.config.runDir);
  }

  /** Replaces the addresses of eth0. */
  setAddress(...addresses: readonly string[]): void {
    if (this.#hasEth0) void this.host.apply([{ kind: "delete-link", dev: "eth0" }]);
    addUnderlay(this.host, ...addresses);
    this.#hasEth0 = true;
  }
  #hasEth0 = false;

  route(dst: string, via: string): void {
    addRoute(this.host, dst, via);
  }

  /** Starts the agent and lets it do what it can without waiting. */
  async start(): Promise<void> {
    const { clock, etcd } = this.#cluster;
    const log = new MemoryLogger();
    const info = log.info.bind(log);
    log.info = (sentence, fields) => {
      info(sentence, fields);
      this.onLog(sentence);
    };
    this.log = log;
    this.registry = new MemoryRegistry(etcd, PREFIX);
    this.#stop = new AbortController();
    this.#result = undefined;
    this.#ended = runAgent(
      {
        config: this.config,
        version: "0.0.0-test",
        pid: 1000 + this.#n,
        registry: this.registry,
        host: this.host,
        openDataplane: ({ backend }, vtepMac) => {
          const plane = new MemoryDataplane({ vni: backend.type === "vxlan" ? backend.vni : 0, vtepMac });
          this.planes.push(plane);
          this.prepare(plane);
          return plane;
        },
        services: [
          async (agent) => {
            this.#agent = agent;
          },
        ],
        clock,
        random: seededRandom(this.#n),
        log,
      },
      this.#stop.signal,
    ).then(
      (ending) => (this.#result = ending),
      (error: Error) => (this.#result = error),
    );
    await clock.advance(0);
  }

  /** As SIGTERM. Resolves to how the agent ended and after how many milliseconds. */
  async stop(): Promise<{ result: Ending | Error; ms: number }> {
    const { clock } = this.#cluster;
    const began = clock.now();
    this.#stop.abort();
    for (let i = 0; i < 30 && !this.#result; i++) await clock.advance(i === 0 ? 0 : 100);
    const result = this.#result ?? new Error("the agent does not stop");
    this.registry.close();
    return { result, ms: clock.now() - began };
  }

  /** How the agent ended by itself; undefined while it runs. */
  get result(): Ending | Error | undefined {
    return this.#result;
  }
}
