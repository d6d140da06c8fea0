import { type Control, type Left, RefusedError } from "../api/control.ts";
import type { Measurements, MetricsSource } from "../api/measurements.ts";
import type { Setting } from "../api/setting.ts";
import type { LeaseStatus, Status } from "../api/status.ts";
import type { Random } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { describeError } from "../base/errors.ts";
import { Wakeup } from "../base/wakeup.ts";
import type { HostEvent } from "../host/host.ts";
import type { Lease } from "../lease/lease.ts";
import { countFree } from "../subnet/allocator.ts";
import { familiesOf, type NetworkConfig } from "../subnet/network-config.ts";
import { RegistryUnavailableError } from "../subnet/registry.ts";
import { ReservationError, type SubnetManager } from "../subnet/subnet-manager.ts";
import { subnetEnvOf } from "../subnetenv/subnet-env.ts";
import type { AgentConfig } from "./config.ts";
import { readinessChecks } from "./checks.ts";
import { discoveredSettings, networkSettings } from "./found-settings.ts";
import type { Check, HealthSource } from "./health.ts";
import { PacketLoops } from "./packet-loops.ts";
import { scopeOf } from "./host-bell.ts";
import { Membership, type MembershipParts } from "./membership.ts";
import { Overlay, type OverlayParts } from "./overlay.ts";
import { type Blocker, Readiness } from "./readiness.ts";
import { ReconcileLoop, type Scope } from "./reconcile.ts";
import { runBounded } from "./run-bounded.ts";
import { addrsOf, subnetsOf } from "./requests.ts";
import { dataplaneStatus, leaseStatus, networkStatus, peerStatus, underlayStatus } from "./snapshot.ts";
import type { Supervised } from "./service-manager.ts";
import type { State, StateFile } from "./state.ts";
import { watchFile } from "./watch-file.ts";

/** Something that runs as long as the agent and asks it: the control API, the health pages. */
export type Service = (agent: Agent, signal: AbortSignal) => Promise<void>;

export interface AgentParts {
  readonly config: AgentConfig;
  readonly version: string;
  readonly stateFile: StateFile;
  /** What stateFile.load gave. */
  readonly state: State;
  /** For the same node as `state`. */
  readonly subnets: SubnetManager;
  readonly readConfig: MembershipParts["readConfig"];
  readonly overlay: Omit<OverlayParts, "vtepMac" | "isFirstRun" | "changed" | "wake" | "clock" | "random" | "log">;
  /** Tells of what changes on the host until the signal aborts: Host.watch. */
  readonly watchHost: (signal: AbortSignal, onEvent: (event: HostEvent) => void) => Promise<void>;
  readonly services: readonly Service[];
  /** What flags and environment have set, and what was set since; without it nothing is told of them. */
  readonly origins?: () => readonly Setting[];
  /** Told of each pass over the host's state: ReconcileOptions.passed. */
  readonly passed?: (ms: number, failures: number) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

// Together they are the most that a stop takes.
const STOP_LOOPS_MS = 1_000;
const STOP_PLANE_MS = 500;

// A packet loop turns once a second at least.
const LOOP_PATIENCE_MS = 5_000;

// How long everything else waits for the pods to have their network back: loading what serves it and what speaks to etcd
// keeps this thread busy for some hundred milliseconds.
const RESTORE_MS = 1_000;

// Until the programs that watch the host listen.
const WATCH_BEGINS_MS = 1_000;

// Peers come in numbers, and a save of many to a slow disk takes its time: so many times as long is waited after one. What
// a kill in the meantime loses is routed again only when etcd answers.
const SAVE_PAUSE_FACTOR = 10;
const SAVE_PAUSE_MS = 1_000;

const AFTER_WELCOME_MS = 250;

// A tool that hangs is ended after 15 s, and a pass starts a few one after the other.
const LONGEST_PASS_MS = 120_000;

/**
 * The agent of one node: the order of things, and what is told of them.
 *
 *   starting ──▶ data plane open ──▶ lease held, in sync ──▶ ready ◀──▶ not ready (lease lost, plane out of sync ...)
 *
 * Nothing but a dead service ends it: etcd that is away, a lost lease, a dead data plane and a host that refuses are
 * problems that it tells of and goes on trying to solve, since pods live on this node.
 */
export class Agent implements Control, HealthSource, MetricsSource, Supervised {
  readonly #parts: AgentParts;
  readonly #overlay: Overlay;
  readonly #membership: Membership;
  readonly #readiness: Readiness;
  readonly #reconcile: ReconcileLoop;
  readonly #saveWanted: Wakeup;
  readonly #startedAt: number;
  #state: State;
  #etcd: { readonly error: Error | undefined; readonly since: number };
  readonly #packetLoops = new PacketLoops(LOOP_PATIENCE_MS);
  #free: { leases: readonly Lease[]; network: NetworkConfig; subnets: Measurements["freeSubnets"] } | undefined;
  #running = false;
  readonly #restored = Promise.withResolvers<void>();
  #leaving = false;
  readonly #left = new AbortController();

  constructor(parts: AgentParts) {
    const { config, subnets, state, clock, random, log } = parts;
    const resync = config.resync * 1000;
    this.#parts = parts;
    this.#state = state;
    this.#startedAt = clock.wall();
    this.#etcd = { error: undefined, since: this.#startedAt };
    this.#saveWanted = new Wakeup(clock);
    this.#reconcile = new ReconcileLoop({
      pass: (scope) => this.#pass(scope),
      passed: parts.passed,
      resync,
      clock,
      random,
      log,
    });
    this.#readiness = new Readiness({ subnetFile: config.subnetFile, runDir: config.runDir, clock, log });
    this.#overlay = new Overlay({
      ...parts.overlay,
      vtepMac: state.vtepMac,
      isFirstRun: state.cluster === undefined,
      changed: this.#announce,
      wake: this.#reconcile.wake,
      clock,
      random,
      log,
    });
    this.#membership = new Membership({
      subnets,
      overlay: this.#overlay,
      readConfig: parts.readConfig,
      cluster: state.cluster,
      node: { id: state.nodeId, name: config.nodeName },
      subnetFile: config.subnetFile,
      resync,
      changed: this.#onChange,
      clock,
      random,
      log,
    });
  }

  /**
   * Runs until the signal aborts or the node was told to leave, and then ends within two seconds whatever hangs. Unless it
   * has left, lease, routes and device stay. Throws a DataplaneError when this host cannot carry packets, or what made a
   * service fail.
   */
  async run(signal: AbortSignal): Promise<Ending> {
    const { subnets, services, stateFile, clock, log, config } = this.#parts;
    this.#running = true;
    stateFile.save(this.#state);
    this.#announce();
    const unsubscribe = [subnets.table.onChange(this.#onLeases), subnets.onChange(this.#onChange)];
    // What a node does beside carrying packets is loaded and started when it carries them.
    const later =
      (loop: (inner: AbortSignal) => Promise<void>) =>
      async (inner: AbortSignal): Promise<void> => {
        await Promise.race([this.#restored.promise, sleep(clock, RESTORE_MS, inner)]);
        if (!inner.aborted) await loop(inner);
      };
    const loops = [
      async (inner: AbortSignal): Promise<void> => {
        await this.#restore(inner);
        await this.#membership.join(inner);
      },
      (inner: AbortSignal) => this.#reconcile.run(inner),
      ...services.map((service) => later((inner) => service(this, inner))),
      later((inner) => {
        // It does not tell what has changed between the first look and its own beginning.
        if (this.#membership.restored) this.#reconcile.ring("all", WATCH_BEGINS_MS);
        return this.#parts.watchHost(inner, this.#onHostEvent);
      }),
      later((inner) => watchFile(config.subnetFile, this.#announce, { signal: inner, clock, log })),
      later((inner) => this.#saveLoop(inner)),
    ];
    try {
      const onLate = (): void => log.warn("something does not stop, leaving it behind");
      const stop = AbortSignal.any([signal, this.#left.signal]);
      await runBounded(stop, loops, { clock, graceMs: STOP_LOOPS_MS, onLate });
      return this.#left.signal.aborted ? "left" : "stopped";
    } finally {
      this.#running = false;
      for (const end of unsubscribe) end();
      this.#save();
      this.#readiness.stop({ state: "limited", message: "twilld has stopped: start it again" });
      const onLate = (): void => log.warn("the data plane does not stop, leaving it behind");
      const close = async (): Promise<void> => {
        // A lease that was being acquired while the node left.
        if (this.#left.signal.aborted)
          await subnets.release().catch((error: unknown) => log.warn("cannot give back the lease", { err: error }));
        await this.#overlay.close().catch((error: unknown) => log.warn("cannot close the data plane", { err: error }));
      };
      await runBounded(AbortSignal.abort(), [close], { clock, graceMs: STOP_PLANE_MS, onLate });
    }
  }

  /** Whether the loops run, and no pass over the host's state hangs. */
  live(): boolean {
    return this.#running && this.#reconcile.passing <= LONGEST_PASS_MS;
  }

  turns(): readonly number[] {
    return this.#overlay.plane?.turns?.() ?? [];
  }

  ready(): { readonly ready: boolean; readonly reason: string; readonly checks: readonly Check[] } {
    const { blocker } = this.#readiness;
    const { clock, subnets } = this.#parts;
    const turns = this.turns();
    const turning = turns.length === 0 ? undefined : this.#packetLoops.move(turns, clock.now());
    const { error, since } = this.#etcd;
    const etcdAway = error && Math.max(0, clock.wall() - since) / 1000;
    const checks = readinessChecks(
      { subnets, membership: this.#membership, overlay: this.#overlay },
      etcdAway,
      turning,
    );
    if (blocker) return { ready: false, reason: blocker.message, checks };
    if (turning === false) return { ready: false, reason: "the packet loop does not turn: restart twilld", checks };
    const [problem] = this.#problems();
    return { ready: true, reason: problem === undefined ? "ready" : `ready, but ${problem}`, checks };
  }

  status(): Status {
    const { config, subnets, version } = this.#parts;
    const { network, underlay, plane, peers } = this.#overlay;
    const { own, expiresAt } = this.#membership;
    const stats = plane?.stats();
    const { error, since } = this.#etcd;
    return {
      version,
      node: { id: this.#state.nodeId, name: config.nodeName },
      startedAt: this.#startedAt,
      ready: this.#readiness.blocker === undefined,
      problems: this.#problems(),
      network:
        network &&
        networkStatus(
          network,
          this.#freeSubnets().map(({ free }) => free),
        ),
      underlay: underlay && underlayStatus(underlay),
      lease: own && leaseStatus(own, { key: own.key, expiresAt }),
      dataplane: plane && stats && dataplaneStatus(plane, stats),
      etcd: {
        endpoints: config.etcd.endpoints,
        connected: error === undefined,
        error: error?.message ?? "",
        since,
      },
      peers: subnets.table.peers.map((lease) => peerStatus(lease, peers.get(lease.key), stats)),
    };
  }

  leases(): readonly LeaseStatus[] {
    const { own, expiresAt } = this.#membership;
    const ours = own && { key: own.key, expiresAt };
    return this.#parts.subnets.table.leases.map((lease) => leaseStatus(lease, ours));
  }

  /** What the agent runs with, and where each value came from. From memory. */
  settings(): readonly Setting[] {
    const { config, subnets, origins = () => [] } = this.#parts;
    const { network, underlayBecause } = this.#overlay;
    return [
      ...origins(),
      ...(network ? networkSettings(network, subnets.configText, `${config.etcd.prefix}/config`) : []),
      ...discoveredSettings(this.status(), underlayBecause),
    ];
  }

  measurements(): Measurements {
    const { subnets } = this.#parts;
    return {
      problems: this.#problemsAbout().map(({ about, sentences }) => ({ about, count: sentences.length })),
      etcdErrors: subnets.registryFailures,
      freeSubnets: this.#freeSubnets(),
    };
  }

  // Counted anew only when the table is another one; before it has been read it says nothing.
  #freeSubnets(): Measurements["freeSubnets"] {
    const { leases, revision } = this.#parts.subnets.table;
    const { network } = this.#overlay;
    if (!network || revision === "0") return [];
    if (this.#free?.leases !== leases || this.#free.network !== network) {
      const subnets = familiesOf(network).map((family) => {
        const taken = leases.flatMap(({ subnet }) => subnet[family] ?? []);
        return { family, free: countFree(network, family, taken) };
      });
      this.#free = { leases, network, subnets };
    }
    return this.#free.subnets;
  }

  async leave(): Promise<Left> {
    const { log } = this.#parts;
    if (this.#leaving) throw new RefusedError("this node is leaving already");
    const own = this.#membership.own;
    this.#leaving = true;
    // From here on no pod is attached any more.
    this.#announce();
    try {
      await this.#membership.leave();
    } catch (error) {
      this.#leaving = false;
      this.#onChange();
      throw new RefusedError(`cannot give the subnet back, so nothing was changed: ${describeError(error)}`);
    }
    log.info("leaving the cluster");
    const problems = [...(await this.#overlay.remove())];
    try {
      this.#readiness.remove();
    } catch (error) {
      problems.push(describeError(error));
    }
    // The next run is to begin like the first one, but as the same node.
    this.#state = { ...this.#state, cluster: undefined };
    this.#readiness.stop(LEFT);
    for (const reason of problems) log.warn("cannot clean up", { reason });
    this.#left.abort();
    return { subnets: own ? leaseStatus(own, undefined).subnets : [], problems };
  }

  reserve(subnets: readonly string[], publicIps: readonly string[]): Promise<string> {
    return this.#refusing(async () => {
      const { network } = this.#overlay;
      if (!network) throw new RefusedError("the network config has not been read yet: see twillctl status");
      return this.#parts.subnets.reserve(network, subnetsOf(subnets), addrsOf(publicIps));
    });
  }

  unreserve(subnets: readonly string[]): Promise<string> {
    return this.#refusing(async () => this.#parts.subnets.unreserve(subnetsOf(subnets)));
  }

  // What the registry and the cluster have against it is for the person who asked, and no defect.
  async #refusing(change: () => Promise<string>): Promise<string> {
    try {
      return await change();
    } catch (error) {
      if (error instanceof ReservationError || error instanceof RegistryUnavailableError) {
        throw new RefusedError(error.message, { cause: error });
      }
      throw error;
    }
  }

  async #restore(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    if (this.#membership.restore(signal)) {
      await Promise.race([this.#overlay.carrying, sleep(clock, RESTORE_MS, signal)]);
    }
    this.#restored.resolve();
  }

  async #pass(scope: Scope): Promise<readonly string[] | undefined> {
    if (this.#leaving) return undefined;
    const problems = await this.#bringAbout(scope);
    if (problems) this.#saveWanted.notify();
    this.#announce();
    if (!problems) return undefined;
    const failures = [...problems];
    const unpublished = await this.#membership.publish();
    if (unpublished !== undefined) failures.push(unpublished);
    return failures;
  }

  async #bringAbout(scope: Scope): Promise<readonly string[] | undefined> {
    const { own, peers } = this.#membership;
    if (!own) return this.#overlay.standBy(scope);
    if (!peers) return undefined;
    return this.#overlay.reconcile(own, () => this.#membership.peers ?? peers, scope);
  }

  readonly #onLeases = (): void => {
    const { own, peers } = this.#membership;
    const welcome = own && peers && !this.#leaving ? this.#overlay.welcome(own, peers) : undefined;
    if (!welcome) return this.#reconcile.wake();
    // A peer seldom comes alone, and a pass in between would hold up the next.
    this.#reconcile.ring("leases", AFTER_WELCOME_MS);
    void welcome.then((done) => {
      this.#saveWanted.notify();
      if (!done) this.#reconcile.wake();
    });
  };

  readonly #onHostEvent = (event: HostEvent): void => {
    const scope = scopeOf(event);
    if (scope) this.#reconcile.ring(scope);
  };

  readonly #onChange = (): void => {
    const error = this.#parts.subnets.registryState;
    const { clock } = this.#parts;
    if ((error === undefined) !== (this.#etcd.error === undefined)) this.#etcd = { error, since: clock.wall() };
    this.#announce();
    this.#reconcile.wake();
  };

  readonly #announce = (): void => {
    const { plane, network } = this.#overlay;
    const { own } = this.#membership;
    if (this.#leaving) return this.#readiness.close(LEAVING);
    const blocker = this.#membership.blocker() ?? this.#overlay.blocker(own);
    if (blocker || !plane || !network || !own) return this.#readiness.close(blocker ?? STARTING);
    const { ipMasq } = this.#parts.config;
    const env = subnetEnvOf({ network: network.network, subnet: own.subnet, mtu: plane.mtu, ipMasq });
    const { subnets } = leaseStatus(own, undefined);
    this.#readiness.open(env, { subnet: subnets.join(", "), dataplane: plane.name, mtu: env.mtu });
  };

  #problems(): readonly string[] {
    return [...new Set(this.#problemsAbout().flatMap(({ sentences }) => sentences))];
  }

  // The gravest first.
  #problemsAbout(): { readonly about: string; readonly sentences: readonly string[] }[] {
    const about = (about: string, ...sentences: readonly (string | undefined)[]) => ({
      about,
      sentences: sentences.filter((sentence) => sentence !== undefined),
    });
    return [
      about("readiness", this.#readiness.blocker?.message),
      about("lease", ...this.#membership.problems),
      about("dataplane", ...this.#overlay.planeProblems),
      about("forwarding", ...this.#overlay.trafficProblems),
      about("files", this.#readiness.problem, this.#parts.stateFile.problem),
      about("table", ...this.#parts.subnets.table.problems),
    ];
  }

  async #saveLoop(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    signal.addEventListener("abort", this.#saveWanted.notify, { once: true });
    while (!signal.aborted) {
      await this.#saveWanted.wait(3_600_000);
      const began = clock.now();
      if (!this.#save()) continue;
      await sleep(clock, Math.min(SAVE_PAUSE_MS, SAVE_PAUSE_FACTOR * (clock.now() - began)), signal);
    }
  }

  /** Returns whether there was anything new. */
  #save(): boolean {
    const cluster = this.#membership.remember();
    if (cluster) this.#state = { ...this.#state, vtepMac: this.#overlay.vtepMac, cluster };
    return this.#parts.stateFile.save(this.#state);
  }
}

/** How a run ended: told to stop, or left the cluster for good. */
export type Ending = "stopped" | "left";

const LEAVING: Blocker = { state: "not-ready", message: "this node is leaving the cluster" };
const LEFT: Blocker = { state: "not-ready", message: "this node has left the cluster: start twilld to join it again" };
const STARTING: Blocker = { state: "not-ready", message: "twilld is starting" };
