import { formatAddr } from "../addr/addr.ts";
import type { Setting } from "../api/setting.ts";
import type { AgentConfig } from "./config.ts";
import { FLAGS } from "./flag-table.ts";
import { type Given, SECRET, type Settings } from "./settings.ts";

/** What each flag came to, as it would be written; empty where it says nothing. */
const EFFECTIVE: Readonly<Record<string, (config: AgentConfig) => string>> = {
  "etcd-endpoints": ({ etcd }) => etcd.endpoints.join(","),
  "etcd-prefix": ({ etcd }) => etcd.prefix,
  "etcd-cafile": ({ etcd }) => etcd.caFile ?? "",
  "etcd-certfile": ({ etcd }) => etcd.certFile ?? "",
  "etcd-keyfile": ({ etcd }) => etcd.keyFile ?? "",
  "etcd-username": ({ etcd }) => etcd.username ?? "",
  "etcd-password": ({ etcd }) => etcd.password ?? "",
  iface: ({ underlay }) => underlay.iface.join(","),
  "iface-regex": ({ underlay }) => underlay.ifaceRegex.join(" "),
  "iface-can-reach": ({ underlay }) => (underlay.ifaceCanReach ? formatAddr(underlay.ifaceCanReach) : ""),
  "public-ip": ({ underlay }) => (underlay.publicIp[4] ? formatAddr(underlay.publicIp[4]) : ""),
  "public-ipv6": ({ underlay }) => (underlay.publicIp[6] ? formatAddr(underlay.publicIp[6]) : ""),
  "subnet-lease-ttl": ({ leaseTtl }) => `${leaseTtl}s`,
  "subnet-lease-renew-margin": ({ renewMargin }) => String(renewMargin / 60),
  "node-name": ({ nodeName }) => nodeName,
  dataplane: ({ dataplane }) => dataplane,
  offload: ({ offload }) => offload,
  "packet-threads": ({ packetThreads }) => String(packetThreads),
  "verify-sender": ({ verifySender }) => verifySender,
  "ip-masq": ({ ipMasq }) => String(ipMasq),
  "ip-masq-fully-random-disable": ({ ipMasqRandomFully }) => String(!ipMasqRandomFully),
  "iptables-forward-rules": ({ forwardRules }) => String(forwardRules),
  resync: ({ resync }) => `${resync}s`,
  "subnet-file": ({ subnetFile }) => subnetFile,
  "state-dir": ({ stateDir }) => stateDir,
  "run-dir": ({ runDir }) => runDir,
  "healthz-ip": ({ healthz }) => healthz?.ip ?? "",
  "healthz-port": ({ healthz }) => String(healthz?.port ?? 0),
  "log-level": ({ logLevel }) => logLevel,
  "log-format": ({ logFormat }) => logFormat,
};

/** flannel's flags that are read as one of ours where that was not given. */
const STANDS_FOR: Readonly<Record<string, string>> = { "log-level": "v", resync: "iptables-resync" };

/** Every flag that sets something, with the value that is in force and who gave it. A secret is only told to be set. */
export function originsOf(config: AgentConfig, settings: Settings): Setting[] {
  return FLAGS.flatMap(({ name }) => {
    const effective = EFFECTIVE[name]?.(config);
    if (effective === undefined) return [];
    const given = settings.last(name) ?? settings.last(STANDS_FOR[name] ?? name);
    const value = SECRET.has(name) && effective !== "" ? "set" : effective;
    return { name, value, ...originOf(name, given) };
  });
}

function originOf(name: string, given: Given | undefined): Pick<Setting, "source" | "from"> {
  if (given) return { source: given.from.startsWith("-") ? "flag" : "environment", from: given.from };
  if (name === "node-name") return { source: "discovered", from: "the host's name" };
  return { source: "default", from: "" };
}
