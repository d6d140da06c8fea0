import type { FlagShape } from "../base/go-flags.ts";
import { type Given, type Settings, bool, integer } from "./settings.ts";

interface FlannelFlag extends FlagShape {
  /** Why it does nothing here: the rest of a sentence that begins with the flag. */
  readonly ignored?: string;
  /** For a bool that flannel acts upon when true: what a person must know who wants that. */
  readonly refusedWhenTrue?: string;
}

/** flannel's flags that twilld has no use for, so that a unit file written for flanneld goes on working. */
export const FLANNEL_FLAGS: readonly FlannelFlag[] = [
  {
    name: "kube-subnet-mgr",
    kind: "bool",
    refusedWhenTrue: "twill leases subnets from etcd, not from the Kubernetes API; remove it and give --etcd-endpoints",
  },
  {
    name: "ip-blackhole-route",
    kind: "bool",
    refusedWhenTrue: "twill does not set a blackhole route for its subnet; remove it",
  },
  { name: "kube-api-url", kind: "value", ignored: "twill does not talk to Kubernetes" },
  { name: "kubeconfig-file", kind: "value", ignored: "twill does not talk to Kubernetes" },
  { name: "kube-annotation-prefix", kind: "value", ignored: "twill does not talk to Kubernetes" },
  { name: "set-node-network-unavailable", kind: "bool", ignored: "twill does not talk to Kubernetes" },
  { name: "net-config-path", kind: "value", ignored: "the network config is read from etcd" },
  { name: "vmodule", kind: "value", ignored: "--log-level holds for all of twilld" },
  { name: "log_backtrace_at", kind: "value", ignored: "twilld logs no backtraces" },
  { name: "v", kind: "value" },
  { name: "iptables-resync", kind: "value" },
];

/** Says in a warning or a problem of `settings` what becomes of flannel's other flags, as far as they were given. */
export function readFlannelFlags(settings: Settings): void {
  for (const flag of FLANNEL_FLAGS) {
    const given = settings.last(flag.name);
    if (!given) continue;
    if (flag.ignored !== undefined) settings.warn(`${given.from} is ignored: ${flag.ignored}`);
    if (flag.refusedWhenTrue !== undefined) {
      const on = settings.check(given, bool);
      if (on === true) settings.refuse(`${given.from}: ${flag.refusedWhenTrue}`);
      if (on === false) settings.warn(`${given.from}=${given.value} is not needed: twill never does it`);
    }
  }
}

// klog's verbosity at which flannel's libraries tell every step; below that it is what we log anyway.
const VERBOSE = 4;

/** The log level that `-v` stands for, undefined where it was not given or `--log-level` was. */
export function levelOfVerbosity(settings: Settings): "info" | "debug" | undefined {
  const given = settings.last("v");
  const verbosity = given && settings.check(given, integer(0, 2 ** 31 - 1, "a whole number, as -v=2"));
  if (!given || verbosity === undefined) return undefined;
  const level = verbosity >= VERBOSE ? "debug" : "info";
  return translated(settings, given, "log-level", level) ? level : undefined;
}

/** The seconds between two resyncs that `--iptables-resync` stands for, undefined as above. */
export function resyncOfIptables(settings: Settings): number | undefined {
  const given = settings.last("iptables-resync");
  const seconds = given && settings.check(given, integer(1, 86_400, "a number of seconds from 1 to 86400"));
  if (!given || seconds === undefined) return undefined;
  return translated(settings, given, "resync", `${seconds}s`) ? seconds : undefined;
}

function translated(settings: Settings, given: Given, name: string, value: string): boolean {
  const ours = settings.last(name);
  if (ours) settings.warn(`${given.from} is ignored: ${ours.from} says it already`);
  else settings.warn(`${given.from}=${given.value} is read as --${name}=${value}`);
  return ours === undefined;
}
