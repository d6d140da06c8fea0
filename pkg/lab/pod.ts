import { join } from "node:path";
import { CommandError, type Output } from "./command.ts";
import type { Netns } from "./netns.ts";
import { BIN, pluginDirectory } from "./programs.ts";

export const POD_IFNAME = "eth0";
const CNI_TIMEOUT_MS = 30_000;

/** What the CNI plugin said of an attachment: the part of its result that the lab reads (CNI 1.0, "Success"). */
export interface CniResult {
  readonly ips: readonly { readonly address: string; readonly gateway?: string }[];
}

/** The node a pod is on, as far as attaching it needs. */
export interface PodHost {
  readonly name: string;
  readonly netns: Netns;
  readonly directory: string;
  readonly subnetFile: string;
  readonly runDir: string;
}

/** A network namespace that a node's `twill-cni` attaches, through the real `bridge` and `host-local` plugins. */
export class Pod {
  readonly name: string;
  readonly node: PodHost;
  readonly netns: Netns;
  readonly containerId: string;
  #addresses: readonly string[] = [];

  constructor(name: string, node: PodHost, netns: Netns, containerId: string) {
    this.name = name;
    this.node = node;
    this.netns = netns;
    this.containerId = containerId;
  }

  /** Its first address, IPv4 where it has one. Throws while it is not attached. */
  get address(): string {
    const first = this.#addresses[0];
    if (first === undefined) throw new Error(`${this.name} is not attached`);
    return first;
  }

  /** All its addresses, without prefix lengths. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** CNI ADD. Throws with the plugin's sentence where it fails. */
  async attach(): Promise<CniResult> {
    const output = await this.cni("ADD");
    if (output.status !== 0) throw new Error(`cannot attach ${this.name}: ${cniMessage(output)}`);
    const result = JSON.parse(output.stdout) as CniResult;
    const addresses = result.ips.map((ip) => ip.address.replace(/\/\d+$/, ""));
    this.#addresses = addresses.sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
    return result;
  }

  /** CNI DEL. Throws with the plugin's sentence where it fails. */
  async detach(): Promise<void> {
    const output = await this.cni("DEL");
    if (output.status !== 0) throw new Error(`cannot detach ${this.name}: ${cniMessage(output)}`);
    this.#addresses = [];
  }

  /**
   * Calls twill-cni as a container runtime does, whatever comes of it. The netconf can be changed by `override`, the
   * CNI_* variables by `env`.
   */
  cni(
    command: "ADD" | "DEL" | "CHECK" | "STATUS" | "GC" | "VERSION",
    override: Readonly<Record<string, unknown>> = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<Output> {
    return this.node.netns.capture([join(BIN, "twill-cni")], {
      input: JSON.stringify({ ...this.netconf(), ...override }),
      timeout: CNI_TIMEOUT_MS,
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: this.containerId,
        CNI_NETNS: this.netns.path,
        CNI_IFNAME: POD_IFNAME,
        CNI_PATH: [BIN, pluginDirectory() ?? ""].join(":"),
        ...env,
      },
    });
  }

  /** flannel's common netconf, with every path in the lab's directory. */
  netconf(): Record<string, unknown> {
    const { directory, subnetFile, runDir } = this.node;
    return {
      cniVersion: "1.0.0",
      name: "twill",
      type: "twill",
      subnetFile,
      runDir,
      dataDir: join(directory, "cni"),
      delegate: { isDefaultGateway: true, hairpinMode: true },
      ipam: { dataDir: join(directory, "ipam") },
    };
  }
}

/** The sentence of a failed CNI call: the error's `msg` and `details`, or whatever else the plugin wrote. */
export function cniMessage(output: Output): string {
  try {
    const { msg, details } = JSON.parse(output.stdout) as { msg?: string; details?: string };
    if (msg !== undefined) return details ? `${msg}: ${details}` : msg;
  } catch {
    // Not JSON: a plugin that could not even start.
  }
  return new CommandError(["twill-cni"], output).message;
}
