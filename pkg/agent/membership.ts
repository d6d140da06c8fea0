import { Backoff, type Random } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { runAll } from "../base/run-all.ts";
import { readLeaseRow } from "../lease/lease-row.ts";
import { encodeLeaseValue } from "../lease/lease-value.ts";
import type { Lease, LeaseAttrs } from "../lease/lease.ts";
import { givesOut, type NetworkConfig, parseNetworkConfig } from "../subnet/network-config.ts";
import { OutOfSubnetsError, PublicIpInUseError, type SubnetManager } from "../subnet/subnet-manager.ts";
import { previousSubnet } from "../subnetenv/file.ts";
import { formatNetworkConfig } from "./network-text.ts";
import type { Overlay } from "./overlay.ts";
import type { Blocker } from "./readiness.ts";
import { Reopening } from "./reopening.ts";
import type { Cluster } from "./state.ts";

export interface MembershipParts {
  readonly subnets: SubnetManager;
  readonly overlay: Overlay;
  /** The text of `<prefix>/config` as it is now, undefined when there is none. */
  readonly readConfig: () => Promise<string | undefined>;
  /** What the last run knew. */
  readonly cluster: Cluster | undefined;
  readonly node: { readonly id: string; readonly name: string };
  readonly subnetFile: string;
  /** Milliseconds between two looks at the network config. */
  readonly resync: number;
  /** Called when there is something new to reconcile or to tell. */
  readonly changed: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const LATER = "try again when etcd answers";

const ACQUIRE_RETRY_MS = { first: 1_000, most: 30_000 };

/**
 * This node's place in the cluster: its lease, and how it comes to have one.
 *
 * A node that comes back starts from what the last run knew, so that its pods have their network before etcd has
 * answered, or while it cannot. As soon as etcd answers, what it says replaces that.
 */
export class Membership {
  readonly #parts: MembershipParts;
  #restored: { readonly lease: Lease; readonly expiresAt: number; readonly network: NetworkConfig } | undefined;
  #reopening: Reopening | undefined;
  /** Whether etcd was away when it was asked: then the last run's lease serves until etcd has decided. */
  #etcdWasAway = false;
  #acquireProblem: string | undefined;
  #configProblem: string | undefined;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /** Whether this run began with what the last one knew. */
  get restored(): boolean {
    return this.#restored !== undefined;
  }

  /** Our lease: the one that we hold or held last; before etcd has answered, that of the last run. */
  get own(): Lease | undefined {
    return this.#parts.subnets.own ?? this.#restored?.lease;
  }

  /** When our lease runs out unless it is renewed, in milliseconds since 1970; 0: never, or not known. */
  get expiresAt(): number {
    const { subnets } = this.#parts;
    return subnets.own ? subnets.expiresAt : (this.#restored?.expiresAt ?? 0);
  }

  /** What is wrong, the gravest first: a sentence each. */
  get problems(): readonly string[] {
    const { subnets } = this.#parts;
    const { registryState } = subnets;
    return [
      subnets.ownProblem,
      this.#acquireProblem,
      this.#reopening?.problem,
      // Whatever waits for etcd says so itself.
      subnets.problem ?? (registryState && `etcd cannot be reached: ${registryState.message}`),
      this.#configProblem,
    ].filter((problem) => problem !== undefined);
  }

  /** Every other lease that may be routed, the oldest first; undefined while they have not been read. */
  get peers(): readonly Lease[] | undefined {
    const { table } = this.#parts.subnets;
    return table.revision === "0" ? undefined : table.peersByAge;
  }

  /** Why our lease is no ground to attach pods on; undefined when it is one. */
  blocker(): Blocker | undefined {
    const { subnets, overlay } = this.#parts;
    const message = this.problems[0] ?? overlay.problems[0] ?? "twilld is starting";
    switch (subnets.ownState) {
      case "held":
        return undefined;
      case "lost":
        return { state: "limited", message };
      case "conflict":
        return { state: "conflict", message };
      case "none":
        if (this.#acquireProblem !== undefined) return { state: "conflict", message };
        return this.#trustsLastRun() ? undefined : { state: "not-ready", message };
    }
  }

  /** Begins to open the data plane for what the last run knew, etcd unasked. Says whether there was anything of use. */
  restore(signal: AbortSignal): boolean {
    const { cluster, subnets, log } = this.#parts;
    if (!cluster) return false;
    try {
      const network = parseNetworkConfig(cluster.network);
      const lease = ownLeaseOf(cluster);
      subnets.table.setOwn(lease);
      subnets.table.setNetwork(network.network);
      subnets.table.applySnapshot(cluster.rows, cluster.revision);
      this.#restored = { lease, expiresAt: cluster.expiresAt, network };
      this.#reopening = new Reopening(network, this.#parts, signal);
      return true;
    } catch (error) {
      log.warn("cannot start from what the last run knew, waiting for etcd", { err: error });
      return false;
    }
  }

  /** The way in, and then staying in until the signal aborts. Throws a DataplaneError when this host cannot take part. */
  async join(signal: AbortSignal): Promise<void> {
    const { subnets } = this.#parts;
    const unsubscribe = subnets.onChange(() => (this.#etcdWasAway ||= subnets.registryState !== undefined));
    const network = await this.#acquire(signal);
    unsubscribe();
    this.#parts.changed();
    await runAll(signal, [
      (inner) => subnets.follow(inner),
      (inner) => subnets.hold(inner),
      (inner) => this.#watchConfig(network, inner),
    ]);
  }

  /** Puts what the data plane has changed into our lease. Resolves to why it could not, in words. */
  async publish(): Promise<string | undefined> {
    const { subnets } = this.#parts;
    const attrs = this.#attrs();
    // A lease that we do not hold is for hold() to take back first.
    if (!attrs || !subnets.own || subnets.ownState !== "held") return undefined;
    if (encodeLeaseValue(attrs) === encodeLeaseValue(subnets.own.attrs)) return undefined;
    try {
      await subnets.publish(attrs);
      return undefined;
    } catch (error) {
      return `cannot publish our changed attributes: ${describeError(error)}`;
    }
  }

  /** Gives our subnet back. Throws an Error that says why it cannot be given back, and then we still have it. */
  async leave(): Promise<void> {
    const { subnets, overlay } = this.#parts;
    if (!subnets.own && this.#restored) {
      const { key } = this.#restored.lease;
      const reason = this.#acquireProblem ?? overlay.planeProblems[0];
      throw new Error(
        subnets.registryState || reason === undefined
          ? `etcd has not answered since the start, where the lease ${key} stands; ${LATER}`
          : `the lease ${key} of the last run has not been taken over yet: ${reason}; try again when it has`,
      );
    }
    try {
      await subnets.release();
    } catch (error) {
      throw new Error(`${describeError(error)}; ${LATER}`, { cause: error });
    }
    this.#restored = undefined;
  }

  /** What the next run may start from; undefined while there is nothing better than what the last run left. */
  remember(): Cluster | undefined {
    const { subnets, overlay } = this.#parts;
    const { own, table, ownState } = subnets;
    if (!own || !overlay.network || ownState !== "held") return undefined;
    // By what the last run left the next one knows of that network, should this run end before nothing of it is left.
    if (overlay.hasFormer) return undefined;
    // A table without our own row is one that has not been read yet.
    if (!table.rows.some((row) => row.key === own.key)) return undefined;
    return {
      network: formatNetworkConfig(overlay.network),
      ownKey: own.key,
      expiresAt: subnets.expiresAt,
      revision: table.revision,
      rows: table.rows,
    };
  }

  // Without etcd a lease that cannot have run out is still ours. One of another network than we run is of no use.
  #trustsLastRun(): boolean {
    const { network } = this.#parts.overlay;
    if (!this.#restored || !this.#etcdWasAway || this.#reopening?.problem !== undefined) return false;
    const { expiresAt, lease } = this.#restored;
    if (network && !givesOut(network, lease.subnet)) return false;
    return expiresAt === 0 || this.#parts.clock.wall() < expiresAt;
  }

  // The network of which we are to have a subnet, and the data plane open for it. Where etcd has no config of use, the one
  // that was in use before stays, as with a node that runs.
  async #enter(before: NetworkConfig | undefined, signal: AbortSignal): Promise<NetworkConfig> {
    const { subnets, log } = this.#parts;
    for (;;) {
      let network: NetworkConfig | undefined;
      try {
        network = await subnets.networkConfig(signal, before);
      } finally {
        await this.#reopening?.end(network);
      }
      if (network === before) await this.#lookAtConfig(formatNetworkConfig(network));
      else this.#configProblem = undefined;
      if (await this.#use(network, signal)) return network;
      log.info("the network config has changed while the host had no underlay for it");
    }
  }

  // Opens the data plane. That waits for an underlay, and the way out may be another config: resolves to false where etcd
  // names another network meanwhile.
  async #use(network: NetworkConfig, signal: AbortSignal): Promise<boolean> {
    const { overlay, clock, resync } = this.#parts;
    const reference = formatNetworkConfig(network);
    const [other, open] = [new AbortController(), new AbortController()];
    const stop = AbortSignal.any([signal, other.signal]);
    const look = async (): Promise<void> => {
      const end = AbortSignal.any([stop, open.signal]);
      while (!end.aborted) {
        await sleep(clock, resync, end);
        const now = end.aborted ? undefined : await this.#networkNow();
        if (now && "config" in now && formatNetworkConfig(now.config) !== reference) other.abort();
      }
    };
    const looking = look();
    try {
      await overlay.use(network, stop);
      return true;
    } catch (error) {
      if (signal.aborted || !other.signal.aborted) throw error;
      return false;
    } finally {
      open.abort();
      await looking;
    }
  }

  // A node whose address is in use, or for which no subnet is left, waits: either may change without a restart, and so may
  // the network. Resolves to the network that the lease is of.
  async #acquire(signal: AbortSignal): Promise<NetworkConfig> {
    const { subnets, clock, random, subnetFile, log } = this.#parts;
    const backoff = new Backoff({ ...ACQUIRE_RETRY_MS, random });
    const inFile = previousSubnet(subnetFile, log);
    const previous = Object.keys(inFile).length > 0 ? inFile : (this.#restored?.lease.subnet ?? {});
    let network = await this.#enter(this.#restored?.network, signal);
    for (;;) {
      const attrs = this.#attrs();
      if (!attrs) throw new Error("a lease is asked for before the data plane is open");
      try {
        await subnets.acquire({ network, attrs, previous }, signal);
        this.#acquireProblem = undefined;
        return network;
      } catch (error) {
        if (!(error instanceof PublicIpInUseError) && !(error instanceof OutOfSubnetsError)) throw error;
        if (this.#acquireProblem !== error.message) log.error("no lease, will retry", { reason: error.message });
        this.#acquireProblem = error.message;
        this.#parts.changed();
      }
      await sleep(clock, backoff.next(), signal);
      signal.throwIfAborted();
      network = await this.#enter(network, signal);
    }
  }

  // The device, the routes and the leases of all nodes hang on the network config: a change is told once, and waits for
  // the restart that an operator makes node by node.
  async #watchConfig(running: NetworkConfig, signal: AbortSignal): Promise<void> {
    const { clock, resync } = this.#parts;
    const reference = formatNetworkConfig(running);
    while (!signal.aborted) {
      await sleep(clock, resync, signal);
      if (signal.aborted) return;
      await this.#lookAtConfig(reference);
    }
  }

  async #lookAtConfig(reference: string): Promise<void> {
    const difference = await this.#configDifference(reference);
    if (difference === "unknown") return;
    if (difference !== undefined && difference !== this.#configProblem) {
      this.#parts.log.warn("the network config has changed, restart to apply it", { reason: difference });
    }
    this.#configProblem = difference;
  }

  async #configDifference(reference: string): Promise<string | undefined> {
    const now = await this.#networkNow();
    if (!now) return "unknown";
    if ("problem" in now) return now.problem;
    if (formatNetworkConfig(now.config) === reference) return undefined;
    return "the network config in etcd has changed: restart twilld to apply it";
  }

  // What etcd names now; undefined where it does not answer, which the loops that need it tell.
  async #networkNow(): Promise<{ readonly config: NetworkConfig } | { readonly problem: string } | undefined> {
    let text: string | undefined;
    try {
      text = await this.#parts.readConfig();
    } catch {
      return undefined;
    }
    if (text === undefined)
      return { problem: "the network config has been removed from etcd: what was read before stays in use" };
    try {
      return { config: parseNetworkConfig(text) };
    } catch (error) {
      const problem = `the network config in etcd is wrong now, what was read before stays in use: ${describeError(error)}`;
      return { problem };
    }
  }

  #attrs(): LeaseAttrs | undefined {
    const { overlay, node } = this.#parts;
    const { attrs, planeName } = overlay;
    if (!attrs || planeName === undefined) return undefined;
    return { ...attrs, nodeId: node.id, nodeName: node.name, dataplane: planeName };
  }
}

function ownLeaseOf(cluster: Cluster): Lease {
  const row = cluster.rows.find((one) => one.key === cluster.ownKey);
  const reading = row && readLeaseRow(row);
  const lease = reading && reading.malformed === undefined ? reading.value.lease : undefined;
  if (!lease || lease.malformed !== undefined) throw new Error(`our own lease ${cluster.ownKey} cannot be read`);
  return lease.value;
}
