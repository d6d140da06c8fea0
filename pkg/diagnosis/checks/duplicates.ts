import type { Check } from "../finding.ts";

/** No two nodes are the same node: an address, an id or a MAC that two leases have. */
export const duplicates: Check = {
  name: "duplicates",
  async run({ leases }) {
    const addresses = leases.flatMap(({ key, publicIps }) => publicIps.map((text) => ({ of: text, key })));
    const ids = leases.flatMap(({ key, nodeId }) => (nodeId === "" ? [] : [{ of: nodeId, key }]));
    const macs = leases.flatMap(({ key, vtepMacs = [] }) => [...new Set(vtepMacs)].map((of) => ({ of, key })));
    return [
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
      ...twice(macs).map(({ of, keys }) => ({
        severity: "error" as const,
        what: "two nodes have the same VTEP MAC",
        evidence: `${of} is in ${keys.join(" and ")}`,
        fix: "on one of them: systemctl stop twilld; rm -r /var/lib/twill; systemctl start twilld",
      })),
    ];
  },
};

function twice(rows: readonly { readonly of: string; readonly key: string }[]): { of: string; keys: string[] }[] {
  const keys = new Map<string, string[]>();
  for (const { of, key } of rows) keys.set(of, [...(keys.get(of) ?? []), key]);
  return [...keys].filter(([, all]) => all.length > 1).map(([of, all]) => ({ of, keys: all }));
}
