import type { Family } from "../../addr/family.ts";
import type { LeaseKey } from "../../lease/lease.ts";
import { MAX_ROWS } from "./forwarding-table.ts";

/** Which row of the tables belongs to which peer and family. A peer keeps its row, and so its counters, while it is there. */
export class Slots {
  readonly #slots = new Map<string, number>();
  readonly #free: number[] = [];
  #next = 0;

  /** The peer's row, a new one where it has none yet; undefined when all are taken. */
  take(key: LeaseKey, family: Family): number | undefined {
    const name = `${family} ${key}`;
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    // Rows given back are used last, so that the loop has long forgotten them.
    const slot = this.#next < MAX_ROWS ? this.#next++ : this.#free.shift();
    if (slot !== undefined) this.#slots.set(name, slot);
    return slot;
  }

  get(key: LeaseKey, family: Family): number | undefined {
    return this.#slots.get(`${family} ${key}`);
  }

  /** Gives back the rows of peers that are not among `keys`. Returns the rows. */
  keep(keys: ReadonlySet<LeaseKey>): number[] {
    const freed: number[] = [];
    for (const [name, slot] of this.#slots) {
      if (keys.has(name.slice(2))) continue;
      this.#slots.delete(name);
      this.#free.push(slot);
      freed.push(slot);
    }
    return freed;
  }
}
