import { FAMILIES, type Family, type PerFamily } from "../addr/family.ts";
import { type Prefix, formatPrefix } from "../addr/prefix.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { chainsAgainstPods } from "../host/forward-chains.ts";
import { type Host, NFT_FAMILY, type NftChain, type NftTables } from "../host/host.ts";

import { removeFlannelRules } from "./flannel-rules.ts";
import { masqueradeChain } from "./masquerade.ts";

// Pods' traffic through this node's packet filter, in two parts.
//
// Masquerading lives in nftables tables of our own, `ip twill` and `ip6 twill`, each written whole in one transaction.
// nft may word a rule differently from how it was given, so what the kernel has is compared with what it showed right
// after our last write, not with what we wrote; the first pass of a run therefore always writes.
//
// Forwarding: where somebody has set FORWARD to DROP, an accept in a table of ours would not help, since a packet must
// pass every base chain. So the accepts go where the drop is: into a chain of iptables that FORWARD jumps to first, in
// each variant (nft, legacy) that is in use. A variant that nobody uses is left alone.

const TABLE = "twill";
const CHAIN = "TWILL-FWD";

export interface TrafficWant {
  /** The pod network and this node's part of it. */
  readonly network: PerFamily<Prefix>;
  readonly own: PerFamily<Prefix>;
  readonly ipMasq: boolean;
  readonly randomFully: boolean;
  readonly forwardRules: boolean;
  /** Interfaces whose packets the host forwards for us, wherever they go. */
  readonly devices: readonly string[];
}

/** Keeps masquerading and forward accepts as they should be. Calls must not overlap. */
export class Traffic {
  readonly #host: Host;
  readonly #log: Logger;
  /** What we wrote last, and what the kernel showed right after it. */
  readonly #masquerade: { [F in Family]?: { readonly wrote: string; readonly shown: string } } = {};
  /** The forward accepts that were in place after the last pass, by variant and family. */
  readonly #forward = new Map<string, string>();
  readonly #takenOver = new Set<Family>();
  readonly #drops = new Map<Family, readonly string[]>();

  constructor(options: { readonly host: Host; readonly log: Logger }) {
    this.#host = options.host;
    this.#log = options.log;
  }

  /** What others do to pods' traffic, as seen in the last pass, and is not ours to change: a sentence each. */
  get doubts(): readonly string[] {
    const chains = new Set([...this.#drops.values()].flat());
    return [...chains].map((name) => `the nftables chain ${name} drops what pods forward: it must accept them itself`);
  }

  /**
   * Makes the rules what `want` says; writes only where something differs. Resolves to what could not be done, one
   * sentence each; never rejects.
   */
  async reconcile(want: TrafficWant): Promise<readonly string[]> {
    const problems: string[] = [];
    // Asked once for all: most of what is looked for below is on few hosts. What comes later tells by an event.
    const tables = this.#host.nftTables();
    for (const family of FAMILIES) {
      const network = want.network[family];
      const own = want.own[family];
      const masquerade = want.ipMasq && network && own ? [masqueradeChain(network, own, want.randomFully)] : undefined;
      await attempt(problems, `masquerade pods over IPv${family}`, async () =>
        this.#setMasquerade(family, masquerade, await tables),
      );
      const accepts = want.forwardRules && network ? forwardRules(network, want.devices) : undefined;
      await attempt(problems, `accept pods' IPv${family} traffic in FORWARD`, async () =>
        this.#setForward(family, accepts, await tables),
      );
      if (accepts && network)
        await attempt(problems, `see who drops IPv${family} traffic`, async () =>
          this.#tellDrops(family, network, want.devices, await tables),
        );
      await attempt(problems, `remove flannel's IPv${family} rules`, async () => this.#takeOver(family, await tables));
    }
    return problems;
  }

  // Once a run, and after our rules are in place: a flanneld that still runs would put its own back for ever.
  async #takeOver(family: Family, tables: NftTables): Promise<void> {
    if (this.#takenOver.has(family)) return;
    for (const rules of await removeFlannelRules(this.#host, family, tables)) {
      this.#log.info("removed what flannel has left", { family, rules });
    }
    this.#takenOver.add(family);
  }

  async #setMasquerade(family: Family, chains: readonly NftChain[] | undefined, tables: NftTables): Promise<void> {
    const present = tables.has(`${NFT_FAMILY[family]} ${TABLE}`);
    const last = this.#masquerade[family];
    if (!chains) {
      delete this.#masquerade[family];
      if (!present) return;
      await this.#host.setNftTable(NFT_FAMILY[family], TABLE, undefined);
      this.#log.info("masquerade rules removed", { family });
      return;
    }
    const wrote = JSON.stringify(chains);
    const wanted = last?.wrote === wrote;
    if (wanted && present && last.shown === (await this.#shown(family))) return;
    await this.#host.setNftTable(NFT_FAMILY[family], TABLE, chains);
    this.#masquerade[family] = { wrote, shown: await this.#shown(family) };
    if (wanted) this.#log.warn("masquerade rules had been changed by somebody else, put back", { family });
    else this.#log.info("masquerade rules written", { family });
  }

  async #shown(family: Family): Promise<string> {
    return JSON.stringify(await this.#host.nftTable(NFT_FAMILY[family], TABLE));
  }

  async #setForward(
    family: Family,
    rules: readonly (readonly string[])[] | undefined,
    tables: NftTables,
  ): Promise<void> {
    for (const variant of await this.#host.iptablesInUse(family, tables)) {
      const changed = await this.#host.setForwardChain(family, variant, CHAIN, rules);
      const key = `${variant} ${family}`;
      const wrote = JSON.stringify(rules);
      const wanted = this.#forward.get(key) === wrote;
      if (rules) this.#forward.set(key, wrote);
      else this.#forward.delete(key);
      if (!changed) continue;
      const fields = { family, iptables: variant };
      if (!rules) this.#log.info("forward rules removed", fields);
      else if (wanted) this.#log.warn("forward rules had been changed by somebody else, put back", fields);
      else this.#log.info("forward rules written", fields);
    }
  }

  // Once for each chain, as long as it stands.
  async #tellDrops(family: Family, network: Prefix, devices: readonly string[], tables: NftTables): Promise<void> {
    const told = this.#drops.get(family) ?? [];
    const chains = await chainsAgainstPods(this.#host, family, [formatPrefix(network)], devices, tables);
    const names = chains.map(({ name }) => name);
    this.#drops.set(family, names);
    for (const chain of names.filter((name) => !told.includes(name))) {
      this.#log.warn("an nftables chain drops forwarded packets by policy: it must accept the pod network itself", {
        family,
        chain,
      });
    }
  }
}

/** Takes away everything that a Traffic makes, without one, and what flannel has left. Resolves to what could not be done, one sentence each. */
export async function removeTraffic(host: Host): Promise<readonly string[]> {
  const problems: string[] = [];
  const tables = host.nftTables();
  for (const family of FAMILIES) {
    await attempt(problems, `remove the IPv${family} masquerade rules`, async () => {
      const present = (await tables).has(`${NFT_FAMILY[family]} ${TABLE}`);
      if (present) await host.setNftTable(NFT_FAMILY[family], TABLE, undefined);
    });
    for (const variant of ["nft", "legacy"] as const) {
      await attempt(problems, `remove the IPv${family} forward rules of iptables-${variant}`, async () => {
        await host.setForwardChain(family, variant, CHAIN, undefined);
      });
    }
    await attempt(problems, `remove flannel's IPv${family} rules`, async () => {
      await removeFlannelRules(host, family, await tables);
    });
  }
  return problems;
}

function forwardRules(network: Prefix, devices: readonly string[]): readonly (readonly string[])[] {
  const accept = (comment: string): string[] => ["-m", "comment", "--comment", comment, "-j", "ACCEPT"];
  return [
    ...["-s", "-d"].map((side) => [side, formatPrefix(network), ...accept("twill: pods")]),
    ...devices.map((device) => ["-i", device, ...accept("twill: tunnel")]),
  ];
}

async function attempt(problems: string[], what: string, fn: () => Promise<void>): Promise<void> {
  try {
    await fn();
  } catch (error) {
    problems.push(`cannot ${what}: ${describeError(error)}`);
  }
}
