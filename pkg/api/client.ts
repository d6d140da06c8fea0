import { Client, credentials, type MethodDefinition, type ServiceError, status } from "@grpc/grpc-js";
import { systemClock } from "../base/clock.ts";
import { type Left, RefusedError } from "./control.ts";
import type { PeerProbe, Probed } from "./probe.ts";
import { decodeProbe, decodeProbed } from "./probe-wire.ts";
import { AgentUnreachableError, requireAgent } from "./reach.ts";
import { AGENT_SERVICE } from "./service.ts";
import type { LogLevel, Setting } from "./setting.ts";
import { decodeLevel, decodeSetting, encodeLevel } from "./setting-wire.ts";
import type { LeaseStatus, Status } from "./status.ts";
import { decodeLease, decodeStatus, number } from "./wire.ts";

/** The agent answers from memory: one that takes longer hangs. */
const CALL_TIMEOUT_MS = 5000;
/** For calls that change something: the agent asks etcd, and changes the host. */
const CHANGE_TIMEOUT_MS = 30_000;
/** Silence is waited for: seconds for each peer of twenty. */
const PROBE_TIMEOUT_MS = 300_000;

/** Calls the agent of this host over its unix socket. */
export class AgentClient {
  readonly #client: Client;
  readonly #socket: string;
  readonly #timeout: number;

  private constructor(socket: string, timeout: number) {
    this.#socket = socket;
    this.#timeout = timeout;
    // A cluster of tens of thousands of leases is more than gRPC's default of 4 MB.
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
    });
  }

  /** `timeout` is for each call, in milliseconds. Throws an AgentUnreachableError where nobody answers at the path. */
  static async connect(socket: string, timeout = CALL_TIMEOUT_MS): Promise<AgentClient> {
    await requireAgent(socket);
    return new AgentClient(socket, timeout);
  }

  async status(): Promise<Status> {
    const response = await this.#call(AGENT_SERVICE.Status, {});
    return decodeStatus(response.status ?? {});
  }

  async leases(): Promise<readonly LeaseStatus[]> {
    const response = await this.#call(AGENT_SERVICE.ListLeases, {});
    return (response.leases ?? []).map(decodeLease);
  }

  /** Takes the node out of the cluster. Throws a RefusedError, as the other calls that change something. */
  async leave(): Promise<Left> {
    const response = await this.#call(AGENT_SERVICE.Leave, {}, CHANGE_TIMEOUT_MS);
    return { subnets: response.subnets ?? [], problems: response.problems ?? [] };
  }

  /** Keeps a subnet for the node at an address. Resolves to the key. */
  async reserve(subnets: readonly string[], publicIps: readonly string[]): Promise<string> {
    const request = { subnets: [...subnets], publicIps: [...publicIps] };
    return (await this.#call(AGENT_SERVICE.Reserve, request, CHANGE_TIMEOUT_MS)).key ?? "";
  }

  /** Ends a reservation. Resolves to the key. */
  async unreserve(subnets: readonly string[]): Promise<string> {
    return (await this.#call(AGENT_SERVICE.Unreserve, { subnets: [...subnets] }, CHANGE_TIMEOUT_MS)).key ?? "";
  }

  /** What was measured of every peer so far. */
  async probes(): Promise<readonly PeerProbe[]> {
    return ((await this.#call(AGENT_SERVICE.ListProbes, {})).probes ?? []).map(decodeProbe);
  }

  /** Measures a peer now, or all of them for "". Throws a RefusedError where there is no such peer. */
  async probe(target: string): Promise<Probed> {
    return decodeProbed(await this.#call(AGENT_SERVICE.Probe, { target }, PROBE_TIMEOUT_MS));
  }

  /** What the agent has logged behind this number, as far as it remembers; 0 for all. Each is a JSON object as text. */
  async logs(after: number): Promise<readonly { readonly sequence: number; readonly text: string }[]> {
    const { lines } = await this.#call(AGENT_SERVICE.ListLogs, { after });
    return (lines ?? []).map((line) => ({ sequence: number(line.sequence), text: line.text ?? "" }));
  }

  /** What the agent runs with. */
  async settings(): Promise<readonly Setting[]> {
    return ((await this.#call(AGENT_SERVICE.ListSettings, {})).settings ?? []).map(decodeSetting);
  }

  /** Sets how much the agent logs. Resolves to the level before, and to the one that it has when it is started again. */
  async setLogLevel(level: LogLevel): Promise<{ before: LogLevel | undefined; startedWith: LogLevel | undefined }> {
    const { before, startedWith } = await this.#call(AGENT_SERVICE.SetLogLevel, { level: encodeLevel(level) });
    return { before: decodeLevel(before), startedWith: decodeLevel(startedWith) };
  }

  close(): void {
    this.#client.close();
  }

  #call<Q, R>(method: MethodDefinition<Q, R>, request: Q, timeout = this.#timeout): Promise<R> {
    return new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = method;
      const deadline = systemClock.wall() + timeout;
      const finish = (error: ServiceError | null, response?: R): void => {
        if (error) reject(this.#describe(error, timeout));
        else resolve(response as R);
      };
      this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, { deadline }, finish);
    });
  }

  #describe(error: ServiceError, timeout: number): Error {
    if (error.code === status.DEADLINE_EXCEEDED) {
      const message = `the agent at ${this.#socket} does not answer within ${timeout / 1000} s`;
      return new AgentUnreachableError(`${message}: look at its log, or restart it`);
    }
    if (error.code === status.UNAVAILABLE)
      return new AgentUnreachableError(`the agent at ${this.#socket} closed the connection: it is stopping`);
    if (error.code === status.UNIMPLEMENTED)
      return new Error("the agent does not know this call: it is older than this twillctl");
    if (error.code === status.FAILED_PRECONDITION) return new RefusedError(error.details);
    return new Error(`the agent cannot answer: ${error.details}`);
  }
}
