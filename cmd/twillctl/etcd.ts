import { readEtcdConfig } from "../../pkg/agent/etcd-flags.ts";
import { FLAGS } from "../../pkg/agent/flag-table.ts";
import { Settings } from "../../pkg/agent/settings.ts";
import { systemClock } from "../../pkg/base/clock.ts";
import { EtcdRegistry } from "../../pkg/subnet/etcd-registry.ts";
import type { Registry } from "../../pkg/subnet/registry.ts";
import type { Call } from "./command.ts";
import { UsageError } from "./usage-error.ts";

/** The registry that a command was told of. */
export interface Reached {
  readonly registry: Registry;
  /** "/coreos.com/network" */
  readonly prefix: string;
  /** "http://10.0.0.1:2379", with a comma between several. */
  readonly endpoints: string;
}

/** Opens etcd as the flags and the environment say, by twilld's rules, and closes it after the work. */
export async function withRegistry<T>(call: Call, work: (reached: Reached) => Promise<T>): Promise<T> {
  const names = FLAGS.filter((flag) => flag.group === "etcd").map((flag) => flag.name);
  const settings = new Settings(names, call.given, call.env);
  const config = readEtcdConfig(settings);
  if (settings.problems.length > 0) throw new UsageError(settings.problems.join("; "));
  const registry = await EtcdRegistry.open(config, { clock: systemClock, random: Math.random });
  try {
    return await work({ registry, prefix: config.prefix, endpoints: config.endpoints.join(",") });
  } finally {
    registry.close();
  }
}
