import { formatAddr } from "../addr/addr.ts";
import { FAMILIES, type PerFamily } from "../addr/family.ts";
import type { Prefix } from "../addr/prefix.ts";
import { formatSubnet, parseLeaseKey } from "./lease-key.ts";
import { decodeLeaseValue } from "./lease-value.ts";
import type { Lease, LeaseAttrs } from "./lease.ts";
import type { Parsed } from "./parsed.ts";

/** A key below the prefix as the registry holds it. */
export interface LeaseRow {
  readonly key: string;
  readonly value: string;
  readonly createRevision: string;
  readonly modRevision: string;
  readonly leaseId: string;
}

/** A row whose key names subnets: they are taken, whatever its value says. */
export interface LeaseReading {
  readonly subnet: PerFamily<Prefix>;
  readonly lease: Parsed<Lease>;
}

/** Reads a row. Undefined when its key is no business of leases; malformed when its key should be one and is not. */
export function readLeaseRow(row: LeaseRow): Parsed<LeaseReading> | undefined {
  const subnet = parseLeaseKey(row.key);
  if (subnet === undefined || subnet.malformed !== undefined) return subnet;
  return { value: { subnet: subnet.value, lease: leaseOf(row, subnet.value, decodeLeaseValue(row.value)) } };
}

/** For people: "10.5.52.0/24 of node web1 (192.0.2.1)". */
export function describeLease(lease: Lease): string {
  return `${formatSubnet(lease.subnet)} of node ${describeOwner(lease.attrs)}`;
}

/** For people: "web1 (192.0.2.1)", or "192.0.2.1" of a node that gives no name. */
export function describeOwner(attrs: LeaseAttrs): string {
  const addresses = formatPublicIp(attrs);
  const name = attrs.nodeName ?? attrs.nodeId;
  return name === undefined ? addresses : `${name} (${addresses})`;
}

/** "192.0.2.1", in dual stack "192.0.2.1, 2001:db8::1". */
export function formatPublicIp(attrs: LeaseAttrs): string {
  return FAMILIES.flatMap((family) => attrs.publicIp[family] ?? [])
    .map(formatAddr)
    .join(", ");
}

function leaseOf(row: LeaseRow, subnet: PerFamily<Prefix>, attrs: Parsed<LeaseAttrs>): Parsed<Lease> {
  if (attrs.malformed !== undefined) return { malformed: attrs.malformed };
  return {
    value: { key: row.key, subnet, attrs: attrs.value, leaseId: row.leaseId, modRevision: row.modRevision },
  };
}
