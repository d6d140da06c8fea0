import { describeError } from "../base/errors.ts";
import { agent } from "./checks/agent.ts";
import { capabilities } from "./checks/capabilities.ts";
import { checksums } from "./checks/checksums.ts";
import { clock } from "./checks/clock.ts";
import { cniBridge } from "./checks/cni-bridge.ts";
import { cniConfig } from "./checks/cni-config.ts";
import { cniPlugins } from "./checks/cni-plugins.ts";
import { duplicates } from "./checks/duplicates.ts";
import { etcd } from "./checks/etcd.ts";
import { forwardPolicy } from "./checks/forward-policy.ts";
import { freeSubnets } from "./checks/free-subnets.ts";
import { lease } from "./checks/lease.ts";
import { linkMtu } from "./checks/link-mtu.ts";
import { overlappingRoutes } from "./checks/overlapping-routes.ts";
import { pathMtu } from "./checks/path-mtu.ts";
import { peers } from "./checks/peers.ts";
import { staleLeases } from "./checks/stale-leases.ts";
import { subnetEnv } from "./checks/subnet-env.ts";
import { sysctls } from "./checks/sysctls.ts";
import { tunDeviceNode } from "./checks/tun-device.ts";
import { udpPort } from "./checks/udp-port.ts";
import type { Check, Finding, Severity } from "./finding.ts";
import type { Surroundings } from "./surroundings.ts";

/** Every check, the cause before what follows from it. */
export const CHECKS: readonly Check[] = [
  agent,
  tunDeviceNode,
  capabilities,
  etcd,
  clock,
  udpPort,
  sysctls,
  forwardPolicy,
  overlappingRoutes,
  linkMtu,
  lease,
  duplicates,
  staleLeases,
  freeSubnets,
  subnetEnv,
  cniPlugins,
  cniConfig,
  cniBridge,
  peers,
  pathMtu,
  checksums,
];

/** A finding and the check that made it. */
export interface Found extends Finding {
  readonly check: string;
}

const RANK = { error: 0, warning: 1, note: 2 } as const satisfies Record<Severity, number>;

/** Runs every check; the gravest findings first. */
export async function examine(around: Surroundings): Promise<Found[]> {
  const all = await Promise.all(CHECKS.map((check) => findings(check, around)));
  return all.flat().toSorted((a, b) => RANK[a.severity] - RANK[b.severity]);
}

async function findings({ name, run }: Check, around: Surroundings): Promise<Found[]> {
  try {
    return (await run(around)).map((finding) => ({ check: name, ...finding }));
  } catch (error) {
    const evidence = describeError(error);
    return [{ check: name, severity: "note", what: `could not look at ${name}`, evidence, fix: "run it as root" }];
  }
}
