import { chmod } from "node:fs/promises";
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall, status } from "@grpc/grpc-js";
import { sleep, systemClock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { RecentLines } from "../base/recent-lines.ts";
import { AGENT_SERVICE, HEALTH_SERVICE } from "./service.ts";
import { placeSocket, type PlacedSocket } from "./socket.ts";
import { type Control, RefusedError } from "./control.ts";
import { healthOf, isUnknown } from "./health.ts";
import type { ProbeSource } from "./probe.ts";
import { encodeProbe, encodeProbed } from "./probe-wire.ts";
import { serveReflection } from "./reflection.ts";
import type { LogLevels, Setting } from "./setting.ts";
import { decodeLevel, encodeLevel, encodeSetting } from "./setting-wire.ts";
import { watch } from "./watch.ts";
import { encodeLease, encodeStatus, encodeTraffic, number } from "./wire.ts";

/** How long calls that are being answered may take once the server is told to stop. */
const GRACE_MS = 300;

export interface ApiServer {
  /** Fulfilled once the server is closed and its socket removed, which the signal brings about. */
  readonly done: Promise<void>;
}

/**
 * Serves the control API and gRPC's health and reflection services on the unix socket at path `socket`, which is of mode 0600 from its
 * first moment, until the signal aborts. Resolves when it answers. Throws an Error that names the path, with the
 * system's code in its cause, when the socket cannot be had; a socket that a killed agent has left is replaced.
 */
export async function serveApi(options: {
  readonly socket: string;
  readonly source: Control;
  /** Without it nothing is measured. */
  readonly probes?: ProbeSource;
  /** Without it nothing is remembered of the log. */
  readonly recentLog?: RecentLines;
  /** Without it none is told. */
  readonly settings?: () => readonly Setting[];
  /** Without it the level cannot be set. */
  readonly logLevels?: LogLevels;
  readonly log: Logger;
  readonly signal: AbortSignal;
}): Promise<ApiServer> {
  const { socket, source, probes = NO_PROBES, recentLog, settings = () => [], logLevels, log, signal } = options;
  const server = new Server();
  server.addService(AGENT_SERVICE, {
    Status: answer(log, () => ({ status: encodeStatus(source.status()) })),
    ListLeases: answer(log, () => ({ leases: source.leases().map(encodeLease) })),
    Leave: answer(log, async () => {
      const { subnets, problems } = await source.leave();
      return { subnets: [...subnets], problems: [...problems] };
    }),
    Reserve: answer(log, async ({ subnets, publicIps }) => ({
      key: await source.reserve(subnets ?? [], publicIps ?? []),
    })),
    Unreserve: answer(log, async ({ subnets }) => ({ key: await source.unreserve(subnets ?? []) })),
    ListProbes: answer(log, () => ({ probes: probes.probes().map(encodeProbe) })),
    ListLogs: answer(log, ({ after }) => ({ lines: [...(recentLog?.after(number(after)) ?? [])] })),
    WatchStatus: watch(() => ({ status: encodeStatus(source.status()) }), AGENT_SERVICE.WatchStatus.responseSerialize, {
      log,
      signal,
    }),
    WatchLeases: watch(
      () => ({ leases: source.leases().map(encodeLease) }),
      AGENT_SERVICE.WatchLeases.responseSerialize,
      {
        log,
        signal,
      },
    ),
    WatchTraffic: watch(
      () => ({ peers: source.status().peers.map(encodeTraffic) }),
      AGENT_SERVICE.WatchTraffic.responseSerialize,
      { log, signal },
    ),
    Probe: answer(log, async ({ target }) => encodeProbed(await probes.probe(target ?? ""))),
    ListSettings: answer(log, () => ({ settings: settings().map(encodeSetting) })),
    SetLogLevel: answer(log, ({ level }) => {
      const wanted = decodeLevel(level);
      if (!wanted) throw new RefusedError("there is no such log level: give debug, info, warn or error");
      if (!logLevels) throw new RefusedError("the log level of this agent is fixed");
      const { level: before, startedWith } = logLevels;
      log.info("log level set until the next start", { from: before, to: wanted });
      logLevels.level = wanted;
      return { before: encodeLevel(before), startedWith: encodeLevel(startedWith) };
    }),
  });
  server.addService(HEALTH_SERVICE, {
    Check: answer(log, ({ service }) => {
      const health = healthOf(service ?? "", source);
      if (isUnknown(health)) throw new UnknownServiceError(`there is no service ${JSON.stringify(service)}`);
      return health;
    }),
    Watch: watch(({ service }) => healthOf(service ?? "", source), HEALTH_SERVICE.Watch.responseSerialize, {
      log,
      signal,
    }),
  });
  serveReflection(server);
  let placed: PlacedSocket;
  try {
    placed = await placeSocket(socket, (path) => bind(server, path));
  } catch (error) {
    server.forceShutdown();
    throw new Error(`cannot serve the control API on ${socket}`, { cause: error });
  }
  return { done: closeAtAbort(server, placed, signal) };
}

const NO_PROBES: ProbeSource = { probes: () => [], probe: async () => ({ peers: [], address: undefined }) };

async function bind(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
  await chmod(path, 0o600);
}

async function closeAtAbort(server: Server, placed: PlacedSocket, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await placed.remove();
  // A client may keep its connection for as long as it likes.
  const closed = new AbortController();
  server.tryShutdown(() => closed.abort());
  await sleep(systemClock, GRACE_MS, closed.signal);
  server.forceShutdown();
}

type Handler<Q, R> = (call: ServerUnaryCall<Q, R>, callback: sendUnaryData<R>) => void;

function answer<Q, R>(log: Logger, make: (request: Q) => R | Promise<R>): Handler<Q, R> {
  const respond = async (call: ServerUnaryCall<Q, R>, callback: sendUnaryData<R>): Promise<void> => {
    let response: R;
    try {
      response = await make(call.request);
    } catch (error) {
      if (error instanceof UnknownServiceError) return callback({ code: status.NOT_FOUND, details: error.message });
      if (error instanceof RefusedError) return callback({ code: status.FAILED_PRECONDITION, details: error.message });
      log.error("cannot answer a call to the control API", { method: call.getPath(), err: error });
      return callback({ code: status.INTERNAL, details: describeError(error) });
    }
    callback(null, response);
  };
  return (call, callback) => void respond(call, callback);
}

class UnknownServiceError extends Error {
  override readonly name = "UnknownServiceError";
}
