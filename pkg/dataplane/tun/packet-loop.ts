import type { Arena } from "../../sys/arena.ts";
import { errnoName } from "../../sys/errors.ts";
import { POLLIN, POLLOUT, PollSet } from "../../sys/poll-set.ts";
import { drainWakeFd } from "../../sys/wake-fd.ts";
import type { Device } from "../../tun/device.ts";
import type { Bind } from "../../underlay/bind.ts";
import type { DgramBind } from "../../underlay/dgram-bind.ts";
import { COUNTER, type Counters } from "./counters.ts";
import type { ForwardingTable } from "./forwarding-table.ts";
import { Receive } from "./receive.ts";
import { Transmit } from "./transmit.ts";
import type { TunnelGso } from "./tunnel-gso.ts";

// A sleep ends at the latest after this, so that loop_turns tells an idle loop from a stuck one.
export const LONGEST_SLEEP_MS = 1000;

// After a packet the next mostly comes in a moment: an acknowledgement, the rest of a stream. A sleep costs a wake-up at
// both ends. Measured (ARCHITECTURE.md, "Threads of the tun plane"): two looks, with a yield after each, carried more for
// less CPU; 4 and 20 were no better, 100 and 400 worse.
const LOOKS = 2;

/** What one loop carries: from the pods ("transmit"), to them ("receive"), or both ways. */
export type Side = "both" | "transmit" | "receive";

/** The packet loop: carries packets both ways between a device and a bind, through one table of peers. */
export class PacketLoop {
  readonly receive: Receive;
  readonly transmit: Transmit;
  readonly #arena: Arena;
  readonly #device: Device;
  readonly #bind: Bind;
  readonly #counters: Counters;

  /**
   * With `merge`, received packets that follow each other in one flow go to the device joined; with `tunnel`, TCP goes
   * out through it while it is on.
   */
  constructor(
    arena: Arena,
    device: Device,
    bind: Bind,
    table: ForwardingTable,
    counters: Counters,
    options: { readonly merge: boolean; readonly tunnel?: TunnelGso | undefined } = { merge: false },
  ) {
    this.#arena = arena;
    this.#device = device;
    this.#bind = bind;
    this.#counters = counters;
    this.receive = new Receive(arena, device, bind, table, counters, options);
    this.transmit = new Transmit(arena, device, bind, table, counters, options.tunnel);
  }

  /**
   * One turn, within bounds in both directions, so that neither starves the other. Returns whether anything moved.
   * Throws when the device is gone. HOT PATH.
   */
  turn(receive = true, transmit = true): boolean {
    this.#counters.add(COUNTER.loop_turns, 1);
    const received = receive ? this.receive.turn() : 0;
    const sent = transmit ? this.transmit.turn() : 0;
    const fault = this.receive.fault || this.transmit.fault;
    if (fault !== 0) throw new Error(`the TUN device ${this.#device.name} is gone (${errnoName(fault)})`);
    return received > 0 || sent > 0;
  }

  /**
   * Turns until `control` answers false. It is called before every sleep and must be cheap; whoever wants it called in a
   * sleep writes to `wakeFd`. A turn takes the sides that poll(2) says are ready, and no call is spent on the other.
   * With a `side`, another loop on the same descriptors carries the other. HOT PATH.
   */
  run(wakeFd: number, control: () => boolean, side: Side = "both"): void {
    const transmits = side !== "receive";
    const fromUdp = side === "transmit" ? 0 : POLLIN;
    const fds = [wakeFd, this.#device.fd, ...this.#bind.fds];
    const poll = new PollSet(this.#arena, fds);
    const scratch = this.#arena.alloc(8, 8);
    poll.want(0, POLLIN);
    let moved = false;
    while (control()) {
      const { blocked } = this.transmit;
      poll.want(1, blocked || !transmits ? 0 : POLLIN);
      const { fullFd } = this.#bind;
      for (let i = 2; i < fds.length; i++) poll.want(i, blocked && fds[i] === fullFd ? fromUdp | POLLOUT : fromUdp);
      if (!moved || !poll.glance(LOOKS)) poll.wait(LONGEST_SLEEP_MS);
      if (poll.ready(0) !== 0) drainWakeFd(wakeFd, this.#arena, scratch);
      let receive = false;
      let writable = false;
      for (let i = 2; i < fds.length; i++) {
        const ready = poll.ready(i);
        if ((ready & ~POLLOUT) !== 0) receive = true;
        if ((ready & POLLOUT) !== 0) writable = true;
      }
      moved = this.turn(receive && fromUdp !== 0, transmits && (blocked ? writable : poll.ready(1) !== 0));
    }
  }

  /** The same for a DgramBind, which receives through the event loop of this thread. */
  async runEvented(wakeFd: number, bind: DgramBind, control: () => boolean): Promise<void> {
    const poll = new PollSet(this.#arena, [wakeFd, this.#device.fd]);
    const scratch = this.#arena.alloc(8, 8);
    poll.want(0, POLLIN);
    poll.want(1, POLLIN);
    let polling: Promise<void> | undefined;
    let stirred = (): void => {};
    bind.onReadable = () => stirred();
    while (control()) {
      if (this.turn()) {
        await new Promise((resolve) => setImmediate(resolve)); // lets datagrams in
        continue;
      }
      const readable = new Promise<void>((resolve) => {
        stirred = resolve;
      });
      polling ??= poll.waitAside(LONGEST_SLEEP_MS).finally(() => {
        drainWakeFd(wakeFd, this.#arena, scratch);
        polling = undefined;
      });
      await Promise.race([polling, readable]);
    }
    await polling; // it watches descriptors that the owner closes next
  }
}
