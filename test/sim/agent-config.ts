import { join } from "node:path";
import { parseAddr } from "../../pkg/addr/addr.ts";
import { parseInterfaceAddr, parsePrefix } from "../../pkg/addr/prefix.ts";
import type { AgentConfig } from "../../pkg/agent/config.ts";
import type { MemoryHost } from "../../pkg/host/memory-host.ts";

export const PREFIX = "/coreos.com/network";

/** What the flags of agent n in a simulation come to; its files are below `dir`. */
export function agentConfig(n: number, dir: string, changes: Partial<AgentConfig> = {}): AgentConfig {
  return {
    etcd: {
      endpoints: ["memory://etcd"],
      prefix: PREFIX,
      keyFile: undefined,
      certFile: undefined,
      caFile: undefined,
      username: undefined,
      password: undefined,
    },
    underlay: { iface: [], ifaceRegex: [], ifaceCanReach: undefined, publicIp: {} },
    subnetFile: join(dir, "run", "subnet.env"),
    leaseTtl: 86_400,
    renewMargin: 3_600,
    ipMasq: true,
    ipMasqRandomFully: true,
    forwardRules: true,
    resync: 60,
    healthz: undefined,
    stateDir: join(dir, "state"),
    runDir: join(dir, "run"),
    nodeName: `node${n}`,
    dataplane: "tun",
    verifySender: "default",
    offload: "auto",
    packetThreads: 1,
    logLevel: "info",
    logFormat: "json",
    ...changes,
  };
}

/** Gives the host an eth0 with these addresses. */
export function addUnderlay(host: MemoryHost, ...addresses: readonly string[]): void {
  host.addLink({
    name: "eth0",
    index: 2,
    up: true,
    addresses: addresses.map((text) => {
      const address = parseInterfaceAddr(text);
      if (!address) throw new Error(`bad test address ${text}`);
      return { ...address, scope: "global", deprecated: false, dynamic: false, temporary: false };
    }),
  });
}

/** Gives the host a route over eth0. */
export function addRoute(host: MemoryHost, dst: string, via: string): void {
  const [prefix, gateway] = [parsePrefix(dst), parseAddr(via)];
  if (!prefix || !gateway) throw new Error(`bad test route ${dst} via ${via}`);
  void host.apply([{ kind: "route", route: { dst: prefix, via: gateway, dev: "eth0" } }]);
}
