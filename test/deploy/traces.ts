import type { Machine } from "./machine.ts";

/** What containers leave behind on a machine, where they leave anything. */
export interface Traces {
  /** Below /var/lib/cni: addresses, twill-cni's attachments, the runtimes' own copies of results. */
  readonly files: readonly string[];
  readonly links: readonly string[];
  readonly namespaces: readonly string[];
  /** The whole ruleset, iptables' too, without counters. */
  readonly rules: string;
}

// host-local keeps these two whether or not an address is given out.
const KEPT = /\/(last_reserved_ip\.\d+|lock)$/;

/** Two are equal when everything is gone that was made between them. */
export async function traces(machine: Machine): Promise<Traces> {
  const links = JSON.parse(await machine.run(["ip", "-j", "link"])) as { ifname: string }[];
  return {
    files: machine.files("/var/lib/cni").filter((file) => !KEPT.test(file)),
    links: links.map(({ ifname }) => ifname).toSorted(),
    namespaces: machine.files("/run/netns"),
    rules: await machine.run(["nft", "--stateless", "list", "ruleset"]),
  };
}
