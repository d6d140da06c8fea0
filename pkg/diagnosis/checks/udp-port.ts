import type { Check, Finding } from "../finding.ts";
import { overlayDevices } from "../surroundings.ts";

/** Nobody else has the port of the overlay, or its network on another device. */
export const udpPort: Check = {
  name: "udp-port",
  async run({ status, host }) {
    if (!status?.network || status.network.port === 0) return [];
    const { port, vni } = status.network;
    const ours = new Set(overlayDevices(status));
    const found: Finding[] = [];
    for (const { name, vxlan, up } of await host.links()) {
      if (!vxlan || ours.has(name) || vxlan.port !== port || !up) continue;
      // The kernel shares its socket among its own devices, so only the same network is in the way there.
      if (status.dataplane?.name === "kernel" && vxlan.vni !== vni) continue;
      found.push({
        severity: "error",
        what: `UDP port ${port} is taken by another VXLAN device`,
        evidence: `${name} has VNI ${vxlan.vni} on port ${vxlan.port}`,
        fix: `ip link delete ${name}`,
      });
    }
    return found;
  },
};
