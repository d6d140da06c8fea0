import { hostname } from "node:os";
import { resolve } from "node:path";
import type { PerFamily } from "../addr/family.ts";
import { type Addr, parseAddr } from "../addr/addr.ts";
import type { Setting } from "../api/setting.ts";
import { ConfigError } from "../base/errors.ts";
import { parseGoFlags } from "../base/go-flags.ts";
import { nearest } from "../base/nearest.ts";
import { VERSION } from "../base/version.ts";
import type { AgentConfig, UnderlayConfig } from "./config.ts";
import { duration } from "./duration.ts";
import { readEtcdConfig } from "./etcd-flags.ts";
import { FLAGS } from "./flag-table.ts";
import { FLANNEL_FLAGS, levelOfVerbosity, readFlannelFlags, resyncOfIptables } from "./flannel-flags.ts";
import { helpText } from "./help.ts";
import { originsOf } from "./origins.ts";
import {
  absolutePath,
  address,
  bool,
  choice,
  type Environment,
  environmentName,
  integer,
  port,
  Settings,
} from "./settings.ts";

export type Parsed =
  | {
      readonly kind: "run";
      readonly config: AgentConfig;
      /** Where each of its values came from. */
      readonly origins: readonly Setting[];
      readonly warnings: readonly string[];
    }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version"; readonly text: string };

/**
 * Reads twilld's arguments (without the program's name) and environment. A flag beats TWILLD_*, which beats FLANNELD_*.
 * Throws a ConfigError with a sentence for every problem there is.
 */
export function parseArgs(argv: readonly string[], env: Environment): Parsed {
  const flags = parseGoFlags(argv, [...FLAGS, ...FLANNEL_FLAGS]);
  const settings = new Settings(NAMES, flags.given, env);
  settings.problems.push(...flags.problems);
  for (const { text, after } of flags.positionals) settings.refuse(strayArgument(text, after));

  if (isOn(settings, "help")) return { kind: "help", text: helpText() };
  if (isOn(settings, "version")) return { kind: "version", text: `twilld ${VERSION}\n` };

  warnOfUnknownVariables(settings, env);
  const config = readConfig(settings);
  if (settings.problems.length > 0) throw new ConfigError(settings.problems);
  return { kind: "run", config, origins: originsOf(config, settings), warnings: settings.warnings };
}

const NAMES = [...FLAGS, ...FLANNEL_FLAGS].map((flag) => flag.name);

function readConfig(settings: Settings): AgentConfig {
  readFlannelFlags(settings);
  const resync = resyncOfIptables(settings) ?? settings.value("resync", duration(1, 86_400));
  const logLevel = levelOfVerbosity(settings) ?? settings.value("log-level", choice("debug", "info", "warn", "error"));
  const healthz = { ip: settings.value("healthz-ip", ipText), port: settings.value("healthz-port", port) };
  return {
    etcd: readEtcdConfig(settings),
    underlay: readUnderlayConfig(settings),
    subnetFile: settings.value("subnet-file", fileToMake),
    ...readLeaseTimes(settings),
    ipMasq: settings.value("ip-masq", bool),
    ipMasqRandomFully: !settings.value("ip-masq-fully-random-disable", bool),
    forwardRules: settings.value("iptables-forward-rules", bool),
    resync,
    healthz: healthz.port === 0 ? undefined : healthz,
    ...readDirs(settings),
    nodeName: settings.optional("node-name", nodeName) ?? hostname(),
    dataplane: settings.value("dataplane", choice("tun", "kernel")),
    verifySender: settings.value("verify-sender", choice("default", "strict")),
    offload: settings.value("offload", choice("auto", "tunnel-gso", "gso", "none")),
    packetThreads: settings.value("packet-threads", choice("1", "2")) === "1" ? 1 : 2,
    logLevel,
    logFormat: settings.value("log-format", choice("auto", "json", "pretty")),
  };
}

function readUnderlayConfig(settings: Settings): UnderlayConfig {
  const v4 = settings.optional("public-ip", address(4));
  const v6 = settings.optional("public-ipv6", address(6));
  const publicIp: PerFamily<Addr> = { ...(v4 && { 4: v4 }), ...(v6 && { 6: v6 }) };
  return {
    iface: settings.list("iface", interfaceName),
    ifaceRegex: settings.list("iface-regex", pattern),
    ifaceCanReach: settings.optional("iface-can-reach", address()),
    publicIp,
  };
}

// The agent leaves the directory that it was started in.
function fileToMake(text: string): string {
  return absolutePath(resolve(text));
}

// Each is locked by itself, so that one directory for both would be taken by ourselves.
function readDirs(settings: Settings): Pick<AgentConfig, "stateDir" | "runDir"> {
  const dirs = { stateDir: settings.value("state-dir", absolutePath), runDir: settings.value("run-dir", runDir) };
  if (resolve(dirs.stateDir) === resolve(dirs.runDir))
    settings.refuse(`--state-dir and --run-dir are both ${dirs.runDir}: give each a directory of its own`);
  return dirs;
}

// The least that etcd grants with its default election time-out (1.5 times 1 s, rounded up).
const LEAST_TTL = 2;
const MOST_TTL = 8760 * 3600;

function readLeaseTimes(settings: Settings): Pick<AgentConfig, "leaseTtl" | "renewMargin"> {
  const leaseTtl = settings.value("subnet-lease-ttl", duration(LEAST_TTL, MOST_TTL));
  const margin = 60 * settings.value("subnet-lease-renew-margin", integer(1, 1439, "minutes from 1 to 1439"));
  const most = Math.floor((leaseTtl * 2) / 3);
  const given = settings.last("subnet-lease-renew-margin");
  if (given && margin > most)
    settings.warn(
      `${given.from}=${given.value} is more than two thirds of the lease's TTL: ${most} s is taken instead`,
    );
  return { leaseTtl, renewMargin: Math.min(margin, most) };
}

function isOn(settings: Settings, name: string): boolean {
  const given = settings.last(name);
  return given !== undefined && given.from.startsWith("-") && settings.check(given, bool) === true;
}

function strayArgument(text: string, after: string | undefined): string {
  if (after !== undefined && /^(t|f|true|false|0|1|yes|no|on|off)$/i.test(text))
    return `--${after} does not take ${JSON.stringify(text)} as its value: write --${after}=${text}`;
  return `${JSON.stringify(text)} is not a flag: twilld takes only --name=value`;
}

// A mistyped variable would be ignored in silence. Only a warning: Kubernetes sets variables for services by itself.
function warnOfUnknownVariables(settings: Settings, env: Environment): void {
  const known = new Set(NAMES.map((name) => `TWILLD_${environmentName(name)}`));
  for (const name of Object.keys(env)) {
    if (!name.startsWith("TWILLD_") || known.has(name)) continue;
    const near = nearest(name, known);
    settings.warn(`${name} in the environment is ignored: ${near ? `did you mean ${near}?` : "there is no such flag"}`);
  }
}

// net/if.h: IFNAMSIZ is 16 with the zero byte; dev_valid_name of the kernel's net/core/dev.c.
function interfaceName(text: string): string {
  if (parseAddr(text)) return text;
  if (text.includes(",")) throw new RangeError("give one interface, and repeat --iface for more");
  if (!/^[^-/\s][^/\s]*$/.test(text) || Buffer.byteLength(text) > 15)
    throw new RangeError("give the name of an interface or an address on it");
  return text;
}

function pattern(text: string): string {
  try {
    void new RegExp(text);
    return text;
  } catch {
    throw new RangeError("give a regular expression in JavaScript's form");
  }
}

function ipText(text: string): string {
  address()(text);
  return text;
}

// unix(7): sun_path has 108 bytes with the zero byte.
const LONGEST_SOCKET_PATH = 107;

function runDir(text: string): string {
  const path = absolutePath(text).replace(/(?<=.)\/+$/, "");
  const most = LONGEST_SOCKET_PATH - "/twilld.sock".length;
  if (Buffer.byteLength(path) > most)
    throw new RangeError(`give a path of at most ${most} bytes, since a socket's path may not be longer`);
  return path;
}

function nodeName(text: string): string {
  if (!/^[\x21-\x7e]{1,253}$/.test(text)) throw new RangeError("give at most 253 printable characters without spaces");
  return text;
}
