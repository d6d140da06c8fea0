import type { Family } from "../../addr/family.ts";
import { Lock } from "../../base/lock.ts";
import type { Logger } from "../../base/logger.ts";
import { type Host, NFT_FAMILY, type NftChain } from "../../host/host.ts";
import type { Destination } from "./peer-entries.ts";
import { INPUT, NEWCOMERS, podRules, SENDER_TABLE, type SenderRule, senderChains } from "./sender-rules.ts";

/**
 * Keeps the sender rules of one family in nftables, in a table of their own that is written whole in one transaction. nft
 * may word a rule differently from how it was given, so what the kernel has is compared with what it showed right after
 * our last write; the first pass of a run therefore always writes.
 */
export class SenderTable {
  readonly #host: Host;
  readonly #family: Family;
  readonly #log: Logger;
  #wrote = "";
  #shown: string | undefined;
  /** Who was let in since the last reconcile began: its rules may not know them. */
  #admitted: Destination[] = [];
  /** Whether the table has rules for newcomers. */
  #hasNewcomers = false;
  /** Who writes. */
  readonly #lock = new Lock();
  #counters: readonly (string | undefined)[] = [];
  /** What the tables before the present one have counted, and the present one at its last reading. */
  readonly #before = new Map<string, bigint>();
  readonly #now = new Map<string, bigint>();

  constructor(host: Host, family: Family, log: Logger) {
    this.#host = host;
    this.#family = family;
    this.#log = log;
  }

  /** Makes the table hold these rules. Throws a HostError. */
  async reconcile(rules: readonly SenderRule[]): Promise<void> {
    this.#admitted = [];
    const wrote = JSON.stringify(rules.map(({ expr }) => expr));
    const wanted = wrote === this.#wrote && !this.#hasNewcomers;
    const have = await this.#read();
    // Where somebody has been let in meanwhile the next reconcile follows at once, and rewrites the table.
    if (wanted && (have === this.#shown || this.#admitted.length > 0)) return;
    await this.#lock.run(async () => {
      const chains = senderChains(rules, podRules(this.#family, this.#admitted));
      await this.#host.setNftTable(NFT_FAMILY[this.#family], SENDER_TABLE, chains);
      this.#hasNewcomers = this.#admitted.length > 0;
    });
    for (const [name, count] of this.#now) this.#before.set(name, (this.#before.get(name) ?? 0n) + count);
    this.#now.clear();
    this.#counters = rules.map(({ counter }) => counter);
    this.#wrote = wrote;
    this.#shown = await this.#read();
    if (wanted && !this.#hasNewcomers) {
      this.#log.warn("the rules that check senders had been changed by somebody else, put back", {
        family: this.#family,
      });
    }
  }

  /**
   * Lets in what comes from these peers' pods from now on, until the next reconcile decides; also while one is under way.
   * Throws a HostError.
   */
  async admit(peers: readonly Destination[]): Promise<void> {
    if (this.#shown === undefined || peers.length === 0) return;
    this.#admitted.push(...peers);
    await this.#lock.run(async () => {
      this.#hasNewcomers = true;
      for (const { expr } of podRules(this.#family, peers)) {
        await this.#host.addNftRule(NFT_FAMILY[this.#family], SENDER_TABLE, NEWCOMERS, expr);
      }
    });
  }

  /** What the rules have counted in this run, by name; as of the last reconcile. */
  counts(): ReadonlyMap<string, bigint> {
    const sum = new Map(this.#before);
    for (const [name, count] of this.#now) sum.set(name, (sum.get(name) ?? 0n) + count);
    return sum;
  }

  // The table as text without what its rules have counted, which is noted.
  async #read(): Promise<string> {
    const chains = await this.#host.nftTable(NFT_FAMILY[this.#family], SENDER_TABLE);
    this.#count(chains);
    return JSON.stringify(chains, (key, value: unknown) => (key === "counter" ? null : value));
  }

  #count(chains: readonly NftChain[] | undefined): void {
    const rules = chains?.find(({ name }) => name === INPUT)?.rules ?? [];
    if (rules.length !== this.#counters.length) return;
    this.#now.clear();
    for (const [i, name] of this.#counters.entries()) {
      if (name === undefined) continue;
      const packets = rules[i]?.map(packetsOf).find((count) => count !== undefined) ?? 0;
      this.#now.set(name, (this.#now.get(name) ?? 0n) + BigInt(packets));
    }
  }
}

/** Takes the rules away, of every family. */
export async function removeSenderTables(host: Host, families: readonly Family[]): Promise<void> {
  if (families.length === 0) return;
  const tables = await host.nftTables();
  for (const family of families) {
    if (!tables.has(`${NFT_FAMILY[family]} ${SENDER_TABLE}`)) continue;
    await host.setNftTable(NFT_FAMILY[family], SENDER_TABLE, undefined);
  }
}

function packetsOf(expr: object): number | undefined {
  const { counter } = expr as { readonly counter?: { readonly packets?: number } | null };
  return counter?.packets;
}
