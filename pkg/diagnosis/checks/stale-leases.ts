import type { Check } from "../finding.ts";

/** Every lease has a node: one whose node has never answered since this agent runs was left behind. */
export const staleLeases: Check = {
  name: "stale-leases",
  async run({ leases, probes }) {
    const silent = probes.filter(({ state, lastAnswer }) => state === "down" && lastAnswer === 0);
    return silent.map(({ key, underlay }) => {
      const lease = leases.find((one) => one.key === key);
      const isReservation = lease?.leaseId === "0";
      const id = BigInt(lease?.leaseId ?? 0).toString(16);
      const subnet = lease?.subnets.join(",") ?? key;
      return {
        severity: "warning",
        what: isReservation ? "a reservation whose node has never answered" : "a lease whose node has never answered",
        evidence: `${subnet} belongs to ${lease?.nodeName || underlay}, and ${underlay} is silent`,
        fix: isReservation ? `twillctl unreserve ${subnet}` : `etcdctl lease revoke ${id}`,
      };
    });
  },
};
