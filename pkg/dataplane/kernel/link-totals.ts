import type { Host, LinkCounters } from "../../host/host.ts";

const NAMES = {
  tx_packets: "txPackets",
  tx_bytes: "txBytes",
  tx_errors: "txErrors",
  tx_dropped: "txDropped", // no forwarding entry, or no room on the way
  rx_packets: "rxPackets",
  rx_bytes: "rxBytes",
  rx_errors: "rxErrors",
  rx_dropped: "rxDropped",
} as const satisfies Record<string, keyof LinkCounters>;

/** What some interfaces have counted together since `start`, also where one was made anew in between. */
export class LinkTotals {
  readonly #host: Host;
  readonly #devices: readonly string[];
  readonly #last = new Map<string, LinkCounters>();
  readonly #sum = new Map<keyof LinkCounters, bigint>();

  constructor(host: Host, devices: readonly string[]) {
    this.#host = host;
    this.#devices = devices;
  }

  start(): void {
    for (const dev of this.#devices) {
      const now = this.#host.linkCounters(dev);
      if (now) this.#last.set(dev, now);
    }
  }

  /** By counter name. */
  read(): Record<string, bigint> {
    for (const dev of this.#devices) {
      const now = this.#host.linkCounters(dev);
      if (!now) continue;
      const last = this.#last.get(dev);
      this.#last.set(dev, now);
      // A device that counts from 0 again is another one.
      const anew = !last || now.rxPackets < last.rxPackets || now.txPackets < last.txPackets;
      for (const key of Object.values(NAMES)) {
        this.#sum.set(key, (this.#sum.get(key) ?? 0n) + now[key] - (anew ? 0n : last[key]));
      }
    }
    return Object.fromEntries(Object.entries(NAMES).map(([name, key]) => [name, this.#sum.get(key) ?? 0n]));
  }
}
