// What else the data planes count beside packets: the counters marked "also" in pkg/dataplane/tun/counters.ts.
const EVENTS = new Set([
  "tx_blocked",
  "rx_merged",
  "rx_foreign_accepted",
  "rx_recv_errors",
  "tun_read_errors",
  "offload_steps_down",
  "loop_turns",
]);

export interface SplitCounters {
  /** By direction, "tx" or "rx". */
  readonly packets: ReadonlyMap<string, bigint>;
  readonly bytes: ReadonlyMap<string, bigint>;
  /** By the counter's name: the reason. */
  readonly drops: ReadonlyMap<string, bigint>;
  readonly events: ReadonlyMap<string, bigint>;
}

/** A data plane's counters by what they count. A counter that is new is a drop, as most are. */
export function splitCounters(counters: Readonly<Record<string, bigint>>): SplitCounters {
  const split = {
    packets: new Map<string, bigint>(),
    bytes: new Map<string, bigint>(),
    drops: new Map<string, bigint>(),
    events: new Map<string, bigint>(),
  };
  for (const [name, value] of Object.entries(counters)) {
    const [, direction, unit] = /^(tx|rx)_(packets|bytes)$/.exec(name) ?? [];
    if (direction !== undefined) (unit === "bytes" ? split.bytes : split.packets).set(direction, value);
    else (EVENTS.has(name) ? split.events : split.drops).set(name, value);
  }
  return split;
}
