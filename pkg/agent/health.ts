import type { IncomingMessage, ServerResponse } from "node:http";
import { describeError, errorCode } from "../base/errors.ts";

// An import would take every property of the module at once, and with them undici, whose getter loads it: 85 of the
// 200 ms that an empty program took (Node 24, lib/http.js, lazyUndici).
const { createServer } = process.getBuiltinModule("node:http");

/** What the two health pages tell. Asked at every request, so it must be cheap. */
export interface HealthSource {
  /** Whether the agent's loops are running: false means that only a restart helps. */
  live(): boolean;
  /** Whether pods may be attached, and why or why not in one line. */
  ready(): { readonly ready: boolean; readonly reason: string; readonly checks?: readonly Check[] };
}

/** One thing that being ready hangs on, or that a person should know of. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly sentence: string;
}

/** What `/metrics` says, made at every request. */
export interface MetricsPage {
  readonly contentType: string;
  text(): Promise<string>;
}

export interface HealthServer {
  /** The port, also where 0 was asked for. */
  readonly port: number;
  /** Fulfilled once the server is closed, which the signal brings about; rejected if it died. */
  readonly done: Promise<void>;
}

/**
 * Serves `/healthz` (200 while the agent lives, else 503), `/readyz` (200 or 503, with the reason, and what was
 * looked at with `?verbose`) and `/metrics` over HTTP until the signal aborts. Throws an Error with the system's code where the address cannot be had.
 */
export async function serveHealth(
  at: { readonly ip: string; readonly port: number },
  source: HealthSource,
  signal: AbortSignal,
  metrics?: MetricsPage,
): Promise<HealthServer> {
  const server = createServer((request, response) => answer(request, response, source, metrics));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(at, error)));
    server.listen(at.port, at.ip, resolve);
  });
  server.removeAllListeners("error");
  const done = new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.once("close", resolve);
  });
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  if (signal.aborted) close();
  else signal.addEventListener("abort", close, { once: true });
  const address = server.address();
  return { port: typeof address === "object" && address ? address.port : at.port, done };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  source: HealthSource,
  metrics: MetricsPage | undefined,
): void {
  const say = (status: number, ...lines: readonly string[]): void => {
    response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
    response.end(lines.map((line) => `${line.replaceAll(/\s+/g, " ").trim()}\n`).join(""));
  };
  const path = (request.url ?? "").split("?")[0];
  const isMetrics = metrics !== undefined && path === "/metrics";
  if (path !== "/healthz" && path !== "/readyz" && !isMetrics)
    return say(404, "not found: there are /healthz, /readyz and /metrics");
  if (request.method !== "GET" && request.method !== "HEAD") return say(405, "only GET and HEAD are answered");
  if (isMetrics) {
    const send = (text: string): void => {
      response.writeHead(200, { "content-type": metrics.contentType, "cache-control": "no-store" });
      response.end(text);
    };
    return void metrics.text().then(send, (error: unknown) => say(500, `cannot say: ${describeError(error)}`));
  }
  if (path === "/healthz") {
    const live = source.live();
    return say(live ? 200 : 503, live ? "twilld is running" : "twilld has stopped working and must be restarted");
  }
  const { ready, reason, checks = [] } = source.ready();
  const verbose = (request.url ?? "").split("?")[1]?.split("&").includes("verbose") === true;
  return say(ready ? 200 : 503, reason, ...(verbose ? checks.map(checkLine) : []));
}

// As the Kubernetes API server writes them.
function checkLine({ name, ok, sentence }: Check): string {
  return `[${ok ? "+" : "-"}]${name}: ${sentence}`;
}

const LISTEN_PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use; stop what holds it, or choose another --healthz-port",
  EADDRNOTAVAIL: "this host does not have the address; give another --healthz-ip",
  EACCES: "no permission; choose a --healthz-port above 1023, or run as root",
};

function listenError(at: { readonly ip: string; readonly port: number }, error: Error): Error {
  const where = at.ip.includes(":") ? `[${at.ip}]:${at.port}` : `${at.ip}:${at.port}`;
  const code = errorCode(error);
  const message = `cannot serve health on ${where}: ${LISTEN_PROBLEMS[code ?? ""] ?? error.message}`;
  return Object.assign(new Error(message), { code });
}
