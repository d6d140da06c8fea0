import type { Check } from "../finding.ts";
import { troublesOf } from "../troubles.ts";

/** Packets of the overlay's MTU come through to every peer. */
export const pathMtu: Check = {
  name: "path-mtu",
  async run({ status, leases, probes }) {
    const { interface: dev = "eth0", mtu: whole = 0 } = status?.underlay ?? {};
    return troublesOf(probes, leases)
      .filter(({ kind }) => kind === "narrow")
      .map(({ probe, example: { mtu, wantedMtu, underlay }, name }) => {
        const lower = `ip link set ${dev} mtu ${whole - (wantedMtu - mtu)}`;
        return {
          severity: "error",
          what: `large packets to ${name} are lost`,
          evidence: `${mtu} bytes pass, ${wantedMtu} should: something on the way to ${probe ? underlay : "all of them"} is narrower`,
          fix: probe ? `ip link set ${dev} mtu ${whole} # on ${name}, or here: ${lower}` : lower,
        };
      });
  },
};
