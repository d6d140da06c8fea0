import type { Check } from "../finding.ts";

const FEW = 5n;

/** New nodes find a subnet. */
export const freeSubnets: Check = {
  name: "free-subnets",
  async run({ status, leases }) {
    const { networks = [], freeSubnets = [] } = status?.network ?? {};
    return freeSubnets.flatMap((free, i) =>
      free >= FEW
        ? []
        : [
            {
              severity: "warning",
              what: `${free === 0n ? "no subnet is" : "few subnets are"} left for new nodes`,
              evidence: `${leases.length} leases and reservations leave ${free} free in ${networks[i] ?? "the network"}`,
              fix: "twillctl leave # on nodes that are gone for good; or widen the network: twillctl config set FILE",
            },
          ],
    );
  },
};
