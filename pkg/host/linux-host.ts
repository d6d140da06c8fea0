import type { Addr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";

import { Commands } from "./command.ts";
import type {
  ForwardChain,
  Host,
  HostChange,
  HostError,
  IptablesVariant,
  Link,
  NftChain,
  NftFamily,
  Route,
  RouteLookup,
} from "./host.ts";
import { applyChanges, readLinks, readRouteTo, readRoutes } from "./ip.ts";
import { readIptablesInUse, writeForwardChain } from "./iptables.ts";
import { readForwardChains, readNftTable, writeNftTable } from "./nft.ts";
import { readSysctl, writeSysctl } from "./sysctl.ts";

/** The Linux host that we run on, or another network namespace of it. */
export class LinuxHost implements Host {
  readonly #commands: Commands;

  /** `netns` names a namespace of ip-netns(8); without it, our own. */
  constructor(options: { readonly netns?: string } = {}) {
    this.#commands = new Commands(options.netns);
  }

  links(): Promise<readonly Link[]> {
    return readLinks(this.#commands);
  }

  routes(family: Family): Promise<readonly Route[]> {
    return readRoutes(this.#commands, family);
  }

  routeTo(addr: Addr): Promise<RouteLookup | undefined> {
    return readRouteTo(this.#commands, addr);
  }

  apply(changes: readonly HostChange[]): Promise<readonly (HostError | undefined)[]> {
    return applyChanges(this.#commands, changes);
  }

  sysctl(path: string): Promise<string | undefined> {
    return readSysctl(this.#commands, path);
  }

  setSysctl(path: string, value: string): Promise<void> {
    return writeSysctl(this.#commands, path, value);
  }

  setNftTable(family: NftFamily, name: string, chains: readonly NftChain[] | undefined): Promise<void> {
    return writeNftTable(this.#commands, family, name, chains);
  }

  nftTable(family: NftFamily, name: string): Promise<readonly NftChain[] | undefined> {
    return readNftTable(this.#commands, family, name);
  }

  iptablesInUse(family: Family): Promise<readonly IptablesVariant[]> {
    return readIptablesInUse(this.#commands, family);
  }

  setForwardChain(
    family: Family,
    variant: IptablesVariant,
    chain: string,
    rules: readonly (readonly string[])[] | undefined,
  ): Promise<boolean> {
    return writeForwardChain(this.#commands, family, variant, chain, rules);
  }

  foreignForwardChains(family: Family): Promise<readonly ForwardChain[]> {
    return readForwardChains(this.#commands, family);
  }
}
