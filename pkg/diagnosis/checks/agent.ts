import type { Check } from "../finding.ts";

/** The agent runs, and pods may be attached. */
export const agent: Check = {
  name: "agent",
  async run({ status, silence, forbidden }) {
    if (forbidden) {
      const what = "the agent may not be asked by this user, and the checks that need it see nothing";
      return [{ severity: "warning", what, evidence: silence, fix: "sudo twillctl doctor" }];
    }
    if (!status)
      return [
        { severity: "error", what: "the agent does not answer", evidence: silence, fix: "systemctl start twilld" },
      ];
    if (!status.ready) {
      const evidence = status.problems.join("; ");
      return [{ severity: "error", what: "this node is not ready for pods", evidence, fix: "twillctl logs" }];
    }
    return status.problems.map((problem) => ({
      severity: "warning",
      what: "the agent has a problem",
      evidence: problem,
      fix: "twillctl logs",
    }));
  },
};
