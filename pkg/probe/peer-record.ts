import { formatAddr } from "../addr/addr.ts";
import type { PeerProbe, ProbeState } from "../api/probe.ts";
import type { ProbeTarget } from "./target.ts";

const WINDOW = 20;
// One lost echo is no news, nor are two.
const LOST_IN_A_ROW = 3;

/** What is known of one peer so far. */
export class PeerRecord {
  target: ProbeTarget;
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
  #missed = 0;
  /** When the echoes began to be lost, and how many packets had come from the peer by then. */
  #silence: { readonly since: number; readonly received: bigint | undefined } | undefined;
  /** Of the last echoes, the newest last: whether they came back. */
  readonly #window: boolean[] = [];

  constructor(target: ProbeTarget) {
    this.target = target;
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
    this.#lastSeen = wall;
    this.#enter("up", wall);
  }

  /** `underlay`: whether the node answers there. */
  missed(underlay: boolean, wall: number): void {
    this.#count(false);
    this.#missed++;
    this.#silence ??= { since: wall, received: this.target.received };
    if (this.#missed >= LOST_IN_A_ROW) this.#enter(underlay ? "overlay-down" : "down", wall);
  }

  /** Of a peer that has no address in the overlay: whether its node answers. */
  underlayOnly(answers: boolean, wall: number): void {
    this.#missed = answers ? 0 : this.#missed + 1;
    if (answers) this.#enter("up", wall);
    else if (this.#missed >= LOST_IN_A_ROW) this.#enter("down", wall);
  }

  /** `wall` and `patience`, both in milliseconds: now, and in what time a peer that lives has sent something. */
  plain(wall: number, patience: number): PeerProbe {
    const { key, overlay, underlay, mtu: wantedMtu } = this.target;
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
      mtu: this.mtu,
      wantedMtu,
      tcp: this.tcp,
      inbound: this.#inbound(wall - patience),
    };
  }

  #inbound(longAgo: number): PeerProbe["inbound"] {
    const { received } = this.target;
    if (this.#state !== "overlay-down" || received === undefined || this.#silence?.received === undefined)
      return "unknown";
    if (received > this.#silence.received) return "arrives";
    return this.#silence.since <= longAgo ? "silent" : "unknown";
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
