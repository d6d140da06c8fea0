import { CRASH } from "./crash.ts";
import { ETCD } from "./etcd.ts";
import { LEASES } from "./leases.ts";
import type { Mutation } from "./mutation.ts";
import { SECURITY } from "./security.ts";

/** By the name of its section in docs/reliability.md. */
export const AREAS: Readonly<Record<string, readonly Mutation[]>> = {
  etcd: ETCD,
  leases: LEASES,
  crash: CRASH,
  security: SECURITY,
};
