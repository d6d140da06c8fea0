import type { Addr } from "../addr/addr.ts";
import { mapFamilies, type PerFamily } from "../addr/family.ts";
import type { Mac } from "../addr/mac.ts";
import type { LeaseKey, Vtep } from "../lease/lease.ts";
import type { Underlay } from "../underlay/underlay.ts";
import {
  type Dataplane,
  DataplaneError,
  type DataplaneStats,
  type Outcome,
  type PeerState,
  type PeerStats,
  type PlaneAttrs,
  type Want,
} from "./dataplane.ts";

// What VXLAN adds to an inner IP packet: the outer IP header, UDP 8, VXLAN 8, inner Ethernet 14.
const OVERHEAD = { 4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14 } as const;

/** A data plane that carries nothing and remembers what it was told: the twin for tests and simulations. */
export class MemoryDataplane implements Dataplane {
  readonly forwards: readonly string[] = [];
  readonly name = "tun";
  readonly done: Promise<void>;

  /** What the last reconcile that worked was asked for. */
  programmed: Want | undefined;
  /** How many reconciles were asked for since open, those that failed among them. */
  reconciles = 0;
  closed = false;

  /** Every open and reconcile fails with this while it is set. */
  failure: Error | undefined;
  /** Peers that cannot be programmed, and why. */
  readonly failing = new Map<LeaseKey, string>();

  readonly #vtep: PerFamily<Vtep>;
  #underlay: Underlay | undefined;
  #resolve: () => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(options: { readonly vni: number; readonly vtepMac: PerFamily<Mac> }) {
    this.#vtep = mapFamilies(options.vtepMac, (mac) => ({ vni: options.vni, mac }));
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // One that dies before anybody looks at `done` must not count as an unhandled rejection.
    this.done.catch(() => undefined);
  }

  get mtu(): PerFamily<number> {
    const underlay = this.#opened();
    return mapFamilies(this.#vtep, (_, family) => underlay.mtu - OVERHEAD[family]);
  }

  open(underlay: Underlay): Promise<PlaneAttrs> {
    return this.#answer(() => {
      if (this.#underlay) throw new DataplaneError("the data plane is open already");
      this.#underlay = underlay;
      return this.#attrs(underlay.publicIp);
    });
  }

  reconcile(want: Want): Promise<Outcome> {
    this.reconciles++;
    return this.#answer(() => {
      this.#opened();
      this.#underlay = want.underlay;
      this.programmed = want;
      const peers = new Map(want.peers.map((peer): [LeaseKey, PeerState] => [peer.key, this.#stateOf(peer)]));
      return { attrs: this.#attrs(want.underlay.publicIp), peers };
    });
  }

  stats(): DataplaneStats {
    const none: PeerStats = { txPackets: 0n, txBytes: 0n, rxPackets: 0n, rxBytes: 0n };
    return {
      counters: { tx_packets: 0n, rx_packets: 0n },
      peers: new Map(this.programmed?.peers.map((peer) => [peer.key, none])),
    };
  }

  close(): Promise<void> {
    this.closed = true;
    this.#resolve();
    return Promise.resolve();
  }

  /** Ends it as a packet loop that crashed would. */
  die(error: Error): void {
    this.closed = true;
    this.#reject(error);
  }

  #stateOf(peer: Want["peers"][number]): PeerState {
    const injected = this.failing.get(peer.key);
    if (injected !== undefined) return { failed: injected };
    const { subnet, attrs } = peer;
    for (const family of [4, 6] as const) {
      if (!subnet[family] || !this.#vtep[family]) continue;
      if (!attrs.vtep[family]) return { failed: `the lease ${peer.key} has no VtepMAC for IPv${family}` };
    }
    return "in-sync";
  }

  #attrs(publicIp: PerFamily<Addr>): PlaneAttrs {
    return { backendType: "vxlan", vtep: this.#vtep, publicIp };
  }

  #opened(): Underlay {
    if (this.closed) throw new Error("the data plane is closed");
    if (!this.#underlay) throw new Error("the data plane is not open");
    return this.#underlay;
  }

  async #answer<T>(answer: () => T): Promise<T> {
    if (this.failure) throw this.failure;
    return answer();
  }
}
