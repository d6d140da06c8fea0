import { formatPrefix } from "../addr/prefix.ts";
import type { LeaseKey } from "../lease/lease.ts";
import type { SubnetManager } from "../subnet/subnet-manager.ts";
import type { Check } from "./health.ts";
import type { Membership } from "./membership.ts";
import type { Overlay } from "./overlay.ts";

/**
 * What `/readyz` looks at, a sentence each: the lease, the table of leases, the data plane, its packet loop. A table that is
 * old is told and makes no node unready: pods go on with what was known last.
 */
export function readinessChecks(
  parts: { readonly subnets: SubnetManager; readonly membership: Membership; readonly overlay: Overlay },
  /** Seconds for which etcd has been away; undefined while it answers. */
  etcdAway: number | undefined,
  /** Whether every packet loop has turned lately; undefined where there is none. */
  turning: boolean | undefined,
): readonly Check[] {
  return [
    lease(parts.membership),
    table(parts.subnets, etcdAway),
    plane(parts.overlay, parts.membership.own?.key),
    { name: "worker", ok: turning !== false, sentence: WORKER[String(turning) as keyof typeof WORKER] },
  ];
}

const WORKER = {
  true: "the packet loop turns",
  false: "the packet loop does not turn: restart twilld",
  undefined: "there is no packet loop here, the kernel carries the packets",
};

function lease(membership: Membership): Check {
  const blocker = membership.blocker();
  const { own } = membership;
  const subnets = Object.values(own?.subnet ?? {}).map(formatPrefix);
  if (blocker || !own) return { name: "lease", ok: false, sentence: blocker?.message ?? "no subnet yet" };
  return { name: "lease", ok: true, sentence: `${subnets.join(" and ")} is held` };
}

function table({ table: { revision, peers } }: SubnetManager, etcdAway: number | undefined): Check {
  if (revision === "0")
    return { name: "table", ok: false, sentence: "the leases of the others have not been read yet" };
  const known = `${peers.length} peers at revision ${revision}`;
  if (etcdAway === undefined) return { name: "table", ok: true, sentence: `${known}, followed` };
  return {
    name: "table",
    ok: false,
    sentence: `${known}, as known ${Math.round(etcdAway)} s ago: etcd does not answer`,
  };
}

function plane(overlay: Overlay, own: LeaseKey | undefined): Check {
  const states = [...overlay.peers.values()];
  if (!overlay.plane || own === undefined || overlay.synced !== own) {
    return { name: "dataplane", ok: false, sentence: overlay.problems[0] ?? "the data plane is being set up" };
  }
  const bad = states.filter((state) => state !== "in-sync").length;
  const what = `${overlay.plane.name} carries ${states.length - bad} of ${states.length} peers`;
  return { name: "dataplane", ok: bad === 0, sentence: what };
}
