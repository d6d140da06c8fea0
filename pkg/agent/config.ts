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
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly logFormat: "json" | "pretty";
}

export interface EtcdConfig {
  readonly endpoints: readonly string[];
  /** With its leading slash and without a trailing one: "/coreos.com/network". */
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
