import { FAMILIES } from "../../addr/family.ts";
import { chainsAgainstPods } from "../../host/forward-chains.ts";
import type { Check, Finding } from "../finding.ts";
import { overlayDevices } from "../surroundings.ts";

const OUR_CHAIN = "TWILL-FWD";

/** Nobody's firewall drops what pods send to other nodes: Docker sets the policy DROP, for one. */
export const forwardPolicy: Check = {
  name: "forward-policy",
  async run({ status, host, forward }) {
    const found: Finding[] = [];
    const networks = status?.network?.networks ?? [];
    for (const family of FAMILIES) {
      const inUse = networks.filter((text) => text.includes(":") === (family === 6));
      if (inUse.length === 0) continue;
      for (const { variant, policy, rules } of await forward(family)) {
        if (policy !== "DROP" || rules.some((rule) => accepts(rule, inUse))) continue;
        found.push({
          severity: "error",
          what: "the firewall drops what pods send to other nodes",
          evidence: `${variant} -S FORWARD has the policy DROP, and no rule that accepts ${inUse.join(" ")}`,
          fix: `${variant} -I FORWARD 1 -s ${inUse[0]} -j ACCEPT; ${variant} -I FORWARD 2 -d ${inUse[0]} -j ACCEPT`,
        });
      }
      for (const { name } of await chainsAgainstPods(host, family, inUse, overlayDevices(status))) {
        found.push({
          severity: "warning",
          what: "a firewall drops forwarded packets that it does not accept itself",
          evidence: `the chain ${name} of nftables has the policy drop`,
          fix: `nft insert rule ${name} ${family === 4 ? "ip" : "ip6"} saddr ${inUse[0]} accept; nft insert rule ${name} ${family === 4 ? "ip" : "ip6"} daddr ${inUse[0]} accept`,
        });
      }
    }
    return found;
  },
};

// Ours, or one that somebody wrote for the whole network.
function accepts(rule: string, networks: readonly string[]): boolean {
  if (rule.split(" ").includes(OUR_CHAIN)) return true;
  return rule === "-j ACCEPT" || networks.some((text) => rule.includes(text) && rule.endsWith("-j ACCEPT"));
}
