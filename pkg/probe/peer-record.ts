import { formatAddr } from "../addr/addr.ts";
import type { PeerProbe, ProbeState } from "../api/probe.ts";
import type { ProbeTarget } from "./target.ts";

const WINDOW = 20;
// One lost echo is no news, nor are two.
const LOST_IN_A_ROW = 3;

/** What is known of one peer so far. */
export class PeerRecord {
  #target: ProbeTarget;
  /** When it was last asked, on the clock that never jumps. */
  askedAt = Number.NEGATIVE_INFINITY;
  /** When its path was last measured. */
  measuredAt = Number.NEGATIVE_INFINITY;
  mtu = 0;
  tcp: PeerProbe["tcp"] = "unknown";
  #state: ProbeState = "unknown";
  #since = 0;
  #rttMs = 0;
  #lastSeen = 0;
  #lastAnswer = 0;
  #missed = 0;
  /**
   * Since when echoes are lost, and how many packets had come from the peer at the last one. Not counted before that one's
   * time was over: what had been on its way when the silence began would pass for what came through it.
   */
  #silence: { readonly since: number; received: bigint | undefined; arrivedAt: number } | undefined;
  /** Of the last echoes, the newest last: whether they came back. */
  readonly #window: boolean[] = [];

  constructor(target: ProbeTarget) {
    this.#target = target;
  }

  get target(): ProbeTarget {
    return this.#target;
  }

  /** The same peer, as it is now. */
  see(target: ProbeTarget): void {
    this.#target = target;
    if (this.#silence) this.#silence.received ??= target.received;
  }

  get state(): ProbeState {
    return this.#state;
  }

  /** Whether its last echo was lost, and why is worth knowing soon. */
  get suspicious(): boolean {
    return this.#missed > 0 && this.#state !== "down" && this.#state !== "overlay-down";
  }

  get rttMs(): number {
    return this.#rttMs;
  }

  answered(rttMs: number, wall: number): void {
    this.#count(true);
    this.#missed = 0;
    this.#silence = undefined;
    this.#rttMs = rttMs;
    this.#lastSeen = this.#lastAnswer = wall;
    this.#enter("up", wall);
  }

  /** `underlay`: whether the node answers there. */
  missed(underlay: boolean, wall: number): void {
    this.#count(false);
    this.#missed++;
    if (underlay) this.#lastAnswer = wall;
    const { received } = this.#target;
    if (!this.#silence) this.#silence = { since: wall, received: undefined, arrivedAt: Number.NEGATIVE_INFINITY };
    else if (this.#arrives(received)) Object.assign(this.#silence, { received, arrivedAt: wall });
    if (this.#missed >= LOST_IN_A_ROW) this.#enter(underlay ? "overlay-down" : "down", wall);
  }

  /** Of a peer that has no address in the overlay: whether its node answers. */
  underlayOnly(answers: boolean, wall: number): void {
    this.#missed = answers ? 0 : this.#missed + 1;
    if (answers) this.#lastAnswer = wall;
    if (answers) this.#enter("up", wall);
    else if (this.#missed >= LOST_IN_A_ROW) this.#enter("down", wall);
  }

  /** `wall` and `patience`, both in milliseconds: now, and in what time a peer that lives has sent something. */
  plain(wall: number, patience: number): PeerProbe {
    const { key, overlay, underlay, mtu: wantedMtu } = this.#target;
    return {
      key,
      overlay: overlay ? formatAddr(overlay) : "",
      underlay: formatAddr(underlay),
      state: this.#state,
      since: this.#since,
      rttMs: this.#rttMs,
      sent: this.#window.length,
      lost: this.#window.filter((came) => !came).length,
      lastSeen: this.#lastSeen,
      lastAnswer: this.#lastAnswer,
      mtu: this.mtu,
      wantedMtu,
      tcp: this.tcp,
      inbound: this.#inbound(wall - patience),
    };
  }

  #inbound(longAgo: number): PeerProbe["inbound"] {
    const { received } = this.#target;
    const silence = this.#silence;
    if (this.#state !== "overlay-down" || received === undefined || silence?.received === undefined) return "unknown";
    if (this.#arrives(received) || silence.arrivedAt > longAgo) return "arrives";
    return silence.since <= longAgo ? "silent" : "unknown";
  }

  #arrives(received: bigint | undefined): boolean {
    const before = this.#silence?.received;
    return received !== undefined && before !== undefined && received > before;
  }

  #enter(state: ProbeState, wall: number): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#since = wall;
  }

  #count(came: boolean): void {
    this.#window.push(came);
    if (this.#window.length > WINDOW) this.#window.shift();
  }
}
