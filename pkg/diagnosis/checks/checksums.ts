import type { Check } from "../finding.ts";
import { nameOf } from "../peer-name.ts";
import { overlayDevices } from "../surroundings.ts";

/** TCP comes through where echoes do: its checksums are left to network cards, which may get them wrong. */
export const checksums: Check = {
  name: "checksums",
  async run({ status, leases, probes, host }) {
    const names = new Set(overlayDevices(status));
    const devices = (await host.links()).filter(({ name }) => names.has(name)).map(({ name }) => name);
    return probes
      .filter(({ state, tcp }) => state === "up" && tcp === "silent")
      .map((probe) => ({
        severity: "error",
        what: `echoes reach ${nameOf(probe, leases)}, but TCP does not`,
        evidence: `${probe.overlay} neither accepts nor refuses a connection: wrong checksums, or a firewall`,
        fix: [...devices, status?.underlay?.interface ?? "eth0"]
          .map((dev) => `ethtool -K ${dev} tx-checksum-ip-generic off`)
          .join("; "),
      }));
  },
};
