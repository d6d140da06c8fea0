import type { PerFamily } from "../addr/family.ts";
import type { Prefix } from "../addr/prefix.ts";
import type { Random } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { LeaseTable } from "../lease/lease-table.ts";
import type { Lease, LeaseAttrs } from "../lease/lease.ts";
import type { NetworkConfig } from "./network-config.ts";
import type { Registry } from "./registry.ts";

export interface SubnetManagerOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly node: { readonly id: string; readonly name: string };
  /** Seconds. */
  readonly ttl: number;
  /** Seconds before the end of the TTL at which the lease is renewed; at most two thirds of the TTL. */
  readonly renewMargin: number;
  /** The registry's prefix, for sentences to people only. */
  readonly prefix?: string;
}

export interface Wanted {
  readonly network: NetworkConfig;
  readonly attrs: LeaseAttrs;
  /** The subnet of the last run, from subnet.env or the state file. */
  readonly previous: PerFamily<Prefix>;
}

/** "lost": the key is gone and not yet taken back. "conflict": somebody else holds the subnet or our public address. */
export type OwnState = "none" | "held" | "lost" | "conflict";

export class SubnetManager {
  readonly table: LeaseTable;

  constructor(options: SubnetManagerOptions) {
    this.table = new LeaseTable(options.log);
  }

  /** Waits until a valid network config exists. Throws the signal's reason when it aborts. */
  networkConfig(_signal: AbortSignal): Promise<NetworkConfig> {
    throw new Error("not written yet");
  }

  /** What networkConfig or acquire waits for. */
  get problem(): string | undefined {
    return undefined;
  }

  /**
   * Leases a subnet. Goes on trying while the registry is unavailable. Throws OutOfSubnetsError, PublicIpInUseError,
   * or the signal's reason when it aborts.
   */
  acquire(_want: Wanted, _signal: AbortSignal): Promise<Lease> {
    throw new Error("not written yet");
  }

  /** The lease that this node holds, or held last while the state is "lost" or "conflict". */
  get own(): Lease | undefined {
    return undefined;
  }

  get ownState(): OwnState {
    return "none";
  }

  /** Why the state is "lost" or "conflict": one sentence. */
  get ownProblem(): string | undefined {
    return undefined;
  }

  /** Calls `listener` after each change of own, ownState, ownProblem, problem or registryState. Returns a function that ends this. */
  onChange(_listener: () => void): () => void {
    return () => {};
  }

  /** Keeps the table equal to the registry until `signal` aborts. */
  follow(_signal: AbortSignal): Promise<void> {
    throw new Error("not written yet");
  }

  /** Renews the lease and the session key until `signal` aborts. Keeps the lease when it ends and gives up the session key. */
  hold(_signal: AbortSignal): Promise<void> {
    throw new Error("not written yet");
  }

  /** Writes our attributes where they differ. Throws RegistryUnavailableError, or an Error when the lease is not ours any more. */
  publish(_attrs: LeaseAttrs): Promise<Lease> {
    throw new Error("not written yet");
  }

  /** Gives the subnet back. A reservation stays a reservation. */
  release(): Promise<void> {
    throw new Error("not written yet");
  }

  /** When the lease runs out unless renewed, in milliseconds since 1970; 0 for a reservation or where it is not known. */
  get expiresAt(): number {
    return 0;
  }

  /** Why the registry cannot be reached; undefined while it can. */
  get registryState(): Error | undefined {
    return undefined;
  }
}

/** Another live node has our public address. */
export class PublicIpInUseError extends Error {
  override readonly name = "PublicIpInUseError";
}

/** No subnet is free. */
export class OutOfSubnetsError extends Error {
  override readonly name = "OutOfSubnetsError";
}
