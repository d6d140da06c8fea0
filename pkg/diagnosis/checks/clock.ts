import type { Check } from "../finding.ts";

// HTTP dates are in whole seconds; certificates and log lines of several hosts bear no more than this.
const MOST_APART_MS = 5000;

/** This host's clock agrees with etcd's. */
export const clock: Check = {
  name: "clock",
  async run({ status, etcdVersion }) {
    const endpoint = status?.etcd.endpoints.find((text) => text.startsWith("http://"));
    if (!status?.etcd.connected || endpoint === undefined) return [];
    // That it does not answer is another check's finding.
    const answer = await etcdVersion(endpoint).catch(() => undefined);
    if (answer?.date === undefined) return [];
    const apart = answer.readAt - answer.date;
    if (Math.abs(apart) <= MOST_APART_MS) return [];
    return [
      {
        severity: "warning",
        what: "the clocks of this host and of etcd differ",
        evidence: `this host is ${Math.round(Math.abs(apart) / 1000)} s ${apart > 0 ? "ahead of" : "behind"} ${endpoint}`,
        fix: "timedatectl set-ntp true",
      },
    ];
  },
};
