/**
 * What etcd or the way to it answered instead of a result: one sentence that names the endpoints, and what a caller
 * needs for deciding.
 *
 * - "unavailable": nobody answered, or etcd cannot now. The same call may succeed later. A write may have happened.
 * - "refused": user, password or role do not permit it. Trying again helps only after somebody has changed that.
 * - "lease-gone": the lease named in the call does not exist (any more).
 * - "compacted": the revision asked for is no longer kept.
 * - "failed": anything else; trying again will not help.
 */
export class EtcdError extends Error {
  override readonly name = "EtcdError";
  readonly reason: EtcdReason;

  constructor(reason: EtcdReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export type EtcdReason = "unavailable" | "refused" | "lease-gone" | "compacted" | "too-large" | "failed";

/** Whom a call went to and what it was about, for the sentence of its error. */
export interface CallContext {
  /** As the operator wrote them: "http://a:2379, http://b:2379". */
  readonly endpoints: string;
  readonly username: string | undefined;
  /** What was being done: "read /coreos.com/network/". */
  readonly what: string;
}

type Etcd3Module = typeof import("etcd3");

/** Turns what etcd3 and grpc-js throw into an EtcdError; anything that is no error of theirs comes back as it is. */
export function explain(etcd3: Etcd3Module, error: unknown, context: CallContext): unknown {
  if (error instanceof EtcdError || !(error instanceof Error)) return error;
  if (isOpenBreaker(error)) {
    const { endpoints } = context;
    return new EtcdError("unavailable", `no etcd answers at ${endpoints}: all endpoints failed just now`, {
      cause: error,
    });
  }
  const cast = etcd3.castGrpcError(error);
  if (!(Object.values(etcd3) as unknown[]).includes(cast.constructor)) return error; // a defect of ours
  const { endpoints, what } = context;
  const user = context.username === undefined ? "a client without a user name" : `user "${context.username}"`;
  const options = { cause: error };
  if (cast instanceof etcd3.EtcdPermissionDeniedError) {
    const hint = "give its role readwrite on that prefix (etcdctl role grant-permission --prefix)";
    return new EtcdError("refused", `etcd at ${endpoints} does not let ${user} ${what}: ${hint}`, options);
  }
  if (cast instanceof etcd3.EtcdAuthenticationFailedError) {
    return new EtcdError(
      "refused",
      `etcd at ${endpoints} does not accept ${user}: wrong user name or password`,
      options,
    );
  }
  if (cast instanceof etcd3.GRPCInvalidArgumentError && cast.message.includes("user name is empty")) {
    const hint = "set --etcd-username and --etcd-password";
    return new EtcdError("refused", `etcd at ${endpoints} wants a user name and a password: ${hint}`, options);
  }
  if (cast instanceof etcd3.EtcdLeaseInvalidError) {
    return new EtcdError("lease-gone", `could not ${what}: the etcd lease is gone`, options);
  }
  if (cast instanceof etcd3.GRPCOutOfRangeError) {
    return new EtcdError("compacted", `could not ${what}: etcd no longer keeps that revision`, options);
  }
  if (cast instanceof etcd3.GRPCResourceExhastedError && cast.message.includes("larger than max")) {
    return new EtcdError("too-large", `etcd at ${endpoints} could not ${what}: the answer is too large`, options);
  }
  if (cast instanceof etcd3.GRPCDeadlineExceededError) {
    return new EtcdError("unavailable", `no etcd answers at ${endpoints}: no reply in time`, options);
  }
  if (cast instanceof etcd3.GRPCUnavailableError && !cast.message.includes("etcdserver:")) {
    return new EtcdError(
      "unavailable",
      `no etcd answers at ${endpoints}${transportCause(cast.message, endpoints)}`,
      options,
    );
  }
  const recoverable = etcd3.isRecoverableError(cast) || cast instanceof etcd3.EtcdInvalidAuthTokenError;
  const reason = recoverable ? "unavailable" : "failed";
  return new EtcdError(reason, `etcd at ${endpoints} could not ${what}: ${withoutStatus(cast.message)}`, options);
}

/** Whether an open circuit breaker (cockatiel's class) stands here for the failures that opened it. */
export function isOpenBreaker(error: unknown): boolean {
  return error instanceof Error && "isBrokenCircuitError" in error;
}

// grpc-js: "14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED ... Resolution note: ..."
// The class decides; the text is only shown, since what TLS did not like is said nowhere else.
function transportCause(message: string, endpoints: string): string {
  const last = /Last error: (?:Error: )?(.*?)\.?\s*(?:Resolution note:.*)?$/s.exec(message)?.[1];
  const cause = opensslReason(last ?? withoutStatus(message))
    .replace(/; if the root CA is installed locally.*$/, "") // advice of Node's about a flag of its own
    .replace(/\s*\(\d{4}-[\d-]+T[\d:.]+Z\)$/, "")
    .trim();
  if (cause === "null") return ""; // of a channel that has not tried yet itself (grpc-js, load-balancer-pick-first.js)
  // A server without TLS closes the connection in the middle of the handshake, which is one or the other.
  const isReset = last !== undefined && cause === "read ECONNRESET" && endpoints.includes("https:");
  const hint = isReset ? HTTP_HINT : HINTS.find(({ when }) => when.test(cause))?.hint;
  return hint === undefined ? `: ${cause}` : `: ${cause} (${hint})`;
}

const HTTP_HINT = "is it an http:// endpoint?";

const HINTS = [
  { when: /alert/, hint: "check --etcd-certfile and --etcd-keyfile" },
  { when: /self.signed|unable to (?:verify|get)|issuer/i, hint: "check --etcd-cafile" },
  { when: /altname/i, hint: "use a name that etcd's certificate holds" },
  { when: /before secure TLS connection/, hint: HTTP_HINT },
  { when: /^Failed to connect$/, hint: "is it an https:// endpoint?" },
];

/** "alert bad certificate" from "4D2C:error:0A000412:SSL routines:ssl3_read_bytes:ssl/tls alert bad certificate:..." */
export function opensslReason(text: string): string {
  return /error:[0-9A-F]+:[^:]*:[^:]*:([^:\n]+)/.exec(text)?.[1] ?? text;
}

function withoutStatus(message: string): string {
  return message.replace(/^(?:\w+: )?\d+ [A-Z_]+: /, "").trim();
}
