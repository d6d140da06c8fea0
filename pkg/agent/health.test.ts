import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { errorCode } from "../base/errors.ts";
import { EXIT, exitCode } from "./exit-codes.ts";
import { type HealthServer, serveHealth } from "./health.ts";

const state = { live: true, ready: true, reason: "" };
const source = { live: () => state.live, ready: () => ({ ready: state.ready, reason: state.reason }) };

let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
});

async function serve(ip = "127.0.0.1"): Promise<HealthServer> {
  return serveHealth({ ip, port: 0 }, source, stop.signal);
}

async function get(port: number, path: string, method = "GET"): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return { status: response.status, text: await response.text() };
}

test("/healthz is 200 while the loops live and 503 after", async () => {
  const { port } = await serve();
  state.live = true;
  expect(await get(port, "/healthz")).toEqual({ status: 200, text: "twilld is running\n" });
  state.live = false;
  expect((await get(port, "/healthz")).status).toBe(503);
});

test("/readyz tells the reason in one line", async () => {
  const { port } = await serve();
  Object.assign(state, { ready: false, reason: "no lease yet:\n  etcd does not answer" });
  expect(await get(port, "/readyz")).toEqual({ status: 503, text: "no lease yet: etcd does not answer\n" });
  Object.assign(state, { ready: true, reason: "10.5.52.0/24 is served" });
  expect(await get(port, "/readyz?verbose")).toEqual({ status: 200, text: "10.5.52.0/24 is served\n" });
});

test("/readyz?verbose tells what was looked at, each in a line", async () => {
  const checks = [
    { name: "lease", ok: true, sentence: "10.5.52.0/24 is held" },
    { name: "table", ok: false, sentence: "etcd does not\nanswer" },
  ];
  const { port } = await serveHealth(
    { ip: "127.0.0.1", port: 0 },
    { live: () => true, ready: () => ({ ready: true, reason: "ready", checks }) },
    stop.signal,
  );
  const text = "ready\n[+]lease: 10.5.52.0/24 is held\n[-]table: etcd does not answer\n";
  expect(await get(port, "/readyz?verbose")).toEqual({ status: 200, text });
  expect(await get(port, "/readyz")).toEqual({ status: 200, text: "ready\n" });
});

test("/metrics is the page that was made, or 500 with why it could not be", async () => {
  let text = (): Promise<string> => Promise.resolve("twill_ready 1\n");
  const page = { contentType: "text/plain; version=0.0.4", text: () => text() };
  const { port } = await serveHealth({ ip: "127.0.0.1", port: 0 }, source, stop.signal, page);
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([
    200,
    "text/plain; version=0.0.4",
    "twill_ready 1\n",
  ]);
  text = () => Promise.reject(new Error("no snapshot"));
  expect(await get(port, "/metrics")).toEqual({ status: 500, text: "cannot say: no snapshot\n" });
});

test("other paths and methods are refused", async () => {
  const { port } = await serve();
  expect((await get(port, "/")).status).toBe(404);
  expect((await get(port, "/healthz", "POST")).status).toBe(405);
  expect(await get(port, "/readyz", "HEAD")).toEqual({ status: 200, text: "" });
});

test("a port in use is one sentence, and exit code 3", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const refused: unknown = await serveHealth({ ip: "127.0.0.1", port }, source, stop.signal).catch((e: unknown) => e);
  other.close();
  expect(refused).toMatchObject({
    message: `cannot serve health on 127.0.0.1:${port}: the port is in use; stop what holds it, or choose another --healthz-port`,
  });
  expect(exitCode(refused)).toBe(EXIT.host);
});

test("an address of another host is one sentence", async () => {
  const refused: unknown = await serve("192.0.2.1").catch((e: unknown) => e);
  expect(refused).toMatchObject({
    message: "cannot serve health on 192.0.2.1:0: this host does not have the address; give another --healthz-ip",
  });
});

test("the signal closes the server, also beside an open connection", async () => {
  const { port, done } = await serve();
  const client = connect(port, "127.0.0.1");
  client.on("error", () => {});
  await once(client, "connect");
  stop.abort();
  await done;
  client.destroy();
  const refused: unknown = await fetch(`http://127.0.0.1:${port}/healthz`).catch((e: unknown) => e);
  expect(errorCode((refused as Error).cause)).toBe("ECONNREFUSED");
});

test("a signal that has aborted before closes at once", async () => {
  stop.abort();
  const { done } = await serve();
  await done;
});
