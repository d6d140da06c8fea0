import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import protobuf from "protobufjs";

const { root } = protobuf.parse(readFileSync(join(import.meta.dirname, "cri.proto"), "utf8"));
const DEADLINE_MS = 60_000;

export interface PodOptions {
  /** TCP ports of the host, and which of the pod's they lead to. */
  readonly ports?: Readonly<Record<number, number>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Replies {
  readonly Status: {
    readonly status: { readonly conditions: { type: string; status?: boolean; message?: string }[] };
  };
  readonly RunPodSandbox: { readonly podSandboxId: string };
  readonly PodSandboxStatus: { readonly status: { readonly network: { readonly ip: string } } };
  readonly StopPodSandbox: object;
  readonly RemovePodSandbox: object;
}

/** A container runtime as a kubelet drives it, over the Container Runtime Interface. Calls reject with gRPC's error. */
export class Cri {
  readonly #client: Client;
  readonly #pods = new Set<string>();

  /** The socket's path as we see it. */
  constructor(socket: string) {
    // gRPC would send the path as the authority, which containerd's HTTP/2 refuses.
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      "grpc.default_authority": "localhost",
    });
  }

  /** Why the network is not ready; undefined when it is. */
  async networkProblem(): Promise<string | undefined> {
    const { status } = await this.#call("Status");
    const network = status.conditions.find(({ type }) => type === "NetworkReady");
    return network?.status === true ? undefined : (network?.message ?? "no word of the network");
  }

  /** Starts a pod without containers and returns its id. */
  async run(name: string, { ports = {}, annotations = {} }: PodOptions = {}): Promise<string> {
    const mappings = Object.entries(ports).map(([host, pod]) => ({ hostPort: Number(host), containerPort: pod }));
    const config = {
      metadata: { name, uid: `uid-${name}`, namespace: "default", attempt: 0 },
      hostname: name,
      logDirectory: "/tmp",
      portMappings: mappings,
      annotations,
    };
    const { podSandboxId } = await this.#call("RunPodSandbox", { config });
    this.#pods.add(podSandboxId);
    return podSandboxId;
  }

  async addressOf(pod: string): Promise<string> {
    return (await this.#call("PodSandboxStatus", { podSandboxId: pod })).status.network.ip;
  }

  async remove(pod: string): Promise<void> {
    await this.#call("StopPodSandbox", { podSandboxId: pod });
    await this.#call("RemovePodSandbox", { podSandboxId: pod });
    this.#pods.delete(pod);
  }

  /** Removes the pods that a test which failed has not removed. */
  async removeAll(): Promise<void> {
    for (const pod of this.#pods) await this.remove(pod);
  }

  close(): void {
    this.#client.close();
  }

  #call<M extends keyof Replies>(method: M, request: object = {}): Promise<Replies[M]> {
    const question = root.lookupType(`runtime.v1.${method}Request`);
    const answer = root.lookupType(`runtime.v1.${method}Response`);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/runtime.v1.RuntimeService/${method}`,
        (message: object) => Buffer.from(question.encode(question.fromObject(message)).finish()),
        (bytes: Buffer) => answer.toObject(answer.decode(bytes)) as Replies[M],
        request,
        { deadline: Date.now() + DEADLINE_MS },
        (error, reply) => {
          if (reply) resolve(reply);
          else reject(error ?? new Error(`${method} was not answered`));
        },
      );
    });
  }
}
