import type { LeaseStatus } from "../../pkg/api/status.ts";
import { span } from "./amounts.ts";
import { type Cell, type Screen, table } from "./screen.ts";

const HEADING = ["SUBNET", "NODE", "ADDRESS", "BACKEND", "DATA PLANE", "EXPIRES"];

/** The leases as a table; our own is bold. */
export function showLeases(leases: readonly LeaseStatus[], screen: Screen): string {
  if (leases.length === 0) return "This node knows of no lease yet.\n";
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
