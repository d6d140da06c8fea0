import { ETCD } from "./etcd.ts";
import { LEASES } from "./leases.ts";
import type { Mutation } from "./mutation.ts";

/** By the name of its section in docs/reliability.md. */
export const AREAS: Readonly<Record<string, readonly Mutation[]>> = { etcd: ETCD, leases: LEASES };
