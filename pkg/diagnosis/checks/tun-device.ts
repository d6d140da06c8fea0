import type { Check } from "../finding.ts";

/** The tun plane has its device node. */
export const tunDeviceNode: Check = {
  name: "tun-device",
  async run({ status, files }) {
    const plane = status?.dataplane?.name;
    if ((plane !== undefined && plane !== "tun") || (await files.exists("/dev/net/tun"))) return [];
    return [
      {
        severity: "error",
        what: "the data plane tun has no device to work with",
        evidence: "there is no /dev/net/tun",
        fix: "modprobe tun",
      },
    ];
  },
};
