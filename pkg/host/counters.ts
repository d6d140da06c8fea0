import type { Commands } from "./command.ts";
import type { LinkCounters } from "./host.ts";

/** See Host.linkCounters. */
export function readLinkCounters(commands: Commands, dev: string): LinkCounters | undefined {
  // net/core/net-procfs.c, dev_seq_printf_stats: "dev:", then eight counters of receiving and eight of sending, each
  // beginning with bytes, packets, errors, dropped.
  for (const line of commands.readSync("/proc/net/dev")?.split("\n") ?? []) {
    const colon = line.lastIndexOf(":");
    if (colon < 0 || line.slice(0, colon).trim() !== dev) continue;
    const numbers = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/);
    const at = (i: number): bigint => BigInt(numbers[i] ?? "0");
    return {
      rxBytes: at(0),
      rxPackets: at(1),
      rxErrors: at(2),
      rxDropped: at(3),
      txBytes: at(8),
      txPackets: at(9),
      txErrors: at(10),
      txDropped: at(11),
    };
  }
  return undefined;
}
