import type { Check } from "../finding.ts";
import { nameOf } from "../peer-name.ts";

/** Packets of the overlay's MTU come through to every peer. */
export const pathMtu: Check = {
  name: "path-mtu",
  async run({ status, leases, probes }) {
    const dev = status?.underlay?.interface ?? "eth0";
    return probes
      .filter(({ state, mtu, wantedMtu }) => state === "up" && mtu > 0 && mtu < wantedMtu)
      .map((probe) => ({
        severity: "error",
        what: `large packets to ${nameOf(probe, leases)} are lost`,
        evidence: `${probe.mtu} bytes pass, ${probe.wantedMtu} should: something on the way to ${probe.underlay} is narrower`,
        fix: `ip link set ${dev} mtu ${(status?.underlay?.mtu ?? 0) - (probe.wantedMtu - probe.mtu)}, there or here`,
      }));
  },
};
