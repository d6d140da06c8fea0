import type { Check, Finding } from "../finding.ts";
import { troublesOf } from "../troubles.ts";

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
    for (const { kind, probe, example, name, sentence } of troublesOf(probes, leases)) {
      const look = `nft list ruleset | grep -e drop -e ${port}`;
      if (kind === "overlay-down")
        found.push({
          severity: "error",
          what: probe ? `${name} is alive, but ${WAYS[probe.inbound]}` : "no peer is reached over the overlay",
          evidence: probe
            ? `${probe.underlay} answers echoes, ${probe.overlay} does not${ARRIVALS[probe.inbound]}`
            : sentence,
          fix: `${look} # open UDP port ${port} ${probe ? `between this host and ${name}` : "on this host"}, both ways`,
        });
      // One that has never answered is a stale lease.
      if (kind === "down")
        found.push({
          severity: "warning",
          what: `${name} does not answer any more`,
          evidence: `neither ${example.underlay} nor ${example.overlay || "its overlay"} answers echoes`,
          fix: `ping ${example.underlay}`,
        });
    }
    return found;
  },
};

const WAYS = {
  unknown: "nothing reaches it over the overlay",
  arrives: "nothing from here reaches it over the overlay",
  silent: "nothing from it reaches this node over the overlay",
} as const;

const ARRIVALS = {
  unknown: "",
  arrives: "; its own packets arrive here",
  silent: "; none of its packets arrives here",
} as const;
