import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { WakeFd } from "../../sys/wake-fd.ts";
import { LoopMemory } from "./loop-memory.ts";
import type { LoopEnds, Order, Told, WorkerData } from "./worker.ts";

// Of a call into libc an address is left behind, 16 bytes each. V8's 1 MB for what is young is full of them twice a second
// where each packet is a call, as with small UDP; this lasts for seconds. Only threads that start from now on heed it.
const YOUNG_GENERATION = "--min-semi-space-size=8"; // MB

/** The thread of the packet loop, seen from the control thread. */
export class LoopThread {
  readonly memory = new LoopMemory();
  /** Settles when the thread has ended: fulfilled after stop, rejected with why it died. */
  readonly ended: Promise<void>;
  readonly #running = Promise.withResolvers<void>();
  readonly #wake = new WakeFd();
  readonly #worker: Worker;
  #stopping = false;

  /** Starts it. `script` is cmd/twilld/packet-loop.ts; `onStepDown` hears of an offload that the kernel came to refuse. */
  constructor(script: URL, onStepDown: (offload: string) => void) {
    const workerData: WorkerData = { memory: this.memory.arena.memory, wakeFd: this.#wake.fd };
    setFlagsFromString(YOUNG_GENERATION);
    const worker = new Worker(script, { workerData, name: "packet-loop" });
    this.#worker = worker;
    worker.on("message", (told: Told) => {
      if (told === "running") this.#running.resolve();
      else onStepDown(told.steppedDown);
    });
    this.ended = new Promise((resolve, reject) => {
      let failure: Error | undefined;
      worker.on("error", (error: Error) => {
        failure = error;
      });
      worker.on("exit", (code) => {
        if (this.#stopping) return resolve();
        const cause = failure ?? new Error(`its thread ended with code ${code}`);
        reject(new Error("the packet loop died", { cause }));
      });
    });
    // Whoever owns it waits for `ended`; until then a rejection must not count as unhandled.
    this.ended.catch(() => {});
  }

  /** Fulfilled when it carries packets, by the table that it was given before it began. */
  get running(): Promise<void> {
    return this.#running.promise;
  }

  /** Sets it to work, once. */
  carry(ends: LoopEnds): void {
    this.order({ kind: "carry", ends });
  }

  /** Carried out between two turns of the loop, in the order given. */
  order(order: Order): void {
    this.#worker.postMessage(order);
    this.memory.announceOrder();
    this.#wake.wake();
  }

  /** Resolves when it has ended; what it worked on may be closed then. Idempotent. */
  async stop(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      this.order({ kind: "stop" });
      await this.ended.catch(() => {}); // it died before: told by then
      this.#wake.close();
    }
    await this.ended.catch(() => {});
  }
}
