import { readFileSync } from "node:fs";
import { systemClock } from "../../pkg/base/clock.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { parseProcessStat } from "../bench/measure/cpu-time.ts";

/** Looks at the processor time of a node's agent from now on. */
export class IdleCpu {
  readonly #path: string;
  readonly #start = systemClock.now();
  readonly #before: number;

  constructor(node: Node) {
    this.#path = `/proc/${node.twilld?.pid}/stat`;
    this.#before = this.#seconds();
  }

  /** Percent of one core since then, the kernel's work in its system calls included. */
  percent(): number {
    return ((this.#seconds() - this.#before) / ((systemClock.now() - this.#start) / 1000)) * 100;
  }

  #seconds(): number {
    return parseProcessStat(readFileSync(this.#path, "utf8"));
  }
}
