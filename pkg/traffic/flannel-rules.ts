// What flannel leaves in the packet filter: it removes nothing when it stops.

import type { Family } from "../addr/family.ts";
import type { Host, NftTables } from "../host/host.ts";

const CHAINS = [
  { table: "filter", hook: "FORWARD", chain: "FLANNEL-FWD" },
  { table: "nat", hook: "POSTROUTING", chain: "FLANNEL-POSTRTG" },
] as const;

// Where EnableNFTables is set.
const TABLES = { 4: { family: "ip", name: "flannel-ipv4" }, 6: { family: "ip6", name: "flannel-ipv6" } } as const;

/**
 * Removes flannel's rules of one family, of iptables in both variants and of nftables, whose tables are given. Resolves
 * to what there was, by name; throws a HostError.
 */
export async function removeFlannelRules(host: Host, family: Family, tables: NftTables): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const variant of ["nft", "legacy"] as const) {
    for (const where of CHAINS) {
      const found = await host.removeIptablesChain(family, variant, where, tables);
      if (found) removed.push(`${where.chain} of iptables-${variant}`);
    }
  }
  const table = TABLES[family];
  const key = `${table.family} ${table.name}`;
  if (tables.has(key)) {
    await host.setNftTable(table.family, table.name, undefined);
    removed.push(`table ${key}`);
  }
  return removed;
}
