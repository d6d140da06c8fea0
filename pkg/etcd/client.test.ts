import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { getChannelzHandlers } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Certificates } from "../../test/etcd-server.ts";
import { EtcdServer, makeCertificates, noEtcd } from "../../test/etcd-server.ts";
import { TcpProxy } from "../../test/tcp-proxy.ts";
import { until } from "../../test/until.ts";
import { seededRandom } from "../base/backoff.ts";
import { systemClock } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import type { EtcdSettings } from "./client.ts";
import { EtcdClient } from "./client.ts";
import { EtcdError } from "./errors.ts";
import { follow } from "./follow.ts";
import { create, get, list, update } from "./kv.ts";
import { grant, keepAlive } from "./leases.ts";

const DEPS = { clock: systemClock, random: seededRandom(1) };
const skip = noEtcd ? `: ${noEtcd}` : "";

/** The error of one read, made with these settings. */
async function failure(settings: EtcdSettings): Promise<unknown> {
  const client = await EtcdClient.open(settings, DEPS);
  const error = await get(client, "/p/config").then(
    () => undefined,
    (error: unknown) => error,
  );
  client.close();
  return error;
}

/** Follows /p/: what it was told, in words. `end` closes the client too. */
function followed(client: EtcdClient) {
  const told: string[] = [];
  const errors: EtcdError[] = [];
  const stop = new AbortController();
  const done = follow(
    client,
    "/p/",
    {
      onSnapshot: () => told.push("snapshot"),
      onChanges: (changes) =>
        told.push(
          ...changes.map((change) => `${change.kind} ${change.kind === "put" ? change.entry.key : change.key}`),
        ),
      onState: (error) => {
        told.push(error ? "lost" : "back");
        if (error) errors.push(error);
      },
    },
    stop.signal,
  );
  const end = async (): Promise<void> => {
    stop.abort();
    await done;
    client.close();
  };
  return { told, errors, end };
}

describe("settings that make no sense", () => {
  let dir: string;
  let ours: Certificates;
  let theirs: Certificates;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "twill-etcd-files-"));
    ours = makeCertificates(dir, "ours");
    theirs = makeCertificates(dir, "theirs");
    writeFileSync(join(dir, "der"), Uint8Array.of(0x30, 0x82));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const https = { endpoints: ["https://localhost:1"] };
  const cases = [
    {
      name: "no such file",
      settings: () => ({ ...https, caFile: "/no/ca.pem" }),
      says: "cannot read the etcd CA certificate /no/ca.pem: no such file",
    },
    {
      name: "a directory",
      settings: () => ({ ...https, caFile: dir }),
      says: /^cannot read the etcd CA certificate .*: EISDIR$/,
    },
    {
      name: "not PEM",
      settings: () => ({ ...https, caFile: join(dir, "der") }),
      says: /etcd CA certificate .*\/der is not in PEM form/,
    },
    {
      name: "a certificate without its key",
      settings: () => ({ ...https, certFile: ours.cert }),
      says: /--etcd-certfile and --etcd-keyfile/,
    },
    {
      name: "the key of another certificate",
      settings: () => ({ ...https, certFile: ours.cert, keyFile: theirs.key }),
      says: /^cannot use the etcd TLS files .*ours-leaf.crt, .*theirs-leaf.key: .*mismatch/,
    },
    {
      name: "a user without a password",
      settings: () => ({ endpoints: ["a"], username: "node1" }),
      says: /--etcd-username and --etcd-password/,
    },
  ];
  for (const { name, settings, says } of cases) {
    test(`${name} is told in one sentence`, async () => {
      const error = await EtcdClient.open(settings(), DEPS).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as ConfigError).message).toMatch(says);
    });
  }
});

describe.skipIf(noEtcd)(`TLS with a real etcd${skip}`, () => {
  let server: EtcdServer;
  let ours: Certificates;
  let theirs: Certificates;
  beforeAll(async () => {
    server = new EtcdServer();
    ours = makeCertificates(server.dir, "ours");
    theirs = makeCertificates(server.dir, "theirs");
    server.useTls(ours);
    await server.start();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("a client with a certificate reads, writes, watches and keeps leases alive", async () => {
    const { ca, cert, key } = ours;
    const settings = { endpoints: [server.endpoint], caFile: ca, certFile: cert, keyFile: key };
    const client = await EtcdClient.open(settings, DEPS);
    const stop = new AbortController();
    const changed = new Promise<string>((resolve) => {
      void follow(
        client,
        "/p/",
        { onSnapshot: () => {}, onChanges: ([change]) => resolve(String(change?.kind)), onState: () => {} },
        stop.signal,
      );
    });
    const lease = await grant(client, 60);
    // The snapshot may come before or after: an update is a change in either case.
    let entry = await create(client, "/p/a", "1", lease);
    const writing = (async () => {
      while (!stop.signal.aborted && entry) {
        await delay(50);
        entry = await update(client, "/p/a", "2", lease, entry.modRevision);
      }
    })();
    expect(await changed).toBe("put");
    expect(await keepAlive(client, lease)).toBe(60);
    stop.abort();
    await writing;
    client.close();
  });

  const mistakes = [
    {
      name: "no client certificate",
      settings: () => ({ caFile: ours.ca }),
      says: /alert (bad certificate|certificate required) \(check --etcd-certfile/,
    },
    {
      name: "a certificate of another authority",
      settings: () => ({ caFile: ours.ca, certFile: theirs.cert, keyFile: theirs.key }),
      says: /alert (bad certificate|unknown ca) \(check --etcd-certfile/,
    },
    {
      name: "the CA of another authority",
      settings: () => ({ caFile: theirs.ca, certFile: ours.cert, keyFile: ours.key }),
      says: /unable to verify the first certificate \(check --etcd-cafile\)$/,
    },
    {
      name: "no CA at all",
      settings: () => ({ certFile: ours.cert, keyFile: ours.key }),
      says: /unable to verify the first certificate \(check --etcd-cafile\)$/,
    },
  ];
  for (const { name, settings, says } of mistakes) {
    test(`${name}: the error names the endpoint and TLS's own cause`, async () => {
      const error = await failure({ endpoints: [server.endpoint], ...settings() });
      expect(error).toMatchObject({ name: "EtcdError", reason: "unavailable" });
      expect(String(error)).toMatch(new RegExp(`no etcd answers at ${server.endpoint}: .`));
      expect(String(error)).toMatch(says);
      expect(String(error)).not.toMatch(/Resolution note|UNAVAILABLE|\n/);
    });
  }

  test("files that are renewed are used for the next connection, once they fit together", async () => {
    await using proxy = await TcpProxy.to(server.port);
    const files = {
      caFile: join(server.dir, "ca"),
      certFile: join(server.dir, "cert"),
      keyFile: join(server.dir, "key"),
    };
    copyFileSync(ours.ca, files.caFile);
    copyFileSync(theirs.cert, files.certFile);
    copyFileSync(theirs.key, files.keyFile);
    const client = await EtcdClient.open({ endpoints: [`https://localhost:${proxy.port}`], ...files }, DEPS);
    const { told, end } = followed(client);
    const unavailable = { reason: "unavailable" };
    await expect(get(client, "/p/config")).rejects.toMatchObject(unavailable);
    copyFileSync(ours.cert, files.certFile);
    await expect(get(client, "/p/config"), "a certificate without its key").rejects.toMatchObject(unavailable);
    copyFileSync(ours.key, files.keyFile);
    expect(await get(client, "/p/config")).toBeUndefined();
    await until(() => told.includes("back"));
    writeFileSync(files.keyFile, "");
    proxy.reset();
    expect(await get(client, "/p/config"), "a key that is being written").toBeUndefined();
    await end();
  });

  test("http instead of https is told, and https instead of http", async () => {
    const http = server.endpoint.replace("https:", "http:");
    expect(String(await failure({ endpoints: [http] }))).toMatch(
      `no etcd answers at ${http}: Failed to connect (is it an https:// endpoint?)`,
    );
    await using plain = await EtcdServer.started();
    const https = `https://localhost:${plain.port}`;
    // The connection is closed or reset, by chance.
    for (let i = 0; i < 10; i++) {
      expect(String(await failure({ endpoints: [https] }))).toMatch(
        new RegExp(`no etcd answers at ${https}: .* \\(is it an http:// endpoint\\?\\)$`),
      );
    }
  });
});

describe.skipIf(noEtcd)(`users and passwords with a real etcd${skip}`, () => {
  const root = ["--user", "root:rootpw"];
  const node1 = { username: "node1", password: "node1pw" };

  /** An etcd whose user node1 may read and write below /p/ only. */
  async function withUsers(): Promise<EtcdServer> {
    const server = await EtcdServer.started(["--auth-token-ttl", "1"]);
    await server.ctl("user", "add", "root:rootpw");
    await server.ctl("user", "grant-role", "root", "root");
    await server.ctl("role", "add", "node");
    await server.ctl("role", "grant-permission", "node", "--prefix=true", "readwrite", "/p/");
    await server.ctl("user", "add", "node1:node1pw");
    await server.ctl("user", "grant-role", "node1", "node");
    await server.ctl("auth", "enable");
    return server;
  }

  test("what is refused is told in a sentence with the next step, and is not called unavailable", async () => {
    await using server = await withUsers();
    const endpoints = [server.endpoint];
    const client = await EtcdClient.open({ endpoints, ...node1 }, DEPS);
    expect(await create(client, "/p/a", "1", "0")).toMatchObject({ value: "1" });
    await expect(create(client, "/q/a", "1", "0")).rejects.toMatchObject({
      reason: "refused",
      message: expect.stringContaining(
        `etcd at ${server.endpoint} does not let user "node1" write /q/a: give its role`,
      ),
    });
    client.close();
    expect(await failure({ endpoints, username: "node1", password: "wrong" })).toMatchObject({
      reason: "refused",
      message: `etcd at ${server.endpoint} does not accept user "node1": wrong user name or password`,
    });
    expect(await failure({ endpoints })).toMatchObject({
      reason: "refused",
      message: expect.stringContaining("set --etcd-username and --etcd-password"),
    });
  });

  test("a token that runs out is renewed by the next call", { timeout: 30_000 }, async () => {
    await using server = await withUsers();
    const client = await EtcdClient.open({ endpoints: [server.endpoint], ...node1 }, DEPS);
    const lease = await grant(client, 60);
    await delay(2500);
    expect(await create(client, "/p/a", "1", lease)).toBeDefined();
    await delay(2500);
    expect(await keepAlive(client, lease)).toBe(60);
    client.close();
  });

  // With its log etcd replays the tokens as well: they are good for another --auth-token-ttl.
  test("a follow outlives a restart", { timeout: 30_000 }, async () => {
    await using server = await withUsers();
    const client = await EtcdClient.open({ endpoints: [server.endpoint], ...node1 }, DEPS);
    const { told, end } = followed(client);
    await until(() => told.length === 1);
    expect(told).toEqual(["snapshot"]);
    await server.kill();
    await until(() => told.length === 2);
    expect(told).toEqual(["snapshot", "lost"]);
    await server.start();
    await server.ctl(...root, "put", "/p/a", "1");
    await until(() => told.length === 4);
    expect(told).toEqual(["snapshot", "lost", "back", "put /p/a"]);
    await end();
  });

  test("a follow whose token has run out goes on when its stream breaks", { timeout: 30_000 }, async () => {
    await using server = await withUsers();
    await using proxy = await TcpProxy.to(server.port);
    const client = await EtcdClient.open({ endpoints: [`http://127.0.0.1:${proxy.port}`], ...node1 }, DEPS);
    const { told, end } = followed(client);
    await until(() => told.length === 1);
    await delay(2500);
    proxy.reset();
    await server.ctl(...root, "put", "/p/a", "1");
    await until(() => told.includes("put /p/a"));
    await end();
  });

  test(
    "a permission that is taken away while the stream is broken is told, and heals",
    { timeout: 30_000 },
    async () => {
      await using server = await withUsers();
      await using proxy = await TcpProxy.to(server.port);
      const endpoints = [`http://127.0.0.1:${proxy.port}`];
      const client = await EtcdClient.open({ endpoints, ...node1 }, DEPS);
      const { told, errors, end } = followed(client);
      await until(() => told.length === 1);
      expect(told).toEqual(["snapshot"]);
      await server.ctl(...root, "role", "revoke-permission", "node", "--prefix=true", "/p/");
      // The probe reads this key alone, so it is the watch that is refused: created and canceled in one reply.
      await server.ctl(...root, "role", "grant-permission", "node", "read", "/p/config");
      proxy.reset();
      await until(() => told.length === 2);
      expect(told).toEqual(["snapshot", "lost"]);
      expect(errors[0]?.message).toContain('does not let user "node1" watch /p/: give its role');
      await server.ctl(...root, "role", "grant-permission", "node", "--prefix=true", "readwrite", "/p/");
      await until(() => told.length === 3);
      expect(told).toEqual(["snapshot", "lost", "back"]);
      await end();
    },
  );
});

/** How many gRPC channels there are in this process. */
function openChannels(): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = { request: { start_channel_id: "0", max_results: "1000" } };
    getChannelzHandlers().GetTopChannels(call as never, (error, reply) => {
      if (error) reject(new Error("channelz does not answer", { cause: error }));
      else resolve(reply?.channel?.length ?? 0);
    });
  });
}

describe.skipIf(noEtcd)(`the way to a real etcd${skip}`, () => {
  test("nobody there: the error names every endpoint and the cause", async () => {
    await using server = new EtcdServer();
    await server.reserve();
    const error = await failure({ endpoints: [server.endpoint] });
    expect(error).toBeInstanceOf(EtcdError);
    const cause = `connect ECONNREFUSED 127.0.0.1:${server.port}`;
    expect(error).toMatchObject({ message: `no etcd answers at ${server.endpoint}: ${cause}` });
    const several = await failure({ endpoints: [`${server.endpoint},http://etcd.invalid:2379`] });
    expect(String(several)).toMatch(`no etcd answers at ${server.endpoint}, http://etcd.invalid:2379: `);
    expect(String(several)).toMatch(/ECONNREFUSED|[Nn]ame resolution/);
  });

  test("nobody there, asked for a token: the error names the cause, and no channel is left open", async () => {
    await using server = new EtcdServer();
    await server.reserve();
    const before = await openChannels();
    const client = await EtcdClient.open({ endpoints: [server.endpoint], username: "node1", password: "pw" }, DEPS);
    for (let i = 0; i < 3; i++) {
      await expect(get(client, "/p/config")).rejects.toThrow(`: connect ECONNREFUSED 127.0.0.1:${server.port}`);
      expect(await openChannels()).toBeLessThanOrEqual(before + 1);
    }
    client.close();
    expect(await openChannels()).toBe(before);
  });

  test(
    "with one of two endpoints silent every call still succeeds, and the silence costs only the first",
    { timeout: 60_000 },
    async () => {
      await using server = await EtcdServer.started();
      await using proxy = await TcpProxy.to(server.port);
      proxy.blackHole();
      const endpoints = [`http://127.0.0.1:${proxy.port}`, server.endpoint];
      const client = await EtcdClient.open({ endpoints }, DEPS);
      const started = performance.now();
      for (let i = 0; i < 40; i++) await get(client, "/p/config");
      // The breaker lets one call a second through to see: each of those may spend a deadline.
      expect(performance.now() - started).toBeLessThan(30_000);
      client.close();
    },
  );

  test("with one of two endpoints down calls do not take noticeably longer", async () => {
    await using server = await EtcdServer.started();
    await using proxy = await TcpProxy.to(server.port);
    proxy.refuse();
    const client = await EtcdClient.open({ endpoints: [`http://127.0.0.1:${proxy.port}`, server.endpoint] }, DEPS);
    const started = performance.now();
    for (let i = 0; i < 40; i++) await get(client, "/p/config");
    expect(performance.now() - started).toBeLessThan(10_000);
    client.close();
  });

  // Each try goes to one of the two by chance: 60 agents, so that one of them meets the dead one several times in a row.
  test("with one of two endpoints down every keepalive succeeds", async () => {
    await using server = await EtcdServer.started();
    await using down = new EtcdServer();
    await down.reserve();
    const endpoints = [down.endpoint, server.endpoint];
    const clients = await Promise.all(Array.from({ length: 60 }, () => EtcdClient.open({ endpoints }, DEPS)));
    const lease = await grant(clients[0] as EtcdClient, 60);
    expect(await Promise.all(clients.map((client) => keepAlive(client, lease)))).toEqual(clients.map(() => 60));
    for (const client of clients) client.close();
  });

  test("a list of 6 MB comes through", async () => {
    await using server = await EtcdServer.started();
    const client = await EtcdClient.open({ endpoints: [server.endpoint] }, DEPS);
    const value = "x".repeat(20_000);
    for (let i = 0; i < 300; i += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, j) => create(client, `/p/${i + j}`, value, "0")));
    }
    const { keys } = await list(client, "/p/");
    expect(keys).toHaveLength(300);
    expect(keys.every((entry) => entry.value === value)).toBe(true);
    client.close();
  });

  test("a list of huge values comes through in smaller pages, and what is too long is cut", async () => {
    await using server = await EtcdServer.started();
    const client = await EtcdClient.open({ endpoints: [server.endpoint] }, DEPS);
    for (let i = 10; i < 24; i++) await create(client, `/p/${i}`, "x".repeat(1_400_000), "0");
    await create(client, "/p/short", "here", "0");
    const { keys } = await list(client, "/p/");
    expect(keys.map(({ key }) => key)).toEqual([...Array.from({ length: 14 }, (_, i) => `/p/${i + 10}`), "/p/short"]);
    expect(keys.map(({ value }) => value.length)).toEqual([...Array.from({ length: 14 }, () => 65_537), 4]);
    client.close();
  });

  test("a closed client says so at once", async () => {
    const client = await EtcdClient.open({ endpoints: ["http://127.0.0.1:1"] }, DEPS);
    const call = get(client, "/p/config");
    client.close();
    client.close();
    await expect(call).rejects.toThrow(EtcdError);
    await expect(get(client, "/p/config")).rejects.toThrow("could not read /p/config: the etcd client is closed");
  });
});
