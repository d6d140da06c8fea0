import type { Addr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";

import { Commands, type Execute } from "./command.ts";
import type {
  FdbEntry,
  ForwardChain,
  Host,
  HostChange,
  HostError,
  IptablesVariant,
  Link,
  LinkCounters,
  Neighbour,
  NftChain,
  NftFamily,
  NftTables,
  Route,
  RouteLookup,
  WatchOptions,
} from "./host.ts";
import { applyChanges } from "./batch.ts";
import { readLinkCounters } from "./counters.ts";
import { readLinks, readRouteTo, readRoutes } from "./ip.ts";
import { readIptablesInUse, removeChain, writeForwardChain } from "./iptables.ts";
import { readFdb, readNeighbours } from "./neighbours.ts";
import { addNftRule, readForwardChains, readNftTable, readNftTables, writeNftTable } from "./nft.ts";
import { readSysctl, writeSysctl } from "./sysctl.ts";
import { watchHost } from "./watch.ts";

/** The Linux host that we run on, or another network namespace of it. */
export class LinuxHost implements Host {
  readonly #commands: Commands;
  /** The sysctls that somebody has asked for, with what they were then. */
  readonly #sysctls = new Map<string, string | undefined>();

  /**
   * `netns` names a namespace of ip-netns(8); without it, our own. `onRun` is told of each tool started; `execute` starts
   * them, in place of Node's spawn (execute.ts).
   */
  constructor(
    options: { readonly netns?: string; readonly onRun?: (tool: string) => void; readonly execute?: Execute } = {},
  ) {
    this.#commands = new Commands(options.netns, options.onRun, options.execute);
  }

  links(): Promise<readonly Link[]> {
    return readLinks(this.#commands);
  }

  routes(family: Family): Promise<readonly Route[]> {
    return readRoutes(this.#commands, family);
  }

  neighbours(dev: string): Promise<readonly Neighbour[]> {
    return readNeighbours(this.#commands, dev);
  }

  fdb(dev: string): Promise<readonly FdbEntry[]> {
    return readFdb(this.#commands, dev);
  }

  linkCounters(dev: string): LinkCounters | undefined {
    return readLinkCounters(this.#commands, dev);
  }

  watch(options: WatchOptions): Promise<void> {
    return watchHost(this.#commands, this.#sysctls, options);
  }

  routeTo(addr: Addr): Promise<RouteLookup | undefined> {
    return readRouteTo(this.#commands, addr);
  }

  apply(changes: readonly HostChange[]): Promise<readonly (HostError | undefined)[]> {
    return applyChanges(this.#commands, changes);
  }

  async sysctl(path: string): Promise<string | undefined> {
    const value = await readSysctl(this.#commands, path);
    this.#sysctls.set(path, value);
    return value;
  }

  async setSysctl(path: string, value: string): Promise<void> {
    await writeSysctl(this.#commands, path, value);
    this.#sysctls.set(path, value);
  }

  setNftTable(family: NftFamily, name: string, chains: readonly NftChain[] | undefined): Promise<void> {
    return writeNftTable(this.#commands, family, name, chains);
  }

  nftTable(family: NftFamily, name: string): Promise<readonly NftChain[] | undefined> {
    return readNftTable(this.#commands, family, name);
  }

  nftTables(): Promise<NftTables> {
    return readNftTables(this.#commands);
  }

  addNftRule(family: NftFamily, table: string, chain: string, rule: readonly object[]): Promise<void> {
    return addNftRule(this.#commands, family, table, chain, rule);
  }

  iptablesInUse(family: Family, tables?: NftTables): Promise<readonly IptablesVariant[]> {
    return readIptablesInUse(this.#commands, family, tables);
  }

  setForwardChain(
    family: Family,
    variant: IptablesVariant,
    chain: string,
    rules: readonly (readonly string[])[] | undefined,
  ): Promise<boolean> {
    return writeForwardChain(this.#commands, family, variant, chain, rules);
  }

  removeIptablesChain(
    family: Family,
    variant: IptablesVariant,
    where: Parameters<Host["removeIptablesChain"]>[2],
    tables?: NftTables,
  ): Promise<boolean> {
    return removeChain(this.#commands, family, variant, where, tables);
  }

  foreignForwardChains(family: Family, tables?: NftTables): Promise<readonly ForwardChain[]> {
    return readForwardChains(this.#commands, family, tables);
  }
}
