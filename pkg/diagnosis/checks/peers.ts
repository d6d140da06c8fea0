import type { Check, Finding } from "../finding.ts";
import { nameOf } from "../peer-name.ts";

/** The peers are programmed, and answer over the overlay. */
export const peers: Check = {
  name: "peers",
  async run({ status, leases, probes }) {
    const port = status?.network?.port ?? 0;
    const found: Finding[] = (status?.peers ?? [])
      .filter(({ state }) => state === "failed")
      .map(({ lease, reason }) => ({
        severity: "error",
        what: `${lease.nodeName || lease.publicIps.join(" ")} cannot be programmed`,
        evidence: reason,
        fix: `twillctl trace ${lease.subnets[0]?.replace(/\/.*/, "")}`,
      }));
    for (const probe of probes) {
      const name = nameOf(probe, leases);
      if (probe.state === "overlay-down")
        found.push({
          severity: "error",
          what: `${name} is alive, but nothing reaches it over the overlay`,
          evidence: `${probe.underlay} answers echoes, ${probe.overlay} does not`,
          fix: `open UDP port ${port} between the hosts, both ways: nft list ruleset | grep -e drop -e ${port}`,
        });
      // One that has never answered is a stale lease.
      if (probe.state === "down" && probe.lastSeen > 0)
        found.push({
          severity: "warning",
          what: `${name} does not answer any more`,
          evidence: `neither ${probe.underlay} nor ${probe.overlay || "its overlay"} answers echoes`,
          fix: `ping ${probe.underlay}`,
        });
    }
    return found;
  },
};
