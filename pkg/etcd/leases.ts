import type { ILeaseKeepAliveResponse } from "etcd3";
import type { EtcdClient } from "./client.ts";
import { CALL_DEADLINE_MS, closeStream } from "./client.ts";
import { EtcdError } from "./errors.ts";

// etcd3's Lease class is not used: it cannot adopt a lease of a former run, keeps a stream open for 24 hours, floods
// the log while etcd is away, and believes in a lost lease for two TTLs.

/** A new lease of `ttl` seconds; its id. A reply that is lost leaves a lease behind that nobody keeps. Throws EtcdError. */
export async function grant(client: EtcdClient, ttl: number): Promise<string> {
  const response = await client.call("grant a lease", (etcd) => etcd.leaseClient.leaseGrant({ TTL: ttl }));
  return response.ID;
}

/** Starts the TTL anew, once, over a stream of its own. The seconds granted, 0 when the lease is gone. Throws EtcdError. */
export function keepAlive(client: EtcdClient, leaseId: string): Promise<number> {
  const what = `keep lease ${leaseId} alive`;
  return client.call(what, async (etcd) => {
    const deadline = client.clock.wall() + CALL_DEADLINE_MS;
    const stream = await etcd.leaseClient.leaseKeepAlive({ deadline });
    try {
      const reply = await new Promise<ILeaseKeepAliveResponse>((resolve, reject) => {
        stream.on("data", resolve);
        stream.on("error", reject);
        stream.on("end", () => reject(new EtcdError("unavailable", `etcd at ${client.endpoints} did not ${what}`)));
        stream.write({ ID: leaseId });
      });
      return Number(reply.TTL); // "0" for a lease that is gone: not an error for etcd
    } finally {
      closeStream(stream);
    }
  });
}

/** Seconds left, 0 when the lease is gone. Throws EtcdError. */
export async function timeToLive(client: EtcdClient, leaseId: string): Promise<number> {
  const what = `ask for lease ${leaseId}`;
  const response = await client.call(what, (etcd) => etcd.leaseClient.leaseTimeToLive({ ID: leaseId }));
  return Math.max(0, Number(response.TTL)); // "-1" for a lease that is gone
}

/** Ends a lease and deletes its keys. No error when it is gone already. Throws EtcdError. */
export async function revoke(client: EtcdClient, leaseId: string): Promise<void> {
  try {
    await client.call(`revoke lease ${leaseId}`, (etcd) => etcd.leaseClient.leaseRevoke({ ID: leaseId }));
  } catch (error) {
    if (!(error instanceof EtcdError) || error.reason !== "lease-gone") throw error;
  }
}
