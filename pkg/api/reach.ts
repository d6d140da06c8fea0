// Whether an agent is there at all: apart from the client, since loading gRPC takes longer than to find out.

import { errorCode } from "../base/errors.ts";
import { probeSocket } from "./socket.ts";

/** No agent answers at the socket. The message is one sentence that says what to do. */
export class AgentUnreachableError extends Error {
  override readonly name = "AgentUnreachableError";
  /** Whether the socket is there, and only we may not use it. */
  readonly forbidden: boolean;

  /** `code` is the system's, where that has refused. */
  constructor(message?: string, code?: string) {
    super(message);
    this.forbidden = code === "EACCES" || code === "EPERM";
  }
}

/** Throws an AgentUnreachableError where nobody answers at the path. */
export async function requireAgent(socket: string): Promise<void> {
  const refused = await probeSocket(socket);
  if (refused) throw new AgentUnreachableError(describeRefusal(socket, refused), errorCode(refused));
}

/** One sentence for why nobody can be reached at the socket, with the next step. */
export function describeRefusal(socket: string, error: Error): string {
  switch (errorCode(error) ?? "") {
    case "ENOENT":
      return `no agent runs here: there is no ${socket}; start twilld, or give its socket by --socket`;
    case "ECONNREFUSED":
      return `no agent runs here: nobody listens on ${socket}; start twilld again`;
    case "EACCES":
    case "EPERM":
      return `no permission to use ${socket}: run this as root, for example with sudo`;
    default:
      return `cannot connect to ${socket}: ${error.message}`;
  }
}
