import type { Check } from "../finding.ts";
import { overlayDevices } from "../surroundings.ts";
import { troublesOf } from "../troubles.ts";

/** TCP comes through where echoes do: its checksums are left to network cards, which may get them wrong. */
export const checksums: Check = {
  name: "checksums",
  async run({ status, leases, probes, host }) {
    const names = new Set(overlayDevices(status));
    const devices = (await host.links()).filter(({ name }) => names.has(name)).map(({ name }) => name);
    const off = [...devices, status?.underlay?.interface ?? "eth0"]
      .map((dev) => `ethtool -K ${dev} tx-checksum-ip-generic off`)
      .join("; ");
    return troublesOf(probes, leases)
      .filter(({ kind }) => kind === "no-tcp")
      .map(({ probe, example, name }) => ({
        severity: "error",
        what: `echoes reach ${name}, but TCP does not: wrong checksums ${probe ? "there" : "here"}, or a firewall`,
        evidence: `${probe ? example.overlay : "no peer"} neither accepts nor refuses a connection`,
        fix: probe ? `${off} # on ${name}, with the devices there` : off,
      }));
  },
};
