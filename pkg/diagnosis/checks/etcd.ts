import type { Check, Finding } from "../finding.ts";

const OLDEST = [3, 4] as const;

/** etcd answers, lets us in, and is not too old. */
export const etcd: Check = {
  name: "etcd",
  async run({ status, etcdVersion }) {
    if (!status) return [];
    const { endpoints, connected, error } = status.etcd;
    const found: Finding[] = [];
    if (!connected) {
      const [first = ""] = endpoints;
      const refused = /auth|permission|password|user/i.test(error);
      found.push({
        severity: "error",
        what: refused ? "etcd does not let this node in" : "etcd cannot be reached",
        evidence: error || "there is no connection",
        fix: refused
          ? "check --etcd-username and its role: etcdctl user get USER"
          : `etcdctl --endpoints=${first} endpoint health`,
      });
    }
    for (const endpoint of endpoints.filter((text) => text.startsWith("http://"))) {
      const answer = await etcdVersion(endpoint).catch((error: unknown) => error);
      if (answer instanceof Error) {
        if (connected)
          found.push({
            severity: "warning",
            what: "one of etcd's endpoints cannot be reached",
            evidence: answer.message,
            fix: `etcdctl --endpoints=${endpoint} endpoint health`,
          });
        continue;
      }
      const { version } = answer as { version: string };
      const [major = 0, minor = 0] = version.split(".").map(Number);
      if (version !== "" && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])))
        found.push({
          severity: "error",
          what: "etcd is too old",
          evidence: `${endpoint} is etcd ${version}; ${OLDEST.join(".")} is the least`,
          fix: "upgrade etcd",
        });
    }
    return found;
  },
};
