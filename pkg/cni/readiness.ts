import { ConfigError } from "../base/errors.ts";
import { type AgentState, agentStatusPath, readAgentStatus } from "./agent-status.ts";
import type { PodNetwork } from "./delegate-conf.ts";
import { CODE, CniError, toCniError } from "./error.ts";
import type { NetConf } from "./netconf.ts";

/** Whether a pod can be attached now: to what, or why not. */
export type Readiness =
  | { readonly state: "ready"; readonly net: PodNetwork }
  | { readonly state: Exclude<AgentState, "ready">; readonly message: string };

/**
 * Looks at what the agent last said and at subnet.env. No word of an agent is no obstacle while subnet.env is there:
 * flanneld says nothing either. Throws a CniError when one of the files cannot be read or understood.
 */
export function readiness(conf: NetConf, readPodNetwork: (path: string) => PodNetwork | undefined): Readiness {
  const agent = agentStatus(conf.runDir);
  if (agent && agent.state !== "ready") return { state: agent.state, message: agent.message };
  const net = podNetwork(conf.subnetFile, readPodNetwork);
  if (net) return { state: "ready", net };
  const message = agent
    ? `twilld is ready, but ${conf.subnetFile} is missing; wait until twilld has put it back, or make the netconf's "subnetFile" and twilld's --subnet-file the same`
    : `twilld has not written ${conf.subnetFile} yet; is it running? see "systemctl status twilld" and "journalctl -u twilld"`;
  return { state: "not-ready", message };
}

function agentStatus(runDir: string): ReturnType<typeof readAgentStatus> {
  try {
    return readAgentStatus(runDir);
  } catch (error) {
    const { code, message } = toCniError(error);
    throw new CniError(code === CODE.io ? code : CODE.decode, message || agentStatusPath(runDir), { cause: error });
  }
}

function podNetwork(path: string, read: (path: string) => PodNetwork | undefined): PodNetwork | undefined {
  try {
    return read(path);
  } catch (error) {
    if (error instanceof ConfigError) throw new CniError(CODE.decode, error.message, { cause: error });
    throw error;
  }
}
