import { formatAddr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import { parsePrefix } from "../addr/prefix.ts";
import type { ForwardChain, Host, NftTables } from "./host.ts";

/** What the bridge plugin calls the bridge of the pods, with flannel too. */
export const PODS_BRIDGE = "cni0";

/**
 * The foreign chains that drop forwarded packets by policy, and whose table speaks neither of the pod network (its prefixes as
 * text) nor of the pods' devices: nothing there can let pods through on purpose.
 */
export async function chainsAgainstPods(
  host: Host,
  family: Family,
  networks: readonly string[],
  devices: readonly string[],
  tables?: NftTables,
): Promise<readonly ForwardChain[]> {
  const addresses = networks.flatMap((text) => parsePrefix(text) ?? []).map(formatAddr);
  const words = [...addresses, ...devices, PODS_BRIDGE].map((word) => JSON.stringify(word));
  const chains = await host.foreignForwardChains(family, tables);
  return chains.filter(({ policy, text = "" }) => policy === "drop" && !words.some((word) => text.includes(word)));
}
