import { formatAddr } from "../../addr/addr.ts";
import { FAMILIES } from "../../addr/family.ts";
import { formatInterfaceAddr, formatPrefix, prefixOf } from "../../addr/prefix.ts";
import { describeError } from "../../base/errors.ts";
import { parseSubnetEnv, type SubnetEnv } from "../../subnetenv/subnet-env.ts";
import type { Check, Finding } from "../finding.ts";

const RESTART = "systemctl restart twilld";

/** subnet.env is there and says what the agent holds: pods are attached by it. */
export const subnetEnv: Check = {
  name: "subnet-env",
  async run({ status, forbidden, files, paths: { subnetFile }, now }) {
    const text = await files.read(subnetFile);
    if (text === undefined) {
      if ((status && !status.ready) || forbidden) return [];
      const what = "pods cannot be attached: there is no subnet.env";
      return [{ severity: "error", what, evidence: `${subnetFile} is not there`, fix: RESTART }];
    }
    let env: SubnetEnv;
    try {
      env = parseSubnetEnv(text);
    } catch (error) {
      return [{ severity: "error", what: "subnet.env makes no sense", evidence: describeError(error), fix: RESTART }];
    }
    if (forbidden) return [];
    if (!status) {
      const minutes = Math.round((now - ((await files.writtenAt(subnetFile)) ?? now)) / 60_000);
      const what = "pods are attached by a subnet.env that no agent keeps";
      return [{ severity: "warning", what, evidence: `${subnetFile} was written ${minutes} min ago`, fix: RESTART }];
    }
    if (!status.lease) return [];
    const { lease } = status;
    const found: Finding[] = [];
    const subnets = FAMILIES.flatMap((family) => {
      const own = env.subnet[family];
      return own ? [{ own, prefix: formatPrefix(prefixOf(own.addr, own.length)) }] : [];
    });
    const foreign = subnets.filter(({ prefix }) => !lease.subnets.includes(prefix));
    if (foreign.length > 0)
      found.push({
        severity: "error",
        what: "subnet.env is of another lease",
        evidence: `${subnetFile} has ${foreign.map(({ own }) => formatInterfaceAddr(own)).join(" ")}, the lease ${status.lease.subnets.join(" ")}`,
        fix: RESTART,
      });
    const mtu = Math.min(...(status.dataplane?.mtus ?? []));
    if (Number.isFinite(mtu) && env.mtu !== mtu)
      found.push({
        severity: env.mtu > mtu ? "error" : "warning",
        what: "subnet.env has another MTU than the data plane",
        evidence: `${subnetFile} has ${env.mtu}, the data plane ${mtu}; the bridge of ${subnets.map(({ own }) => formatAddr(own.addr)).join(" ")} follows the file`,
        fix: RESTART,
      });
    return found;
  },
};
