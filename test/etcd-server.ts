import type { ChildProcess } from "node:child_process";
import { execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { DIE_WITH_PARENT } from "../pkg/lab/netns.ts";

/** Why no test can have an etcd here; undefined where they can. For `describe.skipIf`. */
export const noEtcd: string | undefined = ["etcd", "etcdctl"]
  .map((program) =>
    isInstalled(program) ? undefined : `${program} is not installed (apt-get install etcd-server etcd-client)`,
  )
  .find((reason) => reason !== undefined);

export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A real etcd of one member, on free ports of the loopback and a data directory of its own. */
export class EtcdServer implements AsyncDisposable {
  /** Holds the data directory and the log; tests may put their own files there. */
  readonly dir = mkdtempSync(join(tmpdir(), "twill-etcd-"));
  #ports: readonly [number, number, number] = [0, 0, 0];
  #process: ChildProcess | undefined;
  #tls: Certificates | undefined;
  #cluster: { readonly name: string; readonly members: Readonly<Record<string, EtcdServer>> } | undefined;
  readonly #args: readonly string[];

  /** `args` are further arguments for etcd. */
  constructor(args: readonly string[] = []) {
    this.#args = args;
  }

  /** An etcd that serves. */
  static async started(args: readonly string[] = []): Promise<EtcdServer> {
    const server = new EtcdServer(args);
    await server.start();
    return server;
  }

  /** "http://127.0.0.1:PORT", or with TLS "https://localhost:PORT". */
  get endpoint(): string {
    return `${this.#tls ? "https://localhost" : "http://127.0.0.1"}:${this.#ports[0]}`;
  }

  /** Of the clients' address. */
  get port(): number {
    return this.#ports[0];
  }

  /** Servers of one cluster, that serve. */
  static async cluster(size: number): Promise<readonly EtcdServer[]> {
    const members = Object.fromEntries(Array.from({ length: size }, (_, i) => [`m${i + 1}`, new EtcdServer()]));
    const servers = Object.values(members);
    await Promise.all(servers.map((server) => server.reserve()));
    for (const [name, server] of Object.entries(members)) server.#cluster = { name, members };
    await Promise.all(servers.map((server) => server.start()));
    return servers;
  }

  /** Whether it leads its cluster. */
  async leads(): Promise<boolean> {
    const status = await this.ctl("endpoint", "status", "--write-out=json");
    // As text: the ids have 64 bits, more than a JavaScript number holds.
    const [member, leader] = [/"member_id":(\d+)/, /"leader":(\d+)/].map((id) => id.exec(status)?.[1]);
    return member === leader;
  }

  get #peerUrl(): string {
    return `http://127.0.0.1:${this.#ports[1]}`;
  }

  /** Makes etcd demand client certificates of this authority from the next start on. */
  useTls(certificates: Certificates): void {
    this.#tls = certificates;
  }

  /** Reserves the ports, so that `endpoint` is known before the first start. */
  async reserve(): Promise<void> {
    if (this.#ports[0] === 0) this.#ports = await freePorts();
  }

  /** Starts it, again on the same ports and data directory, and waits until it serves. */
  async start(): Promise<void> {
    await this.reserve();
    const [client, , metrics] = this.#ports;
    const tls = this.#tls;
    const { name, members } = this.#cluster ?? { name: "m1", members: { m1: this } };
    const peerUrl = this.#peerUrl;
    const flags = {
      name,
      "data-dir": join(this.dir, "data"),
      logger: "zap",
      "log-level": "error",
      "log-outputs": join(this.dir, "etcd.log"),
      "listen-client-urls": `${tls ? "https" : "http"}://127.0.0.1:${client}`,
      "advertise-client-urls": this.endpoint,
      "listen-metrics-urls": `http://127.0.0.1:${metrics}`,
      "listen-peer-urls": peerUrl,
      "initial-advertise-peer-urls": peerUrl,
      "initial-cluster": Object.entries(members)
        .map(([each, server]) => `${each}=${server.#peerUrl}`)
        .join(),
      // A lone member elects itself within this: it serves after 50 ms instead of 1.5 s, and grants leases of 1 s. Several
      // need time to hear of each other on a busy machine.
      "heartbeat-interval": this.#cluster ? "50" : "10",
      "election-timeout": this.#cluster ? "500" : "100",
      ...(tls && {
        "client-cert-auth": "true",
        "trusted-ca-file": tls.ca,
        "cert-file": tls.cert,
        "key-file": tls.key,
      }),
    };
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const [program = "", ...before] = DIE_WITH_PARENT;
    const child = spawn(program, [...before, "etcd", ...args, ...this.#args], { stdio: "ignore" });
    this.#process = child;
    for (let tries = 0; tries < 500; tries++) {
      if (child.exitCode !== null) break;
      if (await isHealthy(`http://127.0.0.1:${metrics}/health`)) return;
      await delay(20);
    }
    throw new Error(`etcd did not start: ${readFileSync(join(this.dir, "etcd.log"), "utf8").slice(-2000)}`);
  }

  /** Ends it as a power cut would; the data directory stays. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL"); // also ends one that is frozen
    await exited;
  }

  /** Empties the data directory of one that is not running. */
  wipe(): void {
    rmSync(join(this.dir, "data"), { recursive: true, force: true });
  }

  /** Stops the process without closing its connections: a machine that hangs. Resolves when it does nothing any more. */
  async freeze(): Promise<void> {
    const child = this.#process;
    child?.kill("SIGSTOP");
    // proc_pid_stat(5): the state follows the name in brackets. Its threads stop one after the other.
    const tasks = `/proc/${child?.pid}/task`;
    const runs = (task: string): boolean => !/\) T /.test(readFileSync(join(tasks, task, "stat"), "utf8"));
    while (readdirSync(tasks).some(runs)) await delay(1);
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Runs etcdctl against it, with further arguments first: `ctl("--user", "root:pw", "get", "a")`. */
  async ctl(...args: readonly string[]): Promise<string> {
    const tls = this.#tls ? ["--cacert", this.#tls.ca, "--cert", this.#tls.cert, "--key", this.#tls.key] : [];
    const { stdout } = await promisify(execFile)("etcdctl", ["--endpoints", this.endpoint, ...tls, ...args], {
      env: { ...process.env, ETCDCTL_API: "3" },
    });
    return stdout.trim();
  }

  /** Forgets the history up to now. */
  async compact(): Promise<void> {
    const status = JSON.parse(await this.ctl("endpoint", "status", "--write-out=json")) as [
      { Status: { header: { revision: number } } },
    ];
    await this.ctl("compaction", String(status[0].Status.header.revision));
  }

  /** Kills it and removes its directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Certificates in `dir` for "localhost" as server and as a client, made by an authority called `authority`. */
export function makeCertificates(dir: string, authority: string): Certificates {
  const run = (...args: readonly string[]): void =>
    void execFileSync("openssl", args, { cwd: dir, stdio: ["ignore", "ignore", "ignore"] });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const [ca, leaf] = [`${authority}-ca`, `${authority}-leaf`];
  run("req", "-x509", ...curve, "-keyout", `${ca}.key`, "-out", `${ca}.crt`, "-days", "2", "-subj", `/CN=${authority}`);
  run(
    "req",
    ...curve,
    "-keyout",
    `${leaf}.key`,
    "-out",
    `${leaf}.csr`,
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-addext",
    "extendedKeyUsage=serverAuth,clientAuth",
  );
  run(
    "x509",
    "-req",
    "-in",
    `${leaf}.csr`,
    "-CA",
    `${ca}.crt`,
    "-CAkey",
    `${ca}.key`,
    "-CAcreateserial",
    "-out",
    `${leaf}.crt`,
    "-days",
    "2",
    "-copy_extensions",
    "copy",
  );
  return { ca: join(dir, `${ca}.crt`), cert: join(dir, `${leaf}.crt`), key: join(dir, `${leaf}.key`) };
}

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, [program === "etcd" ? "--version" : "version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}

// All are held at once: asking one after the other may give the same port twice.
async function freePorts(): Promise<[number, number, number]> {
  const servers = await Promise.all([hold(), hold(), hold()]);
  const ports = servers.map(({ port }) => port) as [number, number, number];
  await Promise.all(servers.map(({ release }) => release()));
  return ports;
}

function hold(): Promise<{ port: number; release: () => Promise<void> }> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      resolve({ port, release: () => new Promise((done) => server.close(() => done())) });
    });
  });
}
