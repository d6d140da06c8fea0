import type { Setting } from "../api/setting.ts";
import type { Random } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { removeDataplanes, removeDevicesAndRoutes } from "../dataplane/remove.ts";
import { findVtepMacs } from "../dataplane/take-over.ts";
import type { Host, HostError } from "../host/host.ts";
import type { Registry } from "../subnet/registry.ts";
import { SubnetManager } from "../subnet/subnet-manager.ts";
import { removeTraffic, Traffic } from "../traffic/traffic.ts";
import { Agent, type Ending, type Service } from "./agent.ts";
import type { AgentConfig } from "./config.ts";
import { lockDir } from "./lock-dir.ts";
import type { OverlayParts } from "./overlay.ts";
import { StateFile } from "./state.ts";
import { readUnderlay } from "./underlay-rows.ts";

/** What an agent needs of the world around it. */
export interface World {
  readonly config: AgentConfig;
  readonly version: string;
  /** Of this process, for whoever finds the state directory locked. */
  readonly pid: number;
  readonly registry: Registry;
  readonly host: Host;
  readonly openDataplane: OverlayParts["openDataplane"];
  readonly services: readonly Service[];
  readonly origins?: () => readonly Setting[];
  readonly passed?: (ms: number, failures: number) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * Runs the agent that `config` describes until the signal aborts or it leaves the cluster (Agent.run). Throws an Error that names the other
 * process when the state or run directory is in use.
 */
export async function runAgent(world: World, signal: AbortSignal): Promise<Ending> {
  const { config, registry, host, clock, random, log } = world;
  const unlockState = lockDir(config.stateDir, "--state-dir", world.pid);
  let unlockRun: (() => void) | undefined;
  try {
    unlockRun = lockDir(config.runDir, "--run-dir", world.pid);
    const stateFile = new StateFile(config.stateDir, { log, random });
    const state = stateFile.load();
    const subnets = new SubnetManager({
      registry,
      clock,
      random,
      log,
      node: { id: state.nodeId, name: config.nodeName },
      ttl: config.leaseTtl,
      renewMargin: config.renewMargin,
      prefix: config.etcd.prefix,
    });
    const traffic = new Traffic({ host, log });
    const { ipMasq, ipMasqRandomFully: randomFully, forwardRules } = config;
    const agent = new Agent({
      ...world,
      stateFile,
      state,
      subnets,
      watchHost: (inner, onEvent) => {
        const onTrouble = (error: HostError): void => {
          log.warn("cannot watch the host, looking from time to time", { reason: error.message });
        };
        return host.watch({ signal: inner, onEvent, onTrouble, clock });
      },
      readConfig: async () => (await registry.get("config"))?.value,
      overlay: {
        openDataplane: world.openDataplane,
        findVtepMacs: async ({ backend }) => (backend.type === "vxlan" ? findVtepMacs(host, backend) : {}),
        chooseUnderlay: (families) => readUnderlay(host, config.underlay, families),
        setTraffic: (network, own, devices) =>
          traffic.reconcile({ network, own, ipMasq, randomFully, forwardRules, devices }),
        trafficDoubts: () => traffic.doubts,
        removeTraces: async ({ network }) => [
          ...(await removeDataplanes(host, network)),
          ...(await removeTraffic(host)),
        ],
        removeFormer: (former, { network }) => removeDevicesAndRoutes(host, former.network, network),
      },
    });
    return await agent.run(signal);
  } finally {
    unlockRun?.();
    unlockState();
  }
}
