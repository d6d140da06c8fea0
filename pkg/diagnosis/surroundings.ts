import { readdir, readFile, stat } from "node:fs/promises";
import type { Family } from "../addr/family.ts";
import type { PeerProbe } from "../api/probe.ts";
import type { LeaseStatus, Status } from "../api/status.ts";
import { describeError, errorCode } from "../base/errors.ts";
import { Commands } from "../host/command.ts";
import type { Host } from "../host/host.ts";
import { LinuxHost } from "../host/linux-host.ts";
import { tunDevice, vxlanDevice } from "../dataplane/device-names.ts";

/** What the checks look at: tests hand in a world of their own. */
export interface Surroundings {
  /** What the agent tells of itself; undefined where it does not answer. */
  readonly status: Status | undefined;
  /** Why it does not. */
  readonly silence: string;
  /** Whether it runs, for all we know, and only we may not ask it. */
  readonly forbidden: boolean;
  readonly leases: readonly LeaseStatus[];
  readonly probes: readonly PeerProbe[];
  readonly host: Host;
  readonly files: Files;
  readonly paths: Paths;
  /** The FORWARD chain of each iptables variant that is in use. */
  readonly forward: (family: Family) => Promise<readonly IptablesForward[]>;
  /** What an etcd endpoint answers at /version. */
  readonly etcdVersion: (endpoint: string) => Promise<EtcdVersion>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Files {
  /** The text, undefined where there is no such file. */
  read(path: string): Promise<string | undefined>;
  /** The names in a directory, sorted; undefined where there is none. */
  list(path: string): Promise<readonly string[] | undefined>;
  exists(path: string): Promise<boolean>;
  /** When it was last written, in milliseconds since 1970; undefined where there is none. */
  writtenAt(path: string): Promise<number | undefined>;
}

export interface Paths {
  readonly subnetFile: string;
  readonly runDir: string;
  readonly cniConfDir: string;
  readonly cniBinDirs: readonly string[];
}

export interface IptablesForward {
  readonly variant: string;
  readonly policy: "ACCEPT" | "DROP";
  /** The rules in order, as after `-A FORWARD`. */
  readonly rules: readonly string[];
}

export interface EtcdVersion {
  readonly version: string;
  /** Its clock, in milliseconds since 1970; undefined where it did not tell. */
  readonly date: number | undefined;
  /** When it was read here. */
  readonly readAt: number;
}

/** The devices of the overlay, by the agent's data plane; both kinds' where it is not known. */
export function overlayDevices(status: Status | undefined): string[] {
  const vni = status?.network?.vni ?? 1;
  const kernel = [vxlanDevice(vni, 4), vxlanDevice(vni, 6)];
  if (status?.dataplane?.name === "tun") return [tunDevice(vni)];
  return status?.dataplane?.name === "kernel" ? kernel : [tunDevice(vni), ...kernel];
}

export const realFiles: Files = {
  read: (path) => unlessMissing(readFile(path, "utf8")),
  list: async (path) => (await unlessMissing(readdir(path)))?.toSorted(),
  exists: async (path) => (await unlessMissing(stat(path))) !== undefined,
  writtenAt: async (path) => (await unlessMissing(stat(path)))?.mtimeMs,
};

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** This host as it is. */
export function realHost(): Pick<Surroundings, "host" | "files" | "forward"> {
  const host = new LinuxHost();
  const commands = new Commands();
  const forward = async (family: Family): Promise<IptablesForward[]> => {
    const variants = await host.iptablesInUse(family);
    return Promise.all(
      variants.map(async (variant) => {
        const tool = `${family === 4 ? "iptables" : "ip6tables"}-${variant}`;
        const { code, stdout, stderr } = await commands.run(tool, ["-w", "5", "-S", "FORWARD"]);
        if (code !== 0) throw new Error(`${tool} -S FORWARD failed: ${stderr.trim()}`);
        const lines = stdout.split("\n");
        const rules = lines.filter((line) => line.startsWith("-A FORWARD ")).map((line) => line.slice(11));
        return { variant: tool, policy: lines.includes("-P FORWARD DROP") ? "DROP" : "ACCEPT", rules };
      }),
    );
  };
  return { host, files: realFiles, forward };
}

// A host that is in trouble is slow, too.
const HTTP_TIMEOUT_MS = 5000;

/** Asks by HTTP: an etcd with TLS that wants certificates is not asked, and throws. `wall` reads the clock. */
export function askEtcd(wall: () => number): Surroundings["etcdVersion"] {
  return async (endpoint) => {
    try {
      const response = await fetch(`${endpoint}/version`, { signal: AbortSignal.timeout(HTTP_TIMEOUT_MS) });
      const readAt = wall();
      const { etcdserver = "" } = (await response.json()) as { etcdserver?: string };
      const date = Date.parse(response.headers.get("date") ?? "");
      return { version: etcdserver, date: Number.isNaN(date) ? undefined : date, readAt };
    } catch (error) {
      throw new Error(`${endpoint} does not answer: ${describeError(error)}`, { cause: error });
    }
  };
}
