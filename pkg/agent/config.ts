import type { Addr } from "../addr/addr.ts";
import type { PerFamily } from "../addr/family.ts";

/** Everything twilld was told by flags and environment, checked and with defaults filled in. */
export interface AgentConfig {
  readonly etcd: EtcdConfig;
  /** How to choose the underlay interface, in flannel's order. */
  readonly underlay: UnderlayConfig;
  readonly subnetFile: string;
  /** Seconds. */
  readonly leaseTtl: number;
  /** Seconds before the end of the TTL at which the lease is renewed; at most two thirds of the TTL. */
  readonly renewMargin: number;
  readonly ipMasq: boolean;
  readonly ipMasqRandomFully: boolean;
  readonly forwardRules: boolean;
  /** Seconds between two full reconciles without a cause. */
  readonly resync: number;
  readonly healthz: { readonly ip: string; readonly port: number } | undefined;
  readonly stateDir: string;
  readonly runDir: string;
  readonly nodeName: string;
  readonly dataplane: "tun" | "kernel";
  readonly verifySender: "default" | "strict";
  /** The rung of the offload ladder that the tun plane stands on; auto: the highest that works here. */
  readonly offload: "auto" | "tunnel-gso" | "gso" | "none";
  /** Threads of the tun plane that carry packets. */
  readonly packetThreads: 1 | 2;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  /** "auto" is "pretty" on a terminal and "json" elsewhere. */
  readonly logFormat: "auto" | "json" | "pretty";
}

export interface EtcdConfig {
  /** URLs with scheme and port, all of one scheme: "http://10.0.0.1:2379". */
  readonly endpoints: readonly string[];
  /** Cleaned as flannel does it, without a trailing slash: "/coreos.com/network"; empty for the root. */
  readonly prefix: string;
  readonly keyFile: string | undefined;
  readonly certFile: string | undefined;
  readonly caFile: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

export interface UnderlayConfig {
  readonly iface: readonly string[];
  readonly ifaceRegex: readonly string[];
  readonly ifaceCanReach: Addr | undefined;
  readonly publicIp: PerFamily<Addr>;
}
