import { VXLAN_OVERHEAD } from "../../packet/vxlan.ts";
import type { Check } from "../finding.ts";
import { overlayDevices } from "../surroundings.ts";

/** The underlay has room for what the overlay's device takes. */
export const linkMtu: Check = {
  name: "link-mtu",
  async run({ status, host }) {
    // A device that stands by for a node without a lease has no MTU of its own yet.
    if (!status?.underlay || !status.lease || status.network?.backendType !== "vxlan") return [];
    const links = await host.links();
    const underlay = links.find(({ name }) => name === status.underlay?.interface);
    if (!underlay) return [];
    const outer = status.underlay.publicIps.every((text) => text.includes(":")) ? 6 : 4;
    const room = underlay.mtu - VXLAN_OVERHEAD[outer];
    const names = new Set(overlayDevices(status));
    return links
      .filter(({ name, mtu }) => names.has(name) && mtu > room)
      .map(({ name, mtu }) => ({
        severity: "warning",
        what: "the overlay's packets are larger than the underlay carries",
        evidence: `${name} has MTU ${mtu}, and ${underlay.name} with ${underlay.mtu} has room for ${room}`,
        fix: `ip link set ${underlay.name} mtu ${mtu + VXLAN_OVERHEAD[outer]}`,
      }));
  },
};
