import { Arena } from "../../sys/arena.ts";
import { Counters } from "./counters.ts";
import { ForwardingTable } from "./forwarding-table.ts";

// Tables and counters 6 MB, packets and datagrams 6 MB, the rest to spare: pages never touched cost nothing.
const ARENA_LEN = 20 * 1024 * 1024;

/** The part of the arena that the control thread and the packet loop share. Both lay it out by constructing this. */
export class LoopMemory {
  readonly arena: Arena;
  readonly counters: Counters;
  readonly table: ForwardingTable;
  readonly #orders: number;

  /** Without an arena: a new one. With: the other thread's. */
  constructor(arena: Arena = Arena.create(ARENA_LEN)) {
    this.arena = arena;
    this.#orders = arena.alloc(4, 64) >>> 2;
    this.counters = new Counters(arena);
    this.table = new ForwardingTable(arena);
  }

  /** How many orders the control thread has given. HOT PATH. */
  get orders(): number {
    return Atomics.load(this.arena.i32, this.#orders);
  }

  /** Tells the loop that a message waits for it. */
  announceOrder(): void {
    Atomics.add(this.arena.i32, this.#orders, 1);
  }
}
