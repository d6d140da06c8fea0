import { isDeepStrictEqual } from "node:util";
import type { Interceptor } from "@grpc/grpc-js";
import type { CallContext, Etcd3, IOptions, IRangeRequest, IRangeResponse } from "etcd3";
import type { Random } from "../base/backoff.ts";
import { Backoff } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { sleep } from "../base/clock.ts";
import { ConfigError, describeError } from "../base/errors.ts";
import { authenticateByHost } from "./authenticate.ts";
import { parseEndpoints } from "./endpoints.ts";
import { EtcdError, explain, isOpenBreaker, opensslReason } from "./errors.ts";
import type { TlsFiles } from "./tls-files.ts";
import { readCredentials } from "./tls-files.ts";

/** How to reach etcd. */
export interface EtcdSettings extends TlsFiles {
  readonly endpoints: readonly string[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

export interface EtcdDeps {
  readonly clock: Clock;
  readonly random: Random;
}

type Etcd3Module = typeof import("etcd3");
type Options = IOptions & { readonly hosts: string[] };

/** For one try of a unary call, in milliseconds. Without one a stopped or black-holed etcd holds a call for ever. */
export const CALL_DEADLINE_MS = 3000;

// A call is tried again while it is younger than this. One endpoint: a dead etcd is told of within two deadlines.
// Several: one that hangs may take two deadlines before its breaker opens, and the next try then goes elsewhere. Tries
// are not counted there: each goes to a host by chance, and for streams the breaker of a dead one stays closed: etcd3
// takes a stream for a success as soon as it is asked for (rpc.js, leaseKeepAlive).
const RETRY_WITHIN_MS = { one: 4000, several: 8000 };
const TRIES = { one: 4, several: Infinity };

const GRPC_OPTIONS = {
  // A half-open connection is not noticed by a watch that waits. Not below 5 s, the server's
  // --grpc-keepalive-min-time, and no pings without calls: it answers either with "too many pings" and cuts the watch.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5000,
  "grpc.initial_reconnect_backoff_ms": 200,
  "grpc.max_reconnect_backoff_ms": 2000,
  // Memory for what a hostile writer may have put there. One value has 1.5 MB at most, etcd cuts batches of watch events
  // to about as much, and pages of lists are made smaller when they do not fit.
  "grpc.max_receive_message_length": 16 * 1024 * 1024,
  // etcd is never behind a web proxy, and etcdctl ignores http_proxy too.
  "grpc.enable_http_proxy": 0,
};

/** An Etcd3, what it was made with, and how many calls it is making. */
interface Link {
  readonly etcd: Etcd3;
  readonly options: Options;
  calls: number;
}

/** A connection to etcd: what every kind of call shares. KV, leases and follow are functions over it. */
export class EtcdClient {
  readonly clock: Clock;
  readonly random: Random;
  /** As an operator would write them: "http://a:2379, http://b:2379". */
  readonly endpoints: string;
  readonly username: string | undefined;
  readonly #module: Etcd3Module;
  readonly #files: TlsFiles;
  #link: Link;
  readonly #several: boolean;
  readonly #requireLeader: Interceptor;
  readonly #closed = new AbortController();

  private constructor(
    module: Etcd3Module,
    requireLeader: Interceptor,
    options: Options,
    files: TlsFiles,
    deps: EtcdDeps,
  ) {
    this.clock = deps.clock;
    this.random = deps.random;
    this.endpoints = options.hosts.join(", ");
    this.username = options.auth?.username;
    this.#module = module;
    this.#requireLeader = requireLeader;
    this.#files = files;
    this.#link = this.#connect(options);
    this.#several = options.hosts.length > 1;
  }

  /**
   * Checks the settings, reads the TLS files and loads etcd3. Contacts nobody yet.
   * Throws ConfigError for an endpoint, a file or a combination that makes no sense.
   */
  static async open(settings: EtcdSettings, deps: EtcdDeps): Promise<EtcdClient> {
    const { caFile, certFile, keyFile, username, password } = settings;
    const tlsFiles = [caFile, certFile, keyFile].some((file) => file !== undefined);
    const { hosts, tls } = parseEndpoints(settings.endpoints, tlsFiles);
    const problems: string[] = [];
    if ((keyFile === undefined) !== (certFile === undefined)) {
      problems.push("a client certificate needs both its parts: give --etcd-certfile and --etcd-keyfile");
    }
    if ((username === undefined) !== (password === undefined)) {
      problems.push("etcd wants a user name and a password together: give --etcd-username and --etcd-password");
    }
    if (problems.length > 0) throw new ConfigError(problems);
    // Loading etcd3 takes 120 ms and 30 MB: only who really talks to etcd pays for it.
    const [module, cockatiel, grpc] = await Promise.all([
      import("etcd3"),
      import("cockatiel"),
      import("@grpc/grpc-js"),
    ]);
    // etcd then ends a stream whose member has lost its leader, instead of leaving it silent on a cut-off member
    // (etcd api/v3rpc/rpctypes/metadatafields.go; etcdctl calls it WithRequireLeader).
    const requireLeader: Interceptor = (options, nextCall) =>
      new grpc.InterceptingCall(nextCall(options), {
        start: (metadata, listener, next) => {
          const own = metadata.clone(); // with a password, etcd3 uses one object for all calls
          own.set("hasleader", "true");
          next(own, listener);
        },
      });
    const options = {
      hosts: hosts.map((host) => `${tls ? "https" : "http"}://${host}`),
      grpcOptions: GRPC_OPTIONS,
      defaultCallOptions: ({ isStream }: CallContext) =>
        isStream ? {} : { deadline: deps.clock.wall() + CALL_DEADLINE_MS },
      faultHandling: {
        // We count tries ourselves, see `call`.
        global: cockatiel.noop,
        // With one endpoint an open breaker only makes us late when etcd is back. With several it keeps every third
        // call from spending its whole deadline on a member that hangs.
        host: () =>
          hosts.length === 1
            ? cockatiel.noop
            : cockatiel.circuitBreaker(cockatiel.handleWhen(module.isRecoverableError), {
                halfOpenAfter: 1000,
                breaker: new cockatiel.ConsecutiveBreaker(2),
              }),
      },
      ...(username !== undefined && password !== undefined && { auth: { username, password } }),
      ...(tls && tlsFiles && { credentials: await readCredentials(settings) }),
    };
    try {
      return new EtcdClient(module, requireLeader, options, settings, deps);
    } catch (cause) {
      // OpenSSL reads the files only now. Its text says which is broken, or that key and certificate are no pair.
      const files = [caFile, certFile, keyFile].filter((file) => file !== undefined).join(", ");
      if (files === "") throw cause;
      throw new ConfigError([`cannot use the etcd TLS files ${files}: ${opensslReason(describeError(cause))}`], {
        cause,
      });
    }
  }

  /**
   * Makes a unary call; `what` completes "etcd could not ..." in its error. A failure that may pass is tried again for
   * some seconds: `attempt` counts from 1, and from the second on an earlier one may have had its effect unseen.
   * Throws EtcdError.
   */
  async call<T>(
    what: string,
    rpc: (etcd: Etcd3, attempt: number) => Promise<T>,
    tries = this.#several ? TRIES.several : TRIES.one,
  ): Promise<T> {
    const backoff = new Backoff({ first: 50, most: 500, random: this.random });
    const giveUp = this.clock.now() + (this.#several ? RETRY_WITHIN_MS.several : RETRY_WITHIN_MS.one);
    let failure: unknown;
    for (let attempt = 1; ; attempt++) {
      if (this.#closed.signal.aborted) throw new EtcdError("failed", `could not ${what}: the etcd client is closed`);
      try {
        return await this.#use((etcd) => rpc(etcd, attempt));
      } catch (error) {
        const explained = this.explain(error, what);
        if (explained instanceof EtcdError && explained.reason === "unavailable") await this.#renewLink();
        const again = explained instanceof EtcdError && explained.reason === "unavailable" && attempt < tries;
        // An open breaker only says that there were failures before.
        if (failure === undefined || !isOpenBreaker(error)) failure = explained;
        if (!again || this.clock.now() > giveUp) throw failure;
      }
      await sleep(this.clock, backoff.next(), this.#closed.signal);
    }
  }

  /** Keys of a range, at one revision. Throws EtcdError. */
  range(what: string, request: IRangeRequest): Promise<IRangeResponse> {
    return this.call(what, (etcd) => etcd.kv.range(request));
  }

  /** As `range`, for a question that is asked again soon: a single etcd gets one chance. Throws EtcdError. */
  probe(what: string, request: IRangeRequest): Promise<IRangeResponse> {
    return this.call(what, (etcd) => etcd.kv.range(request), this.#several ? TRIES.several : 1);
  }

  /** Opens a raw watch stream. Whoever ends it calls `closeStream`. What it throws is for `explain`. */
  async watch(): ReturnType<Etcd3["watchClient"]["watch"]> {
    await this.#renewLink();
    return this.#use((etcd) => etcd.watchClient.watch({ interceptors: [this.#requireLeader] }));
  }

  /** The error as an EtcdError when it came from etcd or the way there; as it is when not. */
  explain(error: unknown, what: string): unknown {
    return explain(this.#module, error, { endpoints: this.endpoints, username: this.username, what });
  }

  /** Ends all calls. Streams must have been closed before, or they would go on by themselves. */
  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#link.etcd.close();
  }

  #connect(options: Options): Link {
    const etcd = new this.#module.Etcd3(options);
    authenticateByHost(etcd, this.#module);
    return { etcd, options, calls: 0 };
  }

  async #use<T>(rpc: (etcd: Etcd3) => Promise<T>): Promise<T> {
    const link = this.#link;
    link.calls++;
    try {
      return await rpc(link.etcd);
    } finally {
      link.calls--;
      this.#closeReplaced(link);
    }
  }

  /**
   * Goes on with what the TLS files hold now. A certificate is renewed while we run, and once the old one has run out
   * etcd takes no new connection with it. Streams stay on the connections that they have.
   */
  async #renewLink(): Promise<void> {
    if (this.#link.options.credentials === undefined) return;
    const before = this.#link;
    try {
      const credentials = await readCredentials(this.#files);
      const news = !isDeepStrictEqual(credentials, before.options.credentials);
      if (!news || this.#link !== before || this.#closed.signal.aborted) return;
      const options = { ...before.options, credentials };
      this.#link = this.#connect(options);
    } catch {
      return; // half written, or a key whose certificate is still to come: the next failure looks again
    }
    this.#closeReplaced(before);
  }

  #closeReplaced(link: Link): void {
    if (link !== this.#link && link.calls === 0) link.etcd.close();
  }
}

/**
 * Ends a raw stream. `end` comes first: etcd3 takes the error that `cancel` raises on a stream still open for writing
 * as a failure of the host, and drops all connections to it (connection-pool.js, markFailed).
 */
export function closeStream(stream: { end(): void; cancel(): void }): void {
  stream.end();
  stream.cancel();
}
