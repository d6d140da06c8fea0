import type { PerFamily } from "../../pkg/addr/family.ts";
import type { Prefix } from "../../pkg/addr/prefix.ts";
import { type Random, seededRandom } from "../../pkg/base/backoff.ts";
import { FakeClock } from "../../pkg/base/fake-clock.ts";
import { MemoryLogger } from "../../pkg/base/logger.ts";
import { runAll } from "../../pkg/base/run-all.ts";
import type { Lease, LeaseAttrs } from "../../pkg/lease/lease.ts";
import { MemoryEtcd } from "../../pkg/subnet/memory-etcd.ts";
import { MemoryRegistry } from "../../pkg/subnet/memory-registry.ts";
import { type NetworkConfig, parseNetworkConfig } from "../../pkg/subnet/network-config.ts";
import { SubnetManager } from "../../pkg/subnet/subnet-manager.ts";
import { addr } from "../literals.ts";

export const PREFIX = "/coreos.com/network";
export const SECOND = 1000;
export const HOUR = 3600 * SECOND;
export const DAY = 24 * HOUR;

export interface LeaseClusterOptions {
  readonly config?: object;
  readonly seed?: number;
  /** The longest time that a request or a reply is under way, in milliseconds. */
  readonly latency?: number;
}

export interface NodeOptions {
  readonly id?: string;
  /** Empty: none. */
  readonly ip?: string;
  readonly ipv6?: string;
  readonly previous?: PerFamily<Prefix>;
  /** Seconds. */
  readonly ttl?: number;
  readonly renewMargin?: number;
  readonly network?: NetworkConfig;
}

/** Many agents' subnet managers and one etcd, on one clock. */
export class LeaseCluster {
  readonly clock = new FakeClock();
  readonly etcd: MemoryEtcd;
  readonly network: NetworkConfig;
  readonly random: Random;

  constructor(options: LeaseClusterOptions = {}) {
    const { config = {}, seed = 1, latency = 0 } = options;
    this.random = seededRandom(seed);
    this.etcd = new MemoryEtcd(this.clock, { delay: () => Math.floor(this.random() * latency) });
    const text = JSON.stringify({ Network: "10.5.0.0/16", Backend: { Type: "vxlan" }, ...config });
    this.etcd.put(`${PREFIX}/config`, text);
    this.network = parseNetworkConfig(text);
  }

  node(name: string, options: NodeOptions = {}): LeaseNode {
    return new LeaseNode(this, name, options);
  }

  /** Every lease key and its value, as etcdctl would show them. */
  leases(): Record<string, Record<string, unknown>> {
    const all = [...this.etcd.range(`${PREFIX}/subnets`), ...this.etcd.range(`${PREFIX}/ipv6-subnets`)];
    return Object.fromEntries(
      all.map((stored) => [stored.key.slice(PREFIX.length + 1), JSON.parse(stored.value) as Record<string, unknown>]),
    );
  }

  /** Writes as another program would: flannel, or a person with etcdctl. */
  put(key: string, value: object | string, ttl?: number): void {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    this.etcd.put(`${PREFIX}/${key}`, text, ttl === undefined ? "0" : this.etcd.grant(ttl));
  }
}

// Each node has an address of its own unless it is given one.
let addresses = 0;

/** One agent, as far as its lease goes. */
export class LeaseNode {
  readonly log = new MemoryLogger();
  readonly registry: MemoryRegistry;
  readonly manager: SubnetManager;
  readonly attrs: LeaseAttrs;
  /** What acquire threw; its loops ended with it. */
  failure: unknown;
  /** Resolves when everything that was started has ended. */
  ended: Promise<void> = Promise.resolve();
  readonly #cluster: LeaseCluster;
  readonly #options: NodeOptions;
  readonly #stop = new AbortController();

  constructor(cluster: LeaseCluster, name: string, options: NodeOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.registry = new MemoryRegistry(cluster.etcd, PREFIX);
    const { ttl = 86_400, renewMargin = 3600, id = `id-of-${name}` } = options;
    this.manager = new SubnetManager({
      registry: this.registry,
      clock: cluster.clock,
      random: cluster.random,
      log: this.log,
      node: { id, name },
      ttl,
      renewMargin,
      prefix: PREFIX,
    });
    addresses += 1;
    const { ip = `172.16.${addresses >> 8}.${addresses & 255}`, ipv6 } = options;
    const publicIp = { ...(ip !== "" && { 4: addr(ip) }), ...(ipv6 !== undefined && { 6: addr(ipv6) }) };
    this.attrs = { publicIp, backendType: "host-gw", vtep: {} };
  }

  /** Acquires a lease, then follows and holds. Returns at once. */
  start(): this {
    const { signal } = this.#stop;
    const { network = this.#cluster.network, previous = {} } = this.#options;
    this.ended = (async () => {
      await this.manager.acquire({ network, attrs: this.attrs, previous }, signal);
      await runAll(signal, [(inner) => this.manager.follow(inner), (inner) => this.manager.hold(inner)]);
    })().catch((error: unknown) => {
      if (!signal.aborted) this.failure = error;
    });
    return this;
  }

  get own(): Lease | undefined {
    return this.manager.own;
  }

  /** As SIGTERM: the lease stays. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#cluster.clock.advance(10 * SECOND);
    await this.ended;
    this.registry.close();
  }

  /** As kill -9 or a power cut: nothing of what it would still do reaches etcd. */
  async kill(): Promise<void> {
    this.registry.close();
    await this.stop();
  }
}
