import type { Check, Finding } from "../finding.ts";
import { overlayDevices } from "../surroundings.ts";

const STRICT = "1";

/** The kernel forwards, and does not drop by reverse path. */
export const sysctls: Check = {
  name: "sysctls",
  async run({ status, host }) {
    const found: Finding[] = [];
    const networks = status?.network?.networks ?? [];
    const forwarding = [
      { path: "net/ipv4/ip_forward", needed: !status || networks.some((text) => !text.includes(":")) },
      { path: "net/ipv6/conf/all/forwarding", needed: networks.some((text) => text.includes(":")) },
    ];
    for (const { path, needed } of forwarding) {
      const value = await host.sysctl(path);
      if (!needed || value === "1") continue;
      found.push({
        severity: "error",
        what: "this host forwards no packets of its pods",
        evidence: `${dotted(path)} is ${value ?? "not there"}`,
        fix: `sysctl -w ${dotted(path)}=1`,
      });
    }
    // The larger of "all" and the device's own counts (Documentation/networking/ip-sysctl.rst): 2 is loose.
    const all = (await host.sysctl("net/ipv4/conf/all/rp_filter")) ?? "0";
    for (const dev of overlayDevices(status)) {
      const path = `net/ipv4/conf/${dev}/rp_filter`;
      const own = await host.sysctl(path);
      if (own === undefined || (own > all ? own : all) !== STRICT) continue;
      found.push({
        severity: "warning",
        what: `strict reverse-path filtering drops what peers' hosts send to pods`,
        evidence: `rp_filter is ${all} for all, ${own} on ${dev}`,
        fix: `sysctl -w ${dotted(path)}=2`,
      });
    }
    const bridged = await host.sysctl("net/bridge/bridge-nf-call-iptables");
    if (bridged === "0")
      found.push({
        severity: "note",
        what: "packets between pods of one node do not pass iptables, which Kubernetes Services rely on",
        evidence: "net.bridge.bridge-nf-call-iptables is 0",
        fix: "sysctl -w net.bridge.bridge-nf-call-iptables=1",
      });
    return found;
  },
};

function dotted(path: string): string {
  // A device's name may hold dots: sysctl(8) takes slashes as well.
  return path.includes(".") ? path : path.replaceAll("/", ".");
}
