import { FAMILIES } from "../addr/family.ts";
import { Backoff } from "../base/backoff.ts";
import { sleep } from "../base/clock.ts";
import { runAll } from "../base/run-all.ts";

import type { Commands } from "./command.ts";
import { HostError, type HostEvent, type WatchOptions } from "./host.ts";
import { legacyRules } from "./iptables.ts";
import { readSysctl } from "./sysctl.ts";

// What the kernel tells of by itself is heard through `ip monitor` and `nft monitor`: two processes that sleep. Sysctls
// and the rules of iptables-legacy tell nobody and are looked at from time to time.

const RESTART_MS = { first: 100, most: 10_000 };
const POLL_MS = 1_000;

/** See Host.watch. `sysctls` holds those to look at with what whoever asked for them was told; it is kept up to date. */
export async function watchHost(
  commands: Commands,
  sysctls: Map<string, string | undefined>,
  options: WatchOptions,
): Promise<void> {
  const { signal, onEvent } = options;
  const legacy = new Map<number, string>();
  await runAll(signal, [
    (inner) => monitor(commands, "ip", IP_ARGS, ipEvent, { ...options, signal: inner }),
    (inner) => monitor(commands, "nft", ["monitor"], nftEvent, { ...options, signal: inner }),
    (inner) => poll({ ...options, signal: inner }, () => pollSysctls(commands, sysctls, onEvent)),
    (inner) => poll({ ...options, signal: inner }, () => pollLegacy(commands, legacy, onEvent)),
  ]);
}

const IP_ARGS = ["monitor", "label", "link", "address", "route", "neigh", "netconf"];

// A monitor that ends is started again. It has missed what happened meanwhile, and says so once it listens.
async function monitor(
  commands: Commands,
  tool: string,
  args: readonly string[],
  parse: (line: string) => HostEvent | undefined,
  { signal, onEvent, onTrouble, clock }: WatchOptions,
): Promise<void> {
  // Nobody else waits for the same process, so there is no crowd to spread.
  const backoff = new Backoff({ ...RESTART_MS, random: () => 1 });
  let told = false;
  while (!signal.aborted) {
    const onLine = (line: string): void => {
      const event = parse(line);
      if (!event) return;
      backoff.reset();
      told = false;
      onEvent(event);
    };
    try {
      await commands.follow(tool, args, onLine, signal);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (!told) onTrouble(error);
      told = true;
    }
    await sleep(clock, backoff.next(), signal);
    if (!signal.aborted) onEvent({ kind: "gap", of: "" });
  }
}

// By label: the kind, and where the name of the interface is.
const LABELS: ReadonlyMap<string, readonly [HostEvent["kind"], RegExp]> = new Map([
  ["LINK", ["link", /^(?:Deleted )?\d+: ([^\s@:]+)/]],
  ["ADDR", ["address", /^(?:Deleted )?\d+: (\S+)/]],
  ["ROUTE", ["route", / dev (\S+)/]],
  ["NEIGH", ["neighbour", / dev (\S+)/]],
  ["NETCONF", ["sysctl", /^inet6? (\S+)/]],
]);

/** What one line of `ip monitor label` tells of; undefined for those that continue another. */
export function ipEvent(line: string): HostEvent | undefined {
  const [, label = "", text = ""] = /^\[(\w+)\](.*)$/.exec(line) ?? [];
  const [kind, name] = LABELS.get(label) ?? [];
  return kind && name && { kind, of: name.exec(text)?.[1] ?? "" };
}

/** What one line of `nft monitor` tells of: "add rule ip filter FORWARD ..." of the table "ip filter". */
export function nftEvent(line: string): HostEvent | undefined {
  const [, family, table] = /^\w+ (?:table|chain|rule|set|map|element|counter) (\w+) (\S+)/.exec(line) ?? [];
  return family === undefined ? undefined : { kind: "nft", of: `${family} ${table}` };
}

async function poll({ clock, signal, onTrouble }: WatchOptions, look: () => Promise<void>): Promise<void> {
  let told = false;
  for (; !signal.aborted; await sleep(clock, POLL_MS, signal)) {
    try {
      await look();
      told = false;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (!told) onTrouble(error);
      told = true;
    }
  }
}

async function pollSysctls(
  commands: Commands,
  sysctls: Map<string, string | undefined>,
  onEvent: WatchOptions["onEvent"],
): Promise<void> {
  for (const [path, before] of sysctls) {
    const now = await readSysctl(commands, path);
    // Somebody may have looked or written in the meantime.
    if (now === before || sysctls.get(path) !== before) continue;
    sysctls.set(path, now);
    onEvent({ kind: "sysctl", of: path });
  }
}

async function pollLegacy(
  commands: Commands,
  seen: Map<number, string>,
  onEvent: WatchOptions["onEvent"],
): Promise<void> {
  for (const family of FAMILIES) {
    const rules = await legacyRules(commands, family);
    if (seen.has(family) && seen.get(family) !== rules) onEvent({ kind: "iptables", of: "" });
    seen.set(family, rules);
  }
}
