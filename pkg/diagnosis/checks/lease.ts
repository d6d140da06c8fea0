import type { Check } from "../finding.ts";

const SOON_MS = 600_000;

/** The node holds its lease, and has renewed it in time. */
export const lease: Check = {
  name: "lease",
  async run({ status, now }) {
    if (!status) return [];
    const { lease } = status;
    if (!lease) {
      const evidence = status.problems[0] ?? "none was acquired yet";
      return [{ severity: "error", what: "this node holds no lease", evidence, fix: "twillctl logs" }];
    }
    // A reservation never ends.
    if (lease.leaseId === "0" || lease.expiresAt === 0) return [];
    const left = Math.round((lease.expiresAt - now) / 1000);
    if (left <= 0) {
      const evidence = `${lease.key} ran out ${-left} s ago`;
      return [{ severity: "error", what: "this node's lease has run out", evidence, fix: "systemctl restart twilld" }];
    }
    // One that is renewed while it is connected is short because it was asked for so.
    if (left * 1000 > SOON_MS || status.etcd.connected) return [];
    return [
      {
        severity: "warning",
        what: "this node's lease runs out soon, and etcd is away",
        evidence: `${lease.key} runs out in ${left} s`,
        fix: `etcdctl --endpoints=${status.etcd.endpoints.join(",")} endpoint health`,
      },
    ];
  },
};
