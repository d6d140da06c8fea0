// What a node of the compose lab and its visitors have in common: a volume at /run.

import { request } from "node:http";
import { text } from "node:stream/consumers";
import { type CommandOptions, type Output, requireSuccess } from "../../pkg/lab/command.ts";

/** Holds the node's network namespace, as readlink(2) of /proc/PID/ns/net gives it. */
export const NETNS_FILE = "/run/node.netns";
/** Answers HTTP: GET tells the NodeState, POST runs a RunRequest and tells its Output. */
export const SOCKET = "/run/node.sock";
/** Where an iperf3 server listens in every pod. */
export const PODS_PORT = 5201;

export interface NodeState {
  /** Without an address while a pod is not attached. */
  readonly pods: readonly { readonly name: string; readonly address?: string | undefined }[];
}

export interface RunRequest {
  /** The pod to run it in; without one it is run on the node itself. */
  readonly pod?: string;
  readonly argv: readonly string[];
  /** Milliseconds until it is killed. */
  readonly timeout?: number | undefined;
}

/** A node or a pod on it, in which commands run. */
export class Place {
  readonly #socket: string;
  readonly #pod: string | undefined;

  /** `socket` is the node's; without `pod` the place is the node itself. */
  constructor(socket: string, pod?: string) {
    this.#socket = socket;
    this.#pod = pod;
  }

  /** Runs a command to its end; throws a CommandError unless its status is 0. */
  async run(argv: readonly string[], options?: CommandOptions): Promise<Output> {
    return requireSuccess(argv, await this.capture(argv, options));
  }

  /** Runs a command to its end, whatever its status. */
  async capture(argv: readonly string[], { timeout }: CommandOptions = {}): Promise<Output> {
    const asked: RunRequest = { argv, timeout, ...(this.#pod === undefined ? {} : { pod: this.#pod }) };
    return JSON.parse(await ask(this.#socket, JSON.stringify(asked))) as Output;
  }
}

/** Asks a node who is there. Rejects with the system's error while the node does not listen. */
export async function nodeState(socket: string): Promise<NodeState> {
  return JSON.parse(await ask(socket)) as NodeState;
}

function ask(socketPath: string, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: "/", method: body === undefined ? "GET" : "POST" }, (response) => {
      text(response).then((said) => {
        if (response.statusCode === 200) resolve(said);
        else reject(new Error(`${socketPath} answers ${response.statusCode}: ${said}`));
      }, reject);
    });
    asked.once("error", reject);
    asked.end(body);
  });
}
