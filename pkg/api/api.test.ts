import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { connect as connectRaw, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, type MethodDefinition, type ServiceError, status as code } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { errorCode } from "../base/errors.ts";
import { MemoryLogger } from "../base/logger.ts";
import { AgentClient } from "./client.ts";
import { AgentUnreachableError, describeRefusal } from "./reach.ts";
import { type Control, RefusedError } from "./control.ts";
import { type ApiServer, serveApi } from "./server.ts";
import { AGENT_SERVICE, HEALTH_SERVICE } from "./service.ts";
import type { LogLevels, Setting } from "./setting.ts";
import type { LeaseStatus, PeerStatus, Status } from "./status.ts";

const own: LeaseStatus = {
  key: "10.5.52.0-24",
  subnets: ["10.5.52.0/24"],
  publicIps: ["192.0.2.11"],
  backendType: "vxlan",
  dataplane: "tun",
  nodeId: "8d7c",
  nodeName: "node-a",
  leaseId: "7587862094785447173",
  expiresAt: 1_767_225_600_000,
  own: true,
};

const snapshot: Status = {
  version: "0.1.0",
  node: { id: "8d7c", name: "node-a" },
  startedAt: 1_767_139_200_000,
  ready: true,
  problems: [],
  network: { networks: ["10.5.0.0/16"], backendType: "vxlan", vni: 1, port: 8472 },
  underlay: { interface: "eth0", mtu: 1500, publicIps: ["192.0.2.11"] },
  lease: own,
  dataplane: {
    name: "tun",
    rung: "gso",
    mtus: [1450],
    counters: { rx_packets: 2n ** 64n - 1n, rx_bad_vni: 2n ** 53n + 1n },
  },
  etcd: { endpoints: ["http://10.0.0.1:2379"], connected: true, error: "", since: 1_767_139_200_000 },
  peers: [],
};

// What a test has not replaced is refused.
let changes: Pick<Control, "leave" | "reserve" | "unreserve">;

let dir = "";
let socket = "";
let stop = new AbortController();
let log = new MemoryLogger();
let current = snapshot;
let broken = false;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "twill-api-"));
  socket = join(dir, "run", "twilld.sock");
  stop = new AbortController();
  log = new MemoryLogger();
  current = snapshot;
  broken = false;
  const refused = (): Promise<never> => Promise.reject(new RefusedError("etcd cannot be reached"));
  changes = { leave: refused, reserve: refused, unreserve: refused };
});

afterEach(() => {
  stop.abort();
  rmSync(dir, { recursive: true, force: true });
});

function serve(): Promise<ApiServer> {
  const source = {
    status(): Status {
      if (broken) throw new Error("cannot make a snapshot", { cause: new Error("no table") });
      return current;
    },
    leases: () => [own],
    ...changes,
  };
  return serveApi({ socket, source, log, signal: stop.signal });
}

test("status and leases come through the socket as the agent tells them", async () => {
  await serve();
  expect(statSync(socket).mode & 0o777).toBe(0o600);
  const client = await AgentClient.connect(socket);
  expect(await client.status()).toEqual(snapshot);
  expect(await client.leases()).toEqual([own]);
  client.close();
});

test("thirty thousand leases (more than 4 MB) fit into one answer", async () => {
  const source = { status: () => current, leases: () => Array.from({ length: 30_000 }, () => own), ...changes };
  await serveApi({ socket, source, log, signal: stop.signal });
  const client = await AgentClient.connect(socket);
  expect(await client.leases()).toHaveLength(30_000);
  client.close();
});

/** Answers as they come, over a plain gRPC client. */
async function* watching<Q, R>(method: MethodDefinition<Q, R>, request: Q): AsyncGenerator<R> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = method;
  const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  stream.on("error", () => undefined); // the iterator throws it
  try {
    yield* stream as AsyncIterable<R>;
  } finally {
    stream.cancel();
    client.close();
  }
}

async function next<R>(answers: AsyncGenerator<R>): Promise<R> {
  const { value, done } = await answers.next();
  return done === true ? expect.fail("the stream has ended") : value;
}

test("a watch tells the status, the leases and the traffic at once, and again when they have changed", async () => {
  const { done } = await serve();
  current = { ...snapshot, peers: [peer(1n)] };
  const status = watching(AGENT_SERVICE.WatchStatus, { intervalMs: 100 });
  const traffic = watching(AGENT_SERVICE.WatchTraffic, { intervalMs: 100 });
  const leases = watching(AGENT_SERVICE.WatchLeases, {});
  expect((await next(status)).status?.ready).toBe(true);
  expect((await next(leases)).leases).toMatchObject([{ key: own.key }]);
  expect(Number((await next(traffic)).peers?.[0]?.txBytes)).toBe(100);
  current = { ...snapshot, ready: false, peers: [peer(2n)] };
  expect((await next(status)).status?.ready).toBe(false);
  expect(Number((await next(traffic)).peers?.[0]?.txBytes)).toBe(200);
  // An agent that stops ends them in good order.
  stop.abort();
  await done;
  for (const each of [status, traffic, leases]) expect(await each.next()).toMatchObject({ done: true });
});

test("a watch that cannot go on says why", async () => {
  await serve();
  const answers = watching(AGENT_SERVICE.WatchStatus, { intervalMs: 100 });
  await next(answers);
  broken = true;
  await expect(answers.next()).rejects.toMatchObject({
    code: code.INTERNAL,
    details: "cannot make a snapshot: no table",
  });
  expect(log.sentences("error")).toEqual(["cannot answer a call to the control API"]);
});

function peer(n: bigint): PeerStatus {
  const traffic = { txPackets: n, txBytes: n * 100n, rxPackets: 0n, rxBytes: 0n };
  return { lease: { ...own, own: false }, state: "in-sync", reason: "", ...traffic };
}

test("a snapshot that fails is told to the caller and to the log", async () => {
  await serve();
  broken = true;
  const client = await AgentClient.connect(socket);
  await expect(client.status()).rejects.toThrow("the agent cannot answer: cannot make a snapshot: no table");
  expect(log.sentences("error")).toEqual(["cannot answer a call to the control API"]);
  expect(await client.leases()).toEqual([own]);
  client.close();
});

test("what changes something comes through with what it was asked for", async () => {
  changes = {
    leave: () => Promise.resolve({ subnets: ["10.5.52.0/24"], problems: ["cannot remove a rule"] }),
    reserve: (subnets, publicIps) => Promise.resolve([...subnets, ...publicIps].join(" ")),
    unreserve: (subnets) => Promise.resolve(subnets.join(" ")),
  };
  await serve();
  const client = await AgentClient.connect(socket);
  expect(await client.leave()).toEqual({ subnets: ["10.5.52.0/24"], problems: ["cannot remove a rule"] });
  expect(await client.reserve(["10.5.9.0/24", "fd05::/64"], ["192.0.2.9"])).toBe("10.5.9.0/24 fd05::/64 192.0.2.9");
  expect(await client.unreserve(["10.5.9.0/24"])).toBe("10.5.9.0/24");
  client.close();
});

test("a refusal comes through as its own sentence and is no error of the agent's", async () => {
  await serve();
  const client = await AgentClient.connect(socket);
  await expect(client.leave()).rejects.toMatchObject({ name: "RefusedError", message: "etcd cannot be reached" });
  await expect(client.reserve([], [])).rejects.toMatchObject({ name: "RefusedError" });
  await expect(client.unreserve([])).rejects.toMatchObject({ name: "RefusedError" });
  expect(log.lines).toEqual([]);
  client.close();
});

test("an agent that ends by what it was asked for still answers", async () => {
  changes.leave = () => {
    stop.abort();
    return Promise.resolve({ subnets: [], problems: [] });
  };
  const { done } = await serve();
  const client = await AgentClient.connect(socket);
  expect(await client.leave()).toEqual({ subnets: [], problems: [] });
  await done;
  client.close();
});

test("the signal closes the server within a second, beside clients of every kind", async () => {
  const { done } = await serve();
  const client = await AgentClient.connect(socket);
  await client.status();
  const silent = connectRaw(socket);
  silent.on("error", () => {});
  await once(silent, "connect");
  const start = performance.now();
  stop.abort();
  await done;
  expect(performance.now() - start).toBeLessThan(1000);
  expect(readdirSync(join(dir, "run"))).toEqual([]);
  await expect(client.status()).rejects.toMatchObject({ name: "AgentUnreachableError" });
  client.close();
  silent.destroy();
});

test("a signal that has aborted before leaves no socket", async () => {
  stop.abort();
  const { done } = await serve();
  await done;
  expect(readdirSync(join(dir, "run"))).toEqual([]);
});

test("a second agent on the same socket is refused with a sentence", async () => {
  await serve();
  const refused: unknown = await serve().catch((error: unknown) => error);
  expect(refused).toMatchObject({ message: `cannot serve the control API on ${socket}` });
  expect((refused as Error).cause).toMatchObject({
    message: "another agent answers there: stop it, or give this one its own --run-dir",
  });
  expect(errorCode((refused as Error).cause)).toBe("EADDRINUSE");
  const client = await AgentClient.connect(socket);
  expect((await client.status()).version).toBe("0.1.0");
  client.close();
});

test("an agent that is started again serves at the same path", async () => {
  const first = await serve();
  stop.abort();
  await first.done;
  stop = new AbortController();
  await serve();
  const client = await AgentClient.connect(socket);
  expect((await client.status()).ready).toBe(true);
  client.close();
});

test("without an agent the client says what to do", async () => {
  await expect(AgentClient.connect(socket)).rejects.toMatchObject({
    name: "AgentUnreachableError",
    message: `no agent runs here: there is no ${socket}; start twilld, or give its socket by --socket`,
    forbidden: false,
  });
});

test("that an agent may not be asked is told apart from that none runs", () => {
  const codes = ["EACCES", "EPERM", "ENOENT", undefined];
  expect(codes.map((code) => new AgentUnreachableError("", code).forbidden)).toEqual([true, true, false, false]);
});

const refusals = [
  { code: "ENOENT", says: "no agent runs here: there is no /s; start twilld, or give its socket by --socket" },
  { code: "ECONNREFUSED", says: "no agent runs here: nobody listens on /s; start twilld again" },
  { code: "EACCES", says: "no permission to use /s: run this as root, for example with sudo" },
  { code: "EPERM", says: "no permission to use /s: run this as root, for example with sudo" },
  { code: "EMFILE", says: "cannot connect to /s: connect EMFILE /s" },
];

for (const { code, says } of refusals) {
  test(`${code} is told as a sentence`, () => {
    expect(describeRefusal("/s", Object.assign(new Error(`connect ${code} /s`), { code }))).toBe(says);
  });
}

test("an agent that hangs is unreachable after the deadline", { timeout: 10_000 }, async () => {
  socket = join(dir, "hangs.sock");
  const server = createServer(() => {});
  await once(server.listen(socket), "listening");
  const client = await AgentClient.connect(socket, 200);
  await expect(client.status()).rejects.toMatchObject({
    name: "AgentUnreachableError",
    message: `the agent at ${socket} does not answer within 0.2 s: look at its log, or restart it`,
  });
  client.close();
  server.close();
});

test("the standard health service tells whether the node is ready", async () => {
  await serve();
  const client = new Client(`unix:${socket}`, credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = HEALTH_SERVICE.Check;
  const check = (service: string): Promise<number | undefined | null> =>
    new Promise((resolve, reject) => {
      const finish = (error: ServiceError | null, response?: ReturnType<typeof responseDeserialize>): void =>
        error ? reject(error) : resolve(response?.status);
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service }, finish);
    });
  expect(await check("")).toBe(1);
  current = { ...snapshot, ready: false };
  expect(await check("")).toBe(2);
  expect(await check("twill.v1.Agent")).toBe(1);
  await expect(check("nobody")).rejects.toMatchObject({
    code: code.NOT_FOUND,
    details: 'there is no service "nobody"',
  });
  client.close();
});

test("the health service's Watch tells each change, and of nobody that there is no such service", async () => {
  await serve();
  const node = watching(HEALTH_SERVICE.Watch, { service: "" });
  const api = watching(HEALTH_SERVICE.Watch, { service: "twill.v1.Agent" });
  const nobody = watching(HEALTH_SERVICE.Watch, { service: "nobody" });
  expect((await next(node)).status).toBe(1);
  expect((await next(api)).status).toBe(1);
  expect((await next(nobody)).status).toBe(3);
  current = { ...snapshot, ready: false };
  expect((await next(node)).status).toBe(2);
  await Promise.all([node, api, nobody].map((each) => each.return(undefined)));
});

test("settings come through with their sources, and the log level is set until the next start", async () => {
  const settings: Setting[] = [
    { name: "iface", value: "eth0", source: "flag", from: "--iface" },
    { name: "resync", value: "10s", source: "default", from: "" },
    { name: "etcd-password", value: "set", source: "environment", from: "TWILLD_ETCD_PASSWORD" },
    { name: "Network", value: "10.5.0.0/16", source: "network-config", from: "/coreos.com/network/config" },
    { name: "node-id", value: "8d7c", source: "discovered", from: "the state directory" },
    { name: "log-level", value: "debug", source: "runtime", from: "the control API" },
  ];
  const logLevels: LogLevels = { level: "info", startedWith: "info" };
  const source = { status: () => current, leases: () => [own], ...changes };
  await serveApi({ socket, source, settings: () => settings, logLevels, log, signal: stop.signal });
  const client = await AgentClient.connect(socket);
  expect(await client.settings()).toEqual(settings);
  expect(await client.setLogLevel("debug")).toEqual({ before: "info", startedWith: "info" });
  expect(await client.setLogLevel("error")).toEqual({ before: "debug", startedWith: "info" });
  expect(logLevels.level).toBe("error");
  expect(log.lines.map(({ fields }) => fields)).toEqual([
    { from: "info", to: "debug" },
    { from: "debug", to: "error" },
  ]);
  client.close();
});

test("an agent whose log level is fixed refuses to set it", async () => {
  await serve();
  const client = await AgentClient.connect(socket);
  expect(await client.settings()).toEqual([]);
  await expect(client.setLogLevel("debug")).rejects.toMatchObject({ name: "RefusedError" });
  client.close();
});
