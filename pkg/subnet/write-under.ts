import { type Entry, type Registry, RegistryUnavailableError } from "./registry.ts";

/**
 * Does a write that hangs a key on an etcd lease. Resolves to undefined as for a lost race when that lease went away
 * after it was granted: etcd lost its data in between, or this machine slept for longer than the TTL. Throws what the
 * registry throws otherwise.
 */
export async function writeUnder(
  registry: Registry,
  leaseId: string,
  write: () => Promise<Entry | undefined>,
): Promise<Entry | undefined> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof RegistryUnavailableError || leaseId === "0") throw error;
    if ((await registry.keepAlive(leaseId)) > 0) throw error;
    return undefined;
  }
}
