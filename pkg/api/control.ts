import type { StatusSource } from "./status.ts";

/** What the control API serves: the agent. Subnets and addresses are text, as they come over the wire. */
export interface Control extends StatusSource {
  /**
   * Takes this node out of the cluster; the agent ends once the answer is on its way. Throws a RefusedError when the subnet
   * cannot be given back, and then nothing has changed.
   */
  leave(): Promise<Left>;
  /** Keeps a subnet for the node at an address. Resolves to the key. Throws a RefusedError. */
  reserve(subnets: readonly string[], publicIps: readonly string[]): Promise<string>;
  /** Ends a reservation. Resolves to the key. Throws a RefusedError. */
  unreserve(subnets: readonly string[]): Promise<string>;
}

export interface Left {
  /** What was given back. */
  readonly subnets: readonly string[];
  /** What could not be taken away from the host, a sentence each. */
  readonly problems: readonly string[];
}

/** What was asked for cannot be done as things are: a sentence for the person who asked. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}
