import type { StatusSource } from "./status.ts";

/** What the agent counts beside its status, for metrics. From memory. */
export interface Measurements {
  /** Calls to etcd that failed for want of contact, since the start. */
  readonly etcdErrors: number;
  /** Subnets that nobody has, of each family of the network; empty until the network is known. */
  readonly freeSubnets: readonly { readonly family: 4 | 6; readonly free: bigint }[];
  /** How many of the status' problems are about what; also those that there are none of. */
  readonly problems: readonly { readonly about: string; readonly count: number }[];
}

export interface MetricsSource extends StatusSource {
  measurements(): Measurements;
}
