// What interrupts a node while its pods talk, and how it comes back: by what a person or a service manager would do, and no
// more. The test of it runs each once, `npm run interruptions` several times, for the gaps in docs/reliability.md.

import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Daemon } from "../../pkg/lab/daemon.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { isListening } from "../../pkg/lab/proc.ts";
import { TOP, TWILLCTL } from "../../pkg/lab/programs.ts";
import { UNDERLAY_ADDRESS } from "../../pkg/lab/underlay.ts";
import { converse, type Talk } from "../netns/conversation.ts";
import { until } from "../until.ts";
import { PATIENCE_MS } from "./patience.ts";
import { WORKER_KILLER } from "./worker-killer.ts";

export type Plane = "tun" | "kernel";

export interface Interruption {
  readonly name: string;
  /** Whether etcd is dead meanwhile. */
  readonly withoutEtcd?: true;
  readonly only?: Plane;
  /** How long the underlay itself is away, in milliseconds. */
  readonly downMs?: number;
  readonly interrupt: (node: Node, lab: Lab) => Promise<void>;
}

export const PLANES: readonly Plane[] = ["tun", "kernel"];
const DEVICES = { tun: "twill.1", kernel: "flannel.1" } as const;
const UNDERLAY_DOWN_MS = 1_000;
const LOAD = "50M";
const LOAD_PORT = 5201;
const crash = async (node: Node): Promise<void> => {
  await node.kill();
  await node.start();
};
const restart = async (node: Node): Promise<void> => {
  await node.stop();
  await node.start();
};
const upgrade = async (node: Node, lab: Lab): Promise<void> => {
  await node.stop();
  install(lab, "next");
  await node.start();
};
const died = (node: Node): number => node.logText().split("the data plane has died").length;

export const INTERRUPTIONS: readonly Interruption[] = [
  { name: "kill -9 and start", interrupt: crash },
  { name: "restart", interrupt: restart },
  { name: "upgrade", interrupt: upgrade },
  { name: "kill -9 and start, etcd down", withoutEtcd: true, interrupt: crash },
  { name: "restart, etcd down", withoutEtcd: true, interrupt: restart },
  { name: "upgrade, etcd down", withoutEtcd: true, interrupt: upgrade },
  {
    name: "the packet loop's thread dies",
    only: "tun",
    async interrupt(node) {
      const before = died(node);
      node.twilld?.signal("SIGUSR2");
      await until(() => died(node) > before);
    },
  },
  {
    name: "the device is deleted",
    async interrupt(node) {
      await node.run(["sh", "-c", `ip link delete ${DEVICES.tun} 2>/dev/null || ip link delete ${DEVICES.kernel}`]);
    },
  },
  {
    name: `the underlay goes down for ${UNDERLAY_DOWN_MS} ms`,
    downMs: UNDERLAY_DOWN_MS,
    async interrupt(node) {
      const up = `ip link set eth0 up && ip route replace default via ${UNDERLAY_ADDRESS}`;
      await node.run(["sh", "-c", `ip link set eth0 down; sleep ${UNDERLAY_DOWN_MS / 1000}; ${up}`]);
    },
  },
];

// What the node runs is a link, which an upgrade turns to another directory.
function install(lab: Lab, version: "this" | "next"): void {
  const current = join(lab.directory, "current");
  rmSync(current, { force: true });
  symlinkSync(version === "this" ? TOP : join(lab.directory, version), current);
}

/** A node of each plane with a pod, of which the first is interrupted, and a load between the pods. */
export class InterruptedLab implements AsyncDisposable {
  readonly lab: Lab;
  readonly plane: Plane;
  readonly #load: readonly Daemon[];

  private constructor(lab: Lab, plane: Plane, load: readonly Daemon[]) {
    this.lab = lab;
    this.plane = plane;
    this.#load = load;
  }

  /** Of which the first node is on this plane, the second on the other. */
  static async open(plane: Plane): Promise<InterruptedLab> {
    const lab = await Lab.create();
    try {
      const next = join(lab.directory, "next");
      mkdirSync(next);
      for (const part of ["bin", "dist", "package.json"])
        cpSync(join(TOP, part), join(next, part), { recursive: true });
      symlinkSync(join(TOP, "node_modules"), join(next, "node_modules"));
      install(lab, "this");
      const other = PLANES.find((each) => each !== plane);
      await lab.addNode({
        args: [`--dataplane=${plane}`],
        program: [join(lab.directory, "current/bin/twilld")],
        env: WORKER_KILLER,
      });
      await lab.addNode({ args: [`--dataplane=${other}`] });
      for (const node of lab.nodes) {
        await node.start();
        await node.ready(PATIENCE_MS);
        await node.addPod();
      }
      return new InterruptedLab(lab, plane, await load(lab));
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get node(): Node {
    return this.lab.node(1);
  }

  /** The node's device with its index, its addresses and its routes, as text. */
  async kernelState(): Promise<string> {
    const device = DEVICES[this.plane];
    const commands = [
      `ip -o link show dev ${device} | cut -d: -f1,2`,
      `ip -o address show dev ${device} scope global`,
      `ip route show dev ${device}`,
    ];
    const { stdout } = await this.node.run(["sh", "-c", commands.join(" && ")]);
    // A TUN device that nobody has open has no carrier.
    return stdout.replaceAll(" linkdown", "");
  }

  /** Interrupts the node and waits until all is well again. Resolves to what a connection that was open saw of it. */
  async suffer({ interrupt, withoutEtcd }: Interruption): Promise<Talk> {
    const { lab, node } = this;
    const conversation = await converse(lab.pod(1, 1), lab.pod(2, 1), lab.directory);
    if (withoutEtcd) await lab.etcd.kill();
    await interrupt(node, lab);
    if (withoutEtcd) {
      // It carries packets from its state, before it can know more.
      await until(() => this.#carries());
      await lab.etcd.start();
    }
    await node.ready(PATIENCE_MS);
    return conversation.end();
  }

  // While it starts, nobody answers.
  async #carries(): Promise<boolean> {
    const { stdout } = await this.node.netns.capture([TWILLCTL, `--socket=${this.node.socket}`, "status", "--json"]);
    return stdout.includes('"in-sync"');
  }

  /** Whether the load has run without a break. */
  get loaded(): boolean {
    return this.#load.every(({ running }) => running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.close();
  }
}

async function load(lab: Lab): Promise<readonly Daemon[]> {
  const [from, to] = [lab.pod(1, 1), lab.pod(2, 1)];
  const log = (name: string): string => join(lab.directory, `load-${name}.log`);
  const serve = ["iperf3", "--server", "--one-off", "--port", String(LOAD_PORT)];
  const server = await to.netns.start(serve, { name: "the load's server", log: log("server") });
  await until(() => isListening(server.pid, LOAD_PORT));
  const argv = [
    "iperf3",
    "--client",
    to.address,
    "--port",
    String(LOAD_PORT),
    "--time",
    "0",
    "--bitrate",
    LOAD,
    "--bidir",
  ];
  return [server, await from.netns.start(argv, { name: "the load", log: log("client") })];
}
