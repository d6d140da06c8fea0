import type { LeaseStatus } from "../../pkg/api/status.ts";
import { span } from "../../pkg/base/amounts.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { type Cell, type Screen, table } from "./screen.ts";
import { toJson } from "./to-json.ts";
import { UsageError } from "./usage-error.ts";

/** The leases as the agent knows them, or with --etcd as they stand there. */
export async function runLeases(call: Call): Promise<Outcome> {
  const inEtcd = call.flags.get("etcd") === "true";
  const stray = inEtcd ? undefined : call.given.find(({ name }) => name.startsWith("etcd-"));
  if (stray) throw new UsageError(`--${stray.name} says which etcd, but the agent is asked: add --etcd`);
  const { leases, problems, prefix } = inEtcd ? await fromEtcd(call) : await fromAgent(call);
  return { text: call.json ? toJson({ leases }) : showLeases(leases, call.screen, prefix), code: EXIT.ok, problems };
}

interface Found {
  readonly leases: readonly LeaseStatus[];
  /** A sentence for each that cannot be read. */
  readonly problems: readonly string[];
  /** Where in etcd they stand; undefined where the agent was asked. */
  readonly prefix: string | undefined;
}

async function fromAgent(call: Call): Promise<Found> {
  return { leases: await (await call.agent()).leases(), problems: [], prefix: undefined };
}

async function fromEtcd(call: Call): Promise<Found> {
  const { withRegistry } = await import("./etcd.ts");
  const { leasesInEtcd } = await import("./leases-in-etcd.ts");
  return withRegistry(call, async ({ registry, prefix }) => ({
    ...(await leasesInEtcd(registry, call.screen.now)),
    prefix,
  }));
}

const HEADING = ["SUBNET", "NODE", "ADDRESS", "BACKEND", "DATA PLANE", "EXPIRES"];

/** The leases as a table; our own is bold. `prefix` is where in etcd they stand, if that was asked. */
export function showLeases(leases: readonly LeaseStatus[], screen: Screen, prefix?: string): string {
  if (leases.length === 0)
    return prefix === undefined ? "This node knows of no lease yet.\n" : `No lease stands below ${prefix} in etcd.\n`;
  const rows = leases.map((lease): Cell[] => [
    { text: lease.subnets.join(" "), ...(lease.own && { colour: "bold" as const }) },
    { text: (lease.nodeName || "-") + (lease.own ? " (this node)" : "") },
    { text: lease.publicIps.join(" ") },
    { text: lease.backendType || "-" },
    { text: lease.dataplane || "-" },
    { text: expiry(lease, screen.now) },
  ]);
  return table(HEADING, rows, screen);
}

/** When a lease ends, for people. */
export function expiry(lease: LeaseStatus, now: number): string {
  if (lease.leaseId === "0") return "never (reservation)";
  if (lease.expiresAt === 0) return "not known";
  return lease.expiresAt > now ? `in ${span(lease.expiresAt - now)}` : `${span(now - lease.expiresAt)} ago`;
}
