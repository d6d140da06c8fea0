import type { CallOptions, Client } from "@grpc/grpc-js";
import type { Etcd3 } from "etcd3";

type Etcd3Module = typeof import("etcd3");

// What etcd3 1.1.2 hides in lib/connection-pool.js.
interface Internals {
  readonly pool: {
    readonly hosts: readonly Host[];
    readonly authenticator: {
      getCredentialsFromHost: (
        address: string,
        name: string,
        password: string,
        options: CallOptions,
      ) => Promise<string>;
    };
  };
}

interface Host {
  /** "host:port" */
  readonly host: string;
  getServiceClient(name: "Auth"): AuthClient;
  resetAllServices(): void;
}

interface AuthClient extends Client {
  authenticate(
    request: { readonly name: string; readonly password: string },
    options: CallOptions,
    done: (error: Error | null, reply?: { readonly token: string }) => void,
  ): void;
}

/**
 * Makes an Etcd3 ask for its token as it makes all other calls. Its own getCredentialsFromHost (lib/connection-pool.js)
 * makes a gRPC client for each try, without our options, and never closes one: 28 KB each while etcd is down, and no
 * cause in the error, since a new client finds the address waiting for its next connection.
 */
export function authenticateByHost(etcd: Etcd3, module: Etcd3Module): void {
  const { hosts, authenticator } = (etcd as unknown as Internals).pool;
  authenticator.getCredentialsFromHost = async (address, name, password, options) => {
    const host = hosts.find((each) => each.host === address);
    if (!host) throw new Error(`etcd3 has no host ${address}`);
    try {
      return await new Promise<string>((resolve, reject) => {
        host.getServiceClient("Auth").authenticate({ name, password }, options, (error, reply) => {
          if (reply) resolve(reply.token);
          else reject(error ?? new Error(`etcd at ${address} gave no token`));
        });
      });
    } catch (error) {
      const cast = error instanceof Error ? module.castGrpcError(error) : error;
      // As etcd3 does for other calls: the next one connects at once, without a backoff.
      if (cast instanceof Error && module.isRecoverableError(cast)) host.resetAllServices();
      throw cast;
    }
  };
}
