// The sysctls without which no pod packet leaves or reaches a node, whatever carries it: forwarding, of the families that
// the network has.

import type { Family } from "../addr/family.ts";
import { describeError } from "../base/errors.ts";
import type { Host } from "../host/host.ts";

/** A path below /proc/sys and the value it should have. */
export type Sysctl = readonly [path: string, value: string];

/** Turns on forwarding. `underlay` is the interface between the nodes. Resolves to what could not be set, a sentence each. */
export async function setForwarding(host: Host, families: readonly Family[], underlay: string): Promise<string[]> {
  const problems: string[] = [];
  if (families.includes(4)) problems.push(...(await setSysctls(host, [["net/ipv4/ip_forward", "1"]])));
  if (families.includes(6)) {
    problems.push(...(await keepRouterAdvertisements(host, underlay)));
    problems.push(...(await setSysctls(host, [["net/ipv6/conf/all/forwarding", "1"]])));
  }
  return problems;
}

/**
 * Sets what is not as it should be. Compared first: in a container /proc/sys is read-only, and right if whoever runs it
 * has set it. Resolves to what could not be set, a sentence each.
 */
export async function setSysctls(host: Host, sysctls: readonly Sysctl[]): Promise<string[]> {
  const problems: string[] = [];
  for (const [path, value] of sysctls) {
    try {
      if ((await host.sysctl(path)) !== value) await host.setSysctl(path, value);
    } catch (error) {
      problems.push(describeError(error));
    }
  }
  return problems;
}

// A host that forwards IPv6 ignores router advertisements where accept_ra is 1 (ip-sysctl(rst), accept_ra): minutes after
// we have turned forwarding on, a node that has its address or default route from them would lose both. 2 is "even if
// forwarding". Only before the change, and only where it matters: on the underlay and wherever an address came by
// advertisement. Elsewhere, above all towards pods, 1 turns into what it should be: ignored.
async function keepRouterAdvertisements(host: Host, underlay: string): Promise<string[]> {
  const problems: string[] = [];
  if ((await host.sysctl("net/ipv6/conf/all/forwarding")) !== "0") return problems;
  for (const link of await host.links()) {
    const advertised = link.addresses.some(({ addr, dynamic }) => addr.family === 6 && dynamic);
    if (link.name !== underlay && !advertised) continue;
    const path = `net/ipv6/conf/${link.name}/accept_ra`;
    if ((await host.sysctl(path)) === "1") problems.push(...(await setSysctls(host, [[path, "2"]])));
  }
  return problems;
}
