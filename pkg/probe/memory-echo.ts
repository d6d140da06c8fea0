import { type Addr, formatAddr } from "../addr/addr.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Echo, Reply } from "./echo.ts";

/** What an address answers: after how long, and up to which size of packet. */
export interface Answer {
  readonly rttMs: number;
  readonly mtu?: number;
}

/** Echoes in memory for tests: addresses that are not in `answers` are silent. */
export class MemoryEcho implements Echo {
  readonly answers = new Map<string, Answer>();
  /** Everything asked, "10.5.1.0 64", in order. */
  readonly asked: string[] = [];
  /** As without CAP_NET_RAW. */
  forbidden = false;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async ping(target: Addr, size: number, timeoutMs: number): Promise<Reply> {
    const address = formatAddr(target);
    if (this.forbidden) return { none: "forbidden" };
    this.asked.push(`${address} ${size}`);
    const answer = this.answers.get(address);
    const heard = answer !== undefined && size <= (answer.mtu ?? size) && answer.rttMs <= timeoutMs;
    await sleep(this.#clock, heard ? answer.rttMs : timeoutMs);
    return heard ? { rttMs: answer.rttMs } : { none: "lost" };
  }

  close(): void {}
}
