import { type Clock, sleep } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Contact } from "./contact.ts";
import { namesBackend, type NetworkConfig, parseNetworkConfig } from "./network-config.ts";
import { type Registry, RegistryUnavailableError } from "./registry.ts";
import { Survey } from "./survey.ts";

export interface ConfigSourceOptions {
  readonly registry: Registry;
  readonly contact: Contact;
  readonly clock: Clock;
  readonly log: Logger;
  /** The registry's prefix, for sentences to people. */
  readonly prefix: string;
  /** Hears what is being waited for, and with undefined that nothing is. */
  readonly waiting: (problem: string | undefined) => void;
}

const RETRY_MS = 1000;

/** Where the network config comes from: the registry, once it is there and makes sense. */
export class ConfigSource {
  readonly #options: ConfigSourceOptions;
  /** What the last config that was found right looks like in the registry. */
  text: string | undefined;

  constructor(options: ConfigSourceOptions) {
    this.#options = options;
  }

  /**
   * Waits for a valid config, telling each thing that is wrong with it once; with `inUse` only until the registry answers,
   * and gives that where it has no valid one. Throws the signal's reason when it aborts, and what the registry throws
   * other than RegistryUnavailableError.
   */
  async wait(signal: AbortSignal, inUse?: NetworkConfig): Promise<NetworkConfig> {
    const { clock, contact, log, waiting } = this.#options;
    const told = new Set<string>();
    try {
      for (;;) {
        signal.throwIfAborted();
        const result = await this.#look(inUse);
        if (typeof result !== "string") {
          if (told.size > 0 && result !== inUse) log.info("network config found");
          return result;
        }
        if (!told.has(result)) log.warn("waiting for the network config", { reason: result });
        told.add(result);
        waiting(result);
        await sleep(clock, RETRY_MS, signal);
      }
    } finally {
      contact.ended("config");
      waiting(undefined);
    }
  }

  // The config, or in one sentence why there is none.
  async #look(inUse: NetworkConfig | undefined): Promise<NetworkConfig | string> {
    const { registry, contact, prefix } = this.#options;
    try {
      const entry = await registry.get("config");
      contact.back("config");
      if (!entry) {
        if (inUse) return inUse;
        const example = `{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}`;
        return `there is no network config: put one with etcdctl put ${prefix}/config '${example}'`;
      }
      const survey = namesBackend(entry.value) ? undefined : new Survey(await registry.list());
      const config = this.#parse(entry.value, survey);
      return typeof config === "string" ? (inUse ?? config) : config;
    } catch (error) {
      // The settings for etcd, whose files may come yet or be put right.
      if (error instanceof ConfigError) return error.message;
      if (!(error instanceof RegistryUnavailableError)) throw error;
      contact.lost("config", error);
      // Its causes hold times and would make every try a new problem.
      return `waiting for etcd to read the network config: ${error.message}`;
    }
  }

  #parse(text: string, survey: Survey | undefined): NetworkConfig | string {
    const { log, prefix } = this.#options;
    try {
      const config = parseNetworkConfig(text, {
        liveLeases: survey?.claims.flatMap((claim) => claim.lease ?? []) ?? [],
        warn: (sentence) => {
          if (text !== this.text) log.warn("network config is doubtful", { reason: sentence });
        },
      });
      this.text = text;
      return config;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return `the network config at ${prefix}/config is wrong: ${error.message}`;
    }
  }
}
