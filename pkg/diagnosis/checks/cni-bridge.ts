import { containsAddr, formatInterfaceAddr, parsePrefix } from "../../addr/prefix.ts";
import { PODS_BRIDGE } from "../../host/forward-chains.ts";
import type { Check } from "../finding.ts";

/** The pods' bridge has an address of the present subnet: the bridge plugin refuses pods beside one of an older subnet. */
export const cniBridge: Check = {
  name: "cni-bridge",
  async run({ status, host }) {
    const own = (status?.lease?.subnets ?? []).flatMap((text) => parsePrefix(text) ?? []);
    const bridge = (await host.links()).find(({ name }) => name === PODS_BRIDGE);
    if (!bridge || own.length === 0) return [];
    const stale = bridge.addresses.filter(
      ({ addr, scope }) => scope === "global" && !own.some((subnet) => containsAddr(subnet, addr)),
    );
    if (stale.length === 0) return [];
    return [
      {
        severity: "error",
        what: `${PODS_BRIDGE} has an address of another subnet, and new pods are refused`,
        evidence: `${stale.map(formatInterfaceAddr).join(" ")} on ${PODS_BRIDGE}; the lease is ${status?.lease?.subnets.join(" ")}`,
        fix: stale.map((each) => `ip address delete ${formatInterfaceAddr(each)} dev ${PODS_BRIDGE}`).join("; "),
      },
    ];
  },
};
