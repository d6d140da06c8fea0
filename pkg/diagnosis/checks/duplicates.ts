import { formatAddr } from "../../addr/addr.ts";
import type { Check, Finding } from "../finding.ts";
import { overlayDevices } from "../surroundings.ts";

/** No two nodes are the same node: an address, an id or a MAC that two leases have. */
export const duplicates: Check = {
  name: "duplicates",
  async run({ status, leases, host }) {
    const addresses = leases.flatMap(({ key, publicIps }) => publicIps.map((text) => ({ of: text, key })));
    const ids = leases.flatMap(({ key, nodeId }) => (nodeId === "" ? [] : [{ of: nodeId, key }]));
    const found: Finding[] = [
      ...twice(addresses).map(({ of, keys }) => ({
        severity: "error" as const,
        what: "two leases have the same public address",
        evidence: `${of} is in ${keys.join(" and ")}`,
        fix: "give one of the nodes its own --public-ip, or revoke the lease that nobody uses",
      })),
      ...twice(ids).map(({ of, keys }) => ({
        severity: "error" as const,
        what: "two nodes have the same id, as after copying a machine with its state",
        evidence: `${of} is in ${keys.join(" and ")}`,
        fix: "on the copy: systemctl stop twilld; rm -r /var/lib/twill; systemctl start twilld",
      })),
    ];
    for (const dev of overlayDevices(status)) {
      const rows = (await host.neighbours(dev)).flatMap(({ addr, mac, permanent }) =>
        mac !== undefined && permanent ? [{ of: String(mac), key: formatAddr(addr) }] : [],
      );
      for (const { of, keys } of twice(rows))
        found.push({
          severity: "error",
          what: "two nodes have the same VTEP MAC",
          evidence: `${of} is ${keys.join(" and ")} on ${dev}`,
          fix: "on one of them: systemctl stop twilld; rm -r /var/lib/twill; systemctl start twilld",
        });
    }
    return found;
  },
};

function twice(rows: readonly { readonly of: string; readonly key: string }[]): { of: string; keys: string[] }[] {
  const keys = new Map<string, string[]>();
  for (const { of, key } of rows) keys.set(of, [...(keys.get(of) ?? []), key]);
  return [...keys].filter(([, all]) => all.length > 1).map(([of, all]) => ({ of, keys: all }));
}
