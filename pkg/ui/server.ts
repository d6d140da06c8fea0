import { randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Mesh } from "./mesh.ts";
import type { Page } from "./page-file.ts";

/** The only address that it ever listens on. */
export const UI_ADDRESS = "127.0.0.1";

export interface UiServer {
  /** Where a browser on this host finds the page. Whoever knows it may look: it holds a secret of 128 bits. */
  readonly url: string;
  /** Fulfilled once the server is closed, which the signal brings about. */
  readonly done: Promise<void>;
}

/**
 * Serves the page and the mesh on localhost until the signal aborts. What it shows only root may ask of an agent, so other
 * users of this host are kept out by a secret in the address, and pages of other sites by the Host header: a name that
 * somebody made point to 127.0.0.1 is not ours (DNS rebinding). Throws where the port cannot be had.
 */
export async function serveUi(options: {
  /** 0 for any free one. */
  readonly port: number;
  readonly page: Page;
  /** Calls back with the mesh again and again; returns what ends that. */
  readonly subscribe: (read: (mesh: Mesh) => void) => () => void;
  readonly signal: AbortSignal;
}): Promise<UiServer> {
  const { port, page, subscribe, signal } = options;
  const secret = randomBytes(16).toString("base64url");
  const server = createServer({ requestTimeout: 10_000 });
  server.listen({ port, host: UI_ADDRESS });
  await once(server, "listening");
  const { port: bound } = server.address() as AddressInfo;
  const hosts = new Set([`${UI_ADDRESS}:${bound}`, `localhost:${bound}`]);
  server.on("request", (request, response) => {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const path = allowed(request, response, hosts, secret);
    if (path === "") return send(response, page);
    if (path === "mesh") return stream(response, subscribe);
    if (path !== undefined) refuse(response, 404, "there is nothing here");
  });
  return { url: `http://${UI_ADDRESS}:${bound}/${secret}/`, done: closeAtAbort(server, signal) };
}

const HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cache-Control": "no-store",
} as const;

/** The path behind the secret; undefined where the request was refused. */
function allowed(
  request: IncomingMessage,
  response: ServerResponse,
  hosts: ReadonlySet<string>,
  secret: string,
): string | undefined {
  const { host = "", "sec-fetch-site": site = "none" } = request.headers;
  if (!hosts.has(host.toLowerCase())) return refuse(response, 421, "this is not the host that was asked for");
  if (site !== "none" && site !== "same-origin") return refuse(response, 403, "this is not for other sites");
  if (request.method !== "GET") {
    response.setHeader("Allow", "GET");
    return refuse(response, 405, "there is nothing to change here");
  }
  const [, given = "", ...rest] = (request.url ?? "").split("?")[0]?.split("/") ?? [];
  if (!same(given, secret) || rest.length === 0)
    return refuse(response, 404, "the address is not whole: take it from what twillctl ui printed");
  return rest.join("/");
}

function same(given: string, secret: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function refuse(response: ServerResponse, status: number, why: string): undefined {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${why}\n`);
}

function send(response: ServerResponse, { html, policy }: Page): void {
  response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy }).end(html);
}

// Server-sent events, HTML Living Standard section 9.2. A reader that is slow is left out until it has caught up, and then
// gets what is true by then.
function stream(response: ServerResponse, subscribe: (read: (mesh: Mesh) => void) => () => void): void {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write("retry: 1000\n\n");
  const end = subscribe((mesh) => {
    if (!response.writableNeedDrain) response.write(`data: ${JSON.stringify(mesh)}\n\n`);
  });
  response.on("close", end);
}

async function closeAtAbort(server: Server, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
