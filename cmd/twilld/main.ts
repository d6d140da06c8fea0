import { join } from "node:path";
import type { Agent, Ending, Service } from "../../pkg/agent/agent.ts";
import type { AgentConfig } from "../../pkg/agent/config.ts";
import { EXIT, exitCode } from "../../pkg/agent/exit-codes.ts";
import { parseArgs } from "../../pkg/agent/flags.ts";
import { serveHealth } from "../../pkg/agent/health.ts";
import { createLogger } from "../../pkg/agent/log.ts";
import { runAgent, type World } from "../../pkg/agent/run-agent.ts";
import { managerWishes, type ManagerWishes, tellManager } from "../../pkg/agent/service-manager.ts";
import type { LogLevels, Setting } from "../../pkg/api/setting.ts";
import { systemClock } from "../../pkg/base/clock.ts";
import { ConfigError, describeError } from "../../pkg/base/errors.ts";
import type { Logger } from "../../pkg/base/logger.ts";
import { RecentLines } from "../../pkg/base/recent-lines.ts";
import { VERSION } from "../../pkg/base/version.ts";
import { HostGwDataplane } from "../../pkg/dataplane/hostgw/hostgw-dataplane.ts";
import { KernelDataplane } from "../../pkg/dataplane/kernel/kernel-dataplane.ts";
import { TunDataplane } from "../../pkg/dataplane/tun/tun-dataplane.ts";
import { executeBySpawn } from "../../pkg/host/execute.ts";
import { LinuxHost } from "../../pkg/host/linux-host.ts";
import { Metrics, Observations } from "../../pkg/metrics/metrics.ts";
import { LinuxEcho } from "../../pkg/probe/linux-echo.ts";
import { Prober } from "../../pkg/probe/prober.ts";
import { targetsOf } from "../../pkg/probe/target.ts";
import { tcpProbe } from "../../pkg/probe/tcp.ts";
import { EtcdRegistry } from "../../pkg/subnet/etcd-registry.ts";
import { LazyRegistry } from "../../pkg/subnet/lazy-registry.ts";
import { threadSeconds } from "../../pkg/sys/thread-time.ts";
import { NotifySocket } from "../../pkg/sys/notify-socket.ts";

// Beside this file, as the source and as the bundle.
const PACKET_LOOP = new URL(`packet-loop${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

// For twillctl logs: some hundred kilobytes at most.
const KEPT_LOG_LINES = 1000;

const SECRET_VARIABLES = ["TWILLD_ETCD_PASSWORD", "FLANNELD_ETCD_PASSWORD"];

process.exit(await main());

async function main(): Promise<number> {
  // Whoever reads our log may go away; pods' network does not hang on that.
  process.stdout.on("error", () => undefined);
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs(process.argv.slice(2), process.env);
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [describeError(error)];
    for (const problem of problems) console.error(`twilld: ${problem}`);
    return exitCode(error);
  }
  // The programs that we start need not know it.
  for (const name of SECRET_VARIABLES) delete process.env[name];
  if (parsed.kind !== "run") {
    process.stdout.write(parsed.text);
    return EXIT.stopped;
  }
  const { config, origins, warnings } = parsed;
  // Whoever started us may delete the directory in which they did; Node starts no thread without one.
  process.chdir("/");
  const recentLog = new RecentLines(KEPT_LOG_LINES);
  const log = createLogger(config, process.stdout, recentLog);
  for (const reason of warnings) log.warn("doubtful setting", { reason });
  endAtDefects(log);
  log.info("starting", { version: VERSION, node: config.nodeName, pid: process.pid });
  try {
    const ending = await run(config, { log, recentLog, origins: () => withLevel(origins, log) }, stopSignal(log));
    log.info(ending === "left" ? "stopped, this node has left the cluster" : "stopped, lease and routes stay");
    return EXIT.stopped;
  } catch (error) {
    log.error("cannot go on", { err: error });
    return exitCode(error);
  }
}

/** What the process knows of itself. */
interface Self {
  readonly log: Logger & LogLevels;
  readonly recentLog: RecentLines;
  readonly origins: () => readonly Setting[];
}

function withLevel(origins: readonly Setting[], { level, startedWith }: LogLevels): readonly Setting[] {
  if (level === startedWith) return origins;
  const runtime = { value: level, source: "runtime", from: `the control API; ${startedWith} after a restart` } as const;
  return origins.map((setting) => (setting.name === "log-level" ? { ...setting, ...runtime } : setting));
}

async function run(config: AgentConfig, self: Self, signal: AbortSignal): Promise<Ending> {
  const { log, origins } = self;
  const clock = systemClock;
  const random = Math.random;
  const host = new LinuxHost({ execute: executeBySpawn(process.env) });
  const registry = new LazyRegistry(() => EtcdRegistry.open(config.etcd, { clock, random }));
  try {
    const openDataplane = dataplanes(config, host, log);
    const observations = new Observations();
    const services = servicesOf(config, self, observations);
    const { passed } = observations;
    const pid = process.pid;
    return await runAgent(
      { config, version: VERSION, pid, registry, host, openDataplane, services, origins, passed, clock, random, log },
      signal,
    );
  } finally {
    registry.close();
  }
}

function dataplanes(config: AgentConfig, host: LinuxHost, log: Logger): World["openDataplane"] {
  return ({ network, backend }, vtepMac) => {
    if (backend.type === "host-gw") return new HostGwDataplane({ network, host, log });
    const { verifySender, offload, packetThreads: threads, forwardRules } = config;
    if (config.dataplane === "kernel") {
      return new KernelDataplane({ backend, network, vtepMac, verifySender, host, log });
    }
    const worker = PACKET_LOOP;
    const options = { backend, network, vtepMac, verifySender, offload, threads, forwardRules } as const;
    return new TunDataplane({ ...options, host, log, worker });
  };
}

function servicesOf(config: AgentConfig, { log, recentLog }: Self, observations: Observations): Service[] {
  const { healthz, runDir } = config;
  const deps = { clock: systemClock, random: Math.random };
  const prober = new Prober({
    echo: new LinuxEcho(deps),
    tcp: tcpProbe(deps.clock),
    heard: observations.heard,
    ...deps,
  });
  const api: Service = async (source, signal) => {
    const { serveApi } = await import("../../pkg/api/server.ts");
    const server = await serveApi({
      socket: join(runDir, "twilld.sock"),
      source,
      probes: prober,
      recentLog,
      settings: () => source.settings(),
      logLevels: log,
      log,
      signal,
    });
    await server.done;
  };
  const probing: Service = (agent, signal) => prober.run(() => targetsOf(agent.status()), signal);
  const services = [api, probing];
  if (healthz) {
    services.push(async (source, signal) => {
      const metrics = new Metrics(
        {
          source,
          probes: () => prober.probes(),
          loopSeconds: () => threadSeconds("packet-loop"),
          wall: () => deps.clock.wall(),
        },
        observations,
      );
      const server = await serveHealth(healthz, source, signal, metrics);
      await server.done;
    });
  }
  const wishes = managerWishes(process.env, process.pid);
  if (wishes) services.push((agent, signal) => toldManager(agent, wishes, log, signal));
  return services;
}

async function toldManager(agent: Agent, wishes: ManagerWishes, log: Logger, signal: AbortSignal): Promise<void> {
  // The tools that we start are no part of what systemd asked.
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete process.env[name];
  const { watchdogMs, socket } = wishes;
  const manager = new NotifySocket(socket);
  try {
    const send = (text: string): void => manager.send(text);
    await tellManager(agent, { watchdogMs, send, clock: systemClock, log }, signal);
  } finally {
    manager.close();
  }
}

// The first signal asks for an orderly end, which takes two seconds at most; the second does not wait for it.
function stopSignal(log: Logger): AbortSignal {
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(EXIT.failed);
    log.info("stopping", { signal: name });
    stop.abort();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return stop.signal;
}

// A defect of ours: end at once and be started again, rather than run on in a state that nobody has thought of.
function endAtDefects(log: Logger): void {
  const end = (error: unknown): void => {
    log.error("ended by a defect, please report it", { err: error });
    process.exit(EXIT.failed);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}
