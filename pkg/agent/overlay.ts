import { sameAddr } from "../addr/addr.ts";
import { FAMILIES, type Family, mapFamilies, type PerFamily } from "../addr/family.ts";
import type { Mac } from "../addr/mac.ts";
import { containsPrefix, formatPrefix, type Prefix } from "../addr/prefix.ts";
import { Backoff, type Random } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Dataplane, PeerState, PlaneAttrs } from "../dataplane/dataplane.ts";
import type { Lease, LeaseKey } from "../lease/lease.ts";
import { Lock } from "../base/lock.ts";
import { familiesOf, type NetworkConfig } from "../subnet/network-config.ts";
import type { ChosenUnderlay } from "../underlay/choose.ts";
import type { Underlay } from "../underlay/underlay.ts";
import { formatNetworkConfig } from "./network-text.ts";
import { PeerLog } from "./peer-log.ts";
import type { Blocker } from "./readiness.ts";
import type { Scope } from "./reconcile.ts";
import { underlayStatus } from "./snapshot.ts";

export interface OverlayParts {
  /** The one place where a data plane is named. Throws a ConfigError for a network that it cannot serve. */
  readonly openDataplane: (network: NetworkConfig, vtepMac: PerFamily<Mac>) => Dataplane;
  /** Looks at the host. Throws an Error that says what is missing. */
  readonly chooseUnderlay: (families: readonly Family[]) => Promise<ChosenUnderlay>;
  /** Masquerade and forward accepts. Resolves to what could not be set, a sentence each. */
  readonly setTraffic: (
    network: PerFamily<Prefix>,
    own: PerFamily<Prefix>,
    devices: readonly string[],
  ) => Promise<readonly string[]>;
  /** What others do to pods' traffic, as the last call of setTraffic has seen it: a sentence each. */
  readonly trafficDoubts: () => readonly string[];
  /** Takes away what data planes and traffic rules have made. Resolves to what could not be removed, a sentence each. */
  readonly removeTraces: (network: NetworkConfig) => Promise<readonly string[]>;
  /** The same for the devices and routes of a network that the node was in before, but for what is of `network` too. */
  readonly removeFormer: (former: NetworkConfig, network: NetworkConfig) => Promise<readonly string[]>;
  readonly vtepMac: Required<PerFamily<Mac>>;
  /** Whether the node has never held a lease: then it goes on with the VTEPs that it finds. */
  readonly isFirstRun: boolean;
  /** The MACs of the VTEPs that stand on this host, as flannel leaves them. */
  readonly findVtepMacs: (network: NetworkConfig) => Promise<PerFamily<Mac>>;
  /** Called when `problems` has changed outside of a reconcile. */
  readonly changed: () => void;
  /** Asks for a reconcile. */
  readonly wake: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const UNDERLAY_RETRY_MS = { first: 500, most: 5_000 };

// How long a data plane that has died stays dead. One that then lives for a minute has not died of the same again.
const REOPEN_MS = { first: 100, most: 30_000 };
const SOUND_MS = 60_000;

/** The overlay on this host: the data plane, the underlay below it and the traffic rules beside it. It knows no etcd. */
export class Overlay {
  /** The data plane in use, from `use` on. */
  plane: Dataplane | undefined;
  network: NetworkConfig | undefined;
  underlay: Underlay | undefined;
  /** Why the underlay is this one. */
  underlayBecause = "";
  /** What the data plane wants in our lease. */
  attrs: PlaneAttrs | undefined;
  /** The name of the plane that `attrs` are of. Both stay where it has died and is not open again yet. */
  planeName: string | undefined;
  /** The own lease that the data plane carries; undefined while it is out of sync. */
  synced: LeaseKey | undefined;
  /** What the last reconcile made of each peer. */
  peers: ReadonlyMap<LeaseKey, PeerState> = new Map();

  /** What peers know us by. */
  vtepMac: Required<PerFamily<Mac>>;

  readonly #parts: OverlayParts;
  readonly #peerLog: PeerLog;
  readonly #reopen: Backoff;
  #openedAt = 0;
  #fresh = false;
  /** Whether the underlay has been looked at for the pass to come. */
  #looked = false;
  /** What the last data plane died of, until another may be opened. */
  #death: string | undefined;
  #cancelReopen: () => void = () => undefined;
  readonly #lock = new Lock();
  #openedOn: Underlay | undefined;
  #closed = false;
  readonly #carrying = Promise.withResolvers<void>();
  #everSynced = false;
  /** Why the host has no underlay; for the network that is in use, and for one that `use` waits with. */
  #underlayProblem: string | undefined;
  #awaitedProblem: string | undefined;
  #planeProblem: string | undefined;
  #trafficProblems: readonly string[] = [];
  /** Networks that were in use before, until nothing of them is left, and why something still is. */
  #former: readonly NetworkConfig[] = [];
  #formerProblems: readonly string[] = [];
  /** What the traffic rules were last set for. */
  #trafficFor = "";

  constructor(parts: OverlayParts) {
    this.#parts = parts;
    this.vtepMac = parts.vtepMac;
    this.#peerLog = new PeerLog(parts.log);
    this.#reopen = new Backoff({ ...REOPEN_MS, random: parts.random });
  }

  /** What is wrong, the gravest first: a sentence each. */
  get problems(): readonly string[] {
    return [...this.planeProblems, ...this.trafficProblems];
  }

  /** Those of them that are about the data plane and what it stands on. */
  get planeProblems(): readonly string[] {
    const problems = [this.#planeProblem, this.#underlayProblem, this.#awaitedProblem, ...this.#formerProblems];
    return problems.filter((text) => text !== undefined);
  }

  /** Whether this host may still have devices and routes of a network that was in use before. */
  get hasFormer(): boolean {
    return this.#former.length > 0;
  }

  /** Those of them that are about masquerading and forwarding. */
  get trafficProblems(): readonly string[] {
    return [...this.#trafficProblems, ...this.#parts.trafficDoubts()];
  }

  /** Fulfilled when a pass has brought the data plane in sync for the first time. */
  get carrying(): Promise<void> {
    return this.#carrying.promise;
  }

  /** Why pods must not be attached to the data plane; undefined while it carries our lease. */
  blocker(own: Lease | undefined): Blocker | undefined {
    if (own && this.synced === own.key) return undefined;
    const message = this.planeProblems[0] ?? "the data plane is being set up";
    return { state: this.#everSynced ? "limited" : "not-ready", message };
  }

  /**
   * Opens the data plane for this network, or keeps the one that is open for the same network. Waits until the host has
   * an underlay; the data plane of another network goes on until then. Throws a DataplaneError when the host cannot do it, or the signal's reason when it aborts.
   */
  async use(network: NetworkConfig, signal: AbortSignal): Promise<void> {
    if (this.network && formatNetworkConfig(this.network) === formatNetworkConfig(network)) return;
    if (this.network) {
      this.#parts.log.info("the network config has changed, opening the data plane anew");
    }
    // What the data plane has to load is loaded while the underlay is found. That may take hours: passes do not wait for it.
    const plane = await this.#make(network);
    let underlay: Underlay;
    try {
      underlay = await this.#waitForUnderlay(familiesOf(network), signal);
    } catch (error) {
      await plane.close();
      throw error;
    }
    await this.#lock.run(async () => {
      await this.#open(plane, network, underlay);
      this.#looked = true;
    });
    this.#parts.wake();
    signal.throwIfAborted();
  }

  /**
   * Lets the data plane carry peers that have just joined, also while a pass is under way. Resolves to whether nothing is
   * left to do at once; undefined where the data plane does not do this.
   */
  welcome(own: Lease, table: readonly Lease[]): Promise<boolean> | undefined {
    const { plane, underlay } = this;
    if (!plane?.welcome || !underlay || this.#closed) return undefined;
    return plane.welcome({ own, peers: this.#ofOurWire(table), underlay }).catch((err: unknown) => {
      this.#parts.log.warn("cannot carry new peers at once", { err });
      return false;
    });
  }

  /**
   * One pass: this host as it should be. `table` is asked as late as possible. The traffic rules are looked at where they
   * are in the scope or what they say has changed, the underlay only where something on the host may have.
   * Resolves to what could not be done, a sentence each; undefined before `use` and after `close`.
   */
  reconcile(own: Lease, table: () => readonly Lease[], scope: Scope): Promise<readonly string[] | undefined> {
    return this.#inOnePass(async (network) => {
      await this.#reconcilePlane(network, own, table, scope);
      this.#planeProblem = undefined;
      await this.#setTraffic(network, own.subnet, scope);
      // A plane that was just opened may wait for the rules of its devices with a part of its work.
      if (this.#fresh) this.#parts.wake();
      this.#fresh = false;
      await this.#leaveFormer(network, own);
      return [...this.#peerLog.note(this.peers), ...this.#trafficProblems, ...this.#formerProblems];
    });
  }

  /**
   * One pass of a node that has no lease yet: the data plane stays open, on the underlay as it is now, and `attrs` are
   * what a lease may be asked for with. Resolves to what could not be done; undefined where nothing is left to do before
   * there is a lease.
   */
  standBy(scope: Scope): Promise<readonly string[] | undefined> {
    return this.#inOnePass(async (network) => {
      await this.#onUnderlay(network, scope);
      this.#planeProblem = undefined;
      return undefined;
    });
  }

  /** Ends the data plane for good; what it made in the kernel stays. Does not wait for a pass that hangs. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelReopen();
    await this.#shut();
  }

  /** Ends the data plane for good and takes away all that was made. Resolves to what could not be, a sentence each. */
  remove(): Promise<readonly string[]> {
    return this.#lock.run(async () => {
      await this.close();
      const { network } = this;
      if (!network) return [];
      return [...(await this.#removeFormer(network)), ...(await this.#parts.removeTraces(network))];
    });
  }

  #inOnePass(
    pass: (network: NetworkConfig) => Promise<readonly string[] | undefined>,
  ): Promise<readonly string[] | undefined> {
    return this.#lock.run(async () => {
      const { network } = this;
      if (!network || this.#closed) return undefined;
      try {
        return await pass(network);
      } catch (error) {
        this.synced = undefined;
        this.#planeProblem = `cannot bring the data plane in sync: ${describeError(error)}`;
        return [this.#planeProblem];
      }
    });
  }

  async #reconcilePlane(
    network: NetworkConfig,
    own: Lease,
    table: () => readonly Lease[],
    scope: Scope,
  ): Promise<void> {
    const { plane, underlay } = await this.#onUnderlay(network, scope);
    const outcome = await plane.reconcile({ own, peers: this.#ofOurWire(table()), underlay });
    if (this.plane !== plane) throw new Error(this.#death ?? "the data plane was closed");
    this.attrs = outcome.attrs;
    this.peers = outcome.peers;
    this.synced = own.key;
    this.#everSynced = true;
    this.#carrying.resolve();
  }

  // The open data plane, or one opened anew where it has died or the underlay has another address.
  async #onUnderlay(network: NetworkConfig, scope: Scope): Promise<{ plane: Dataplane; underlay: Underlay }> {
    const seen = scope === "leases" || this.#looked;
    this.#looked = false;
    const known = seen && this.#underlayProblem === undefined ? this.underlay : undefined;
    const underlay = known ?? (await this.#lookAtUnderlay(familiesOf(network)));
    if (this.plane && this.#openedOn && !sameAddresses(this.#openedOn, underlay)) {
      this.#parts.log.info("the underlay has another address, opening the data plane anew");
      await this.#shut();
    }
    if (this.plane) return { plane: this.plane, underlay };
    if (this.#death !== undefined) throw new Error(this.#death);
    return { plane: await this.#open(await this.#make(network), network, underlay), underlay };
  }

  #ofOurWire(table: readonly Lease[]): readonly Lease[] {
    return table.filter((lease) => lease.attrs.backendType === this.attrs?.backendType);
  }

  async #make(network: NetworkConfig): Promise<Dataplane> {
    await this.#adoptVteps(network);
    const vtepMac = mapFamilies(network.network, (_, family) => this.vtepMac[family]);
    return this.#parts.openDataplane(network, vtepMac);
  }

  async #open(plane: Dataplane, network: NetworkConfig, underlay: Underlay): Promise<Dataplane> {
    try {
      if (this.#closed) throw new Error("the agent has stopped");
      await this.#shut();
      const attrs = await plane.open(underlay);
      if (this.#closed) throw new Error("the agent has stopped");
      this.#use(plane, { network, underlay, attrs });
    } catch (error) {
      await plane.close();
      throw error;
    }
    return plane;
  }

  #use(plane: Dataplane, on: { network: NetworkConfig; underlay: Underlay; attrs: PlaneAttrs }): void {
    this.plane = plane;
    if (this.network && this.network !== on.network) this.#former = [...this.#former, this.network];
    this.network = on.network;
    this.underlay = on.underlay;
    this.attrs = on.attrs;
    this.planeName = plane.name;
    this.#openedOn = on.underlay;
    this.#openedAt = this.#parts.clock.now();
    this.#fresh = true;
    plane.done.then(
      () => this.#onEnd(plane, new Error("it ended by itself")),
      (error: unknown) => this.#onEnd(plane, error),
    );
  }

  // Somebody deleted its device, or the packet loop has a defect. What it leaves behind is made good by a new one.
  #onEnd(plane: Dataplane, error: unknown): void {
    if (this.plane !== plane || this.#closed) return;
    const { clock, log, changed, wake } = this.#parts;
    this.plane = undefined;
    this.synced = undefined;
    if (clock.now() - this.#openedAt > SOUND_MS) this.#reopen.reset();
    const afterMs = Math.round(this.#reopen.next());
    const reason = describeError(error);
    this.#death = `the data plane has died: ${reason}`;
    this.#planeProblem = this.#death;
    log.warn("the data plane has died, opening it anew", { reason, afterMs });
    changed();
    // Its sockets hold the port, so it is closed before another is opened.
    void this.#lock
      .run(() => plane.close())
      .catch((err: unknown) => log.warn("cannot close the data plane", { err }))
      .then(() => {
        if (this.#closed) return;
        this.#cancelReopen = clock.after(afterMs, () => {
          this.#death = undefined;
          wake();
        });
      });
  }

  // A node that flannel has run keeps the MACs that its peers know, so that they need not learn new ones.
  async #adoptVteps(network: NetworkConfig): Promise<void> {
    if (!this.#parts.isFirstRun || this.#everSynced) return;
    const found = await this.#parts.findVtepMacs(network);
    if (Object.keys(found).length === 0) return;
    this.vtepMac = { ...this.vtepMac, ...found };
    this.#parts.log.info("going on with the VTEP that this host has", { macs: Object.values(found) });
  }

  async #shut(): Promise<void> {
    const { plane } = this;
    this.plane = undefined;
    this.synced = undefined;
    await plane?.close();
  }

  async #setTraffic({ network }: NetworkConfig, own: PerFamily<Prefix>, scope: Scope): Promise<void> {
    const devices = this.plane?.forwards ?? [];
    const wanted = [network, own].flatMap((each) => Object.values(mapFamilies(each, formatPrefix)));
    const what = [...wanted, ...devices].join();
    if (scope !== "all" && what === this.#trafficFor && this.#trafficProblems.length === 0) return;
    this.#trafficFor = what;
    try {
      this.#trafficProblems = await this.#parts.setTraffic(network, own, devices);
    } catch (error) {
      this.#trafficProblems = [`cannot set the traffic rules: ${describeError(error)}`];
    }
  }

  // Not before the data plane carries a lease of the network that is in use: until then its device has the address of the
  // lease before.
  async #leaveFormer(network: NetworkConfig, own: Lease): Promise<void> {
    if (!this.hasFormer || !isWithin(network.network, own.subnet)) return;
    this.#formerProblems = await this.#removeFormer(network);
    if (this.#formerProblems.length > 0) return;
    this.#former = [];
    this.#parts.log.info("nothing of the network before is left");
  }

  async #removeFormer(network: NetworkConfig): Promise<readonly string[]> {
    const problems: string[] = [];
    for (const former of this.#former) problems.push(...(await this.#parts.removeFormer(former, network)));
    return problems;
  }

  async #waitForUnderlay(families: readonly Family[], signal: AbortSignal): Promise<Underlay> {
    const backoff = new Backoff({ ...UNDERLAY_RETRY_MS, random: this.#parts.random });
    try {
      for (;;) {
        const chosen = await this.#choose(families);
        signal.throwIfAborted();
        if (typeof chosen !== "string") {
          this.#parts.log.info("underlay chosen", { ...underlayStatus(chosen.underlay), because: chosen.because });
          this.underlayBecause = chosen.because;
          return chosen.underlay;
        }
        const before = this.#awaitedProblem;
        this.#awaitedProblem = chosen;
        if (chosen !== before) this.#tellOfUnderlay(chosen);
        await sleep(this.#parts.clock, backoff.next(), signal);
      }
    } finally {
      this.#awaitedProblem = undefined;
    }
  }

  // An underlay that is gone for a while is no reason to forget where we were: the last one stays in use.
  async #lookAtUnderlay(families: readonly Family[]): Promise<Underlay> {
    const chosen = await this.#choose(families);
    const before = this.#underlayProblem;
    this.#underlayProblem = typeof chosen === "string" ? chosen : undefined;
    if (!this.underlay) throw new Error("there is no underlay");
    if (typeof chosen === "string") {
      if (chosen !== before) this.#tellOfUnderlay(chosen);
      return this.underlay;
    }
    if (!sameUnderlay(this.underlay, chosen.underlay)) {
      this.#parts.log.info("underlay changed", { ...underlayStatus(chosen.underlay), because: chosen.because });
    }
    this.underlayBecause = chosen.because;
    this.underlay = chosen.underlay;
    return this.underlay;
  }

  /** The underlay, or why there is none, in words. */
  async #choose(families: readonly Family[]): Promise<ChosenUnderlay | string> {
    try {
      return await this.#parts.chooseUnderlay(families);
    } catch (error) {
      return describeError(error);
    }
  }

  #tellOfUnderlay(reason: string): void {
    this.#parts.log.warn("no usable underlay, will retry", { reason });
    this.#parts.changed();
  }
}

function isWithin(network: PerFamily<Prefix>, subnets: PerFamily<Prefix>): boolean {
  return Object.values(subnets).every((subnet) => {
    const whole = network[subnet.family];
    return whole !== undefined && containsPrefix(whole, subnet);
  });
}

function sameUnderlay(a: Underlay, b: Underlay): boolean {
  return a.mtu === b.mtu && sameAddresses(a, b) && FAMILIES.every((f) => sameAddr(a.publicIp[f], b.publicIp[f]));
}

/** Whether sockets that were bound on the one serve the other. */
function sameAddresses(a: Underlay, b: Underlay): boolean {
  return a.index === b.index && a.name === b.name && FAMILIES.every((f) => sameAddr(a.addr[f], b.addr[f]));
}
