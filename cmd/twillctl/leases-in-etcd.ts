import { leaseStatus } from "../../pkg/agent/snapshot.ts";
import type { LeaseStatus } from "../../pkg/api/status.ts";
import type { Lease } from "../../pkg/lease/lease.ts";
import type { Registry } from "../../pkg/subnet/registry.ts";
import { Survey } from "../../pkg/subnet/survey.ts";

// Questions to etcd at the same time.
const AT_ONCE = 32;

/** Every lease that stands in etcd and when it runs out; `now` is in milliseconds since 1970. */
export async function leasesInEtcd(
  registry: Registry,
  now: number,
): Promise<{ readonly leases: readonly LeaseStatus[]; readonly problems: readonly string[] }> {
  const { claims } = new Survey(await registry.list());
  const problems = claims
    .filter((claim) => !claim.lease)
    .map(({ entry }) => `${entry.key} has a value that is no lease: look at it with etcdctl get`);
  const found = claims.flatMap((claim) => claim.lease ?? []);
  const leases: LeaseStatus[] = [];
  for (let i = 0; i < found.length; i += AT_ONCE)
    leases.push(...(await Promise.all(found.slice(i, i + AT_ONCE).map((lease) => dated(registry, lease, now)))));
  return { leases, problems };
}

async function dated(registry: Registry, lease: Lease, now: number): Promise<LeaseStatus> {
  const seconds = lease.leaseId === "0" ? 0 : await registry.timeToLive(lease.leaseId);
  return { ...leaseStatus(lease, undefined), expiresAt: seconds === 0 ? 0 : now + seconds * 1000 };
}
