import { randomBytes } from "node:crypto";
import { join } from "node:path";
import {
  killProcesses,
  type LabState,
  makeLabDirectory,
  removeDirectory,
  removeLeftOvers,
  writeState,
} from "./directory.ts";
import { EtcdServer } from "./etcd-server.ts";
import { Namespaces } from "./namespaces.ts";
import { Node, type NodeOptions } from "./node.ts";
import { Pod } from "./pod.ts";
import { processId } from "./proc.ts";
import { Underlay, UNDERLAY_ADDRESS, type UnderlayHost } from "./underlay.ts";

export const DEFAULT_PREFIX = "/coreos.com/network";
export const DEFAULT_NETWORK = "10.244.0.0/16";
const DEFAULT_MTU = 1500;

export interface LabOptions {
  /** Letters, digits and dashes; without it a random one. Two labs of one user never share a name. */
  readonly name?: string;
  /** Nodes to start with, each with its twilld; 0 where it is left out. */
  readonly nodes?: number;
  /** Pods to attach on each of them; 0 where it is left out. */
  readonly pods?: number;
  /** The network config as etcd gets it; "none" leaves it out, for those who test that. */
  readonly config?: Readonly<Record<string, unknown>> | "none";
  /** etcd prefix without a trailing slash. */
  readonly prefix?: string;
  /** MTU of the underlay in bytes. */
  readonly mtu?: number;
  /** Flags for every twilld, behind the lab's own. */
  readonly args?: readonly string[];
  /** Told of each step as it begins and as it gets on. */
  readonly onProgress?: (step: Step) => void;
  /** Gives the start up; what was started by then is stopped. */
  readonly signal?: AbortSignal;
}

/** One step of a start: how many of its parts are done, of how many. */
export interface Step {
  readonly title: string;
  readonly done: number;
  readonly of: number;
}

/**
 * N nodes with pods on one machine: real etcd, real twilld, real CNI plugins, everything in network namespaces of the
 * lab's own. It needs root or an unprivileged user namespace. The machine's own network is neither used nor changed.
 *
 *            underlay: br0 172.31.0.1, etcd
 *          ┌────────────────┬────────────────┐
 *     eth0 172.31.1.1  eth0 172.31.1.2  eth0 172.31.1.3
 *     node1 twilld     node2 twilld     node3 twilld
 *     cni0             cni0             cni0
 *     ├ pod1.1         ├ pod2.1         ├ pod3.1
 *     └ pod1.2         └ pod2.2         └ pod3.2
 */
export class Lab {
  readonly name: string;
  readonly directory: string;
  readonly prefix: string;
  readonly etcd: EtcdServer;
  readonly namespaces: Namespaces;
  readonly nodes: Node[] = [];
  readonly #underlay: Underlay;
  readonly #options: LabOptions;
  #addedNodes = 0;
  #addedPlainNodes = 0;
  #closed: Promise<void> | undefined;

  private constructor(options: LabOptions, name: string, directory: string, namespaces: Namespaces, bridge: Underlay) {
    this.name = name;
    this.directory = directory;
    this.prefix = options.prefix ?? DEFAULT_PREFIX;
    this.namespaces = namespaces;
    this.#options = options;
    this.#underlay = bridge;
    this.etcd = new EtcdServer(namespaces.underlay, UNDERLAY_ADDRESS, directory);
  }

  /**
   * Starts a lab; its nodes are ready and its pods attached when this resolves. Whatever fails, nothing is left behind.
   * Clears away first what labs of dead processes left.
   */
  static async create(options: LabOptions = {}): Promise<Lab> {
    await removeLeftOvers();
    const name = options.name ?? `lab-${randomBytes(4).toString("hex")}`;
    const directory = makeLabDirectory(name);
    let lab: Lab | undefined;
    let namespaces: Namespaces | undefined;
    try {
      // Before anything else is started, so that a lab killed while starting is known for what it is.
      writeState(directory, emptyState(name, options));
      namespaces = await Namespaces.open(directory);
      const underlay = await Underlay.open(namespaces, options.mtu ?? DEFAULT_MTU);
      lab = new Lab(options, name, directory, namespaces, underlay);
      lab.#save();
      await unlessAborted(options.signal, lab.#populate());
      return lab;
    } catch (error) {
      if (lab) await lab.close();
      else {
        await namespaces?.holder.kill();
        removeDirectory(directory);
      }
      throw error;
    }
  }

  /** The underlay's own namespace, in which the bridge and etcd are. */
  get underlay(): Namespaces["underlay"] {
    return this.namespaces.underlay;
  }

  /** The `i`th node, from 1. */
  node(i: number): Node {
    const node = this.nodes[i - 1];
    if (!node) throw new RangeError(`the lab has no node${i}`);
    return node;
  }

  /** The `j`th pod of the `i`th node, both from 1. */
  pod(i: number, j: number): Pod {
    const pod = this.node(i).pods[j - 1];
    if (!pod) throw new RangeError(`the lab has no pod${i}.${j}`);
    return pod;
  }

  /** All pods, node by node. */
  get pods(): Pod[] {
    return this.nodes.flatMap((node) => node.pods);
  }

  /** Writes the network config. */
  async putConfig(config: unknown): Promise<void> {
    await this.etcd.put(`${this.prefix}/config`, typeof config === "string" ? config : JSON.stringify(config));
  }

  /** Adds a machine without starting its twilld. */
  async addNode(options: NodeOptions = {}): Promise<Node> {
    const index = this.#addedNodes++;
    const name = `node${index + 1}`;
    const node = new Node(
      {
        host: await this.#underlay.addHost(name),
        directory: join(this.directory, name),
        etcdEndpoint: this.etcd.endpoint,
        etcdPrefix: this.prefix,
        addPod: (node) => this.#makePod(node),
        onProcess: () => this.#save(),
      },
      { ...options, args: [...(this.#options.args ?? []), ...(options.args ?? [])] },
    );
    this.nodes[index] = node;
    this.#save();
    return node;
  }

  /** A machine on the underlay without twilld: for a peer whose kernel is programmed by hand, or for another program. */
  addPlainNode(name = `plain${++this.#addedPlainNodes}`): Promise<UnderlayHost> {
    return this.#underlay.addHost(name);
  }

  /** Stops everything and removes it: processes, namespaces, the directory. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #populate(): Promise<void> {
    const { nodes = 0, pods = 0, config = { Network: DEFAULT_NETWORK, Backend: { Type: "vxlan" } } } = this.#options;
    await this.#step("etcd", 1, async (advance) => {
      await this.etcd.start();
      this.#save();
      if (config !== "none") await this.putConfig(config);
      advance();
    });
    if (nodes === 0) return;
    await this.#step("nodes ready", nodes, async (advance) => {
      for (let i = 0; i < nodes; i++) await this.addNode();
      // All are started before one may fail, so that none is started behind the back of a close.
      await Promise.all(this.nodes.map((node) => node.start()));
      await Promise.all(this.nodes.map((node) => node.ready().then(advance)));
    });
    if (pods === 0) return;
    await this.#step("pods attached", nodes * pods, async (advance) => {
      await Promise.all(
        this.nodes.map(async (node) => {
          for (let j = 0; j < pods; j++) {
            await node.addPod();
            advance();
          }
        }),
      );
    });
  }

  async #step(title: string, of: number, work: (advance: () => void) => Promise<void>): Promise<void> {
    let done = 0;
    const tell = (): void => this.#options.onProgress?.({ title, done, of });
    tell();
    await work(() => {
      done++;
      tell();
    });
  }

  async #makePod(node: Node): Promise<Pod> {
    const name = node.name.replace("node", "pod") + `.${node.pods.length + 1}`;
    const netns = await this.namespaces.add(name);
    return new Pod(name, node, netns, `${this.name}-${name}`);
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.nodes.map((node) => node.stop()));
    await this.etcd.stop();
    await killProcesses({ holder: this.namespaces.holder.id, processes: [], mount: this.namespaces.mount });
    await this.namespaces.holder.ended;
    removeDirectory(this.directory);
  }

  #save(): void {
    if (this.#closed) return;
    this.namespaces.writeHosts([
      { name: "etcd", address: UNDERLAY_ADDRESS },
      ...this.nodes,
      ...this.pods.map(({ name, address }) => ({ name, address })),
    ]);
    const running = [this.etcd.daemon, ...this.nodes.map((node) => node.twilld)].filter((daemon) => daemon?.running);
    writeState(this.directory, {
      ...emptyState(this.name, this.#options),
      holder: this.namespaces.holder.id,
      entry: this.namespaces.entry,
      mount: this.namespaces.mount,
      processes: running.flatMap((daemon) => (daemon ? [daemon.id] : [])),
      etcdEndpoint: this.etcd.endpoint,
      nodes: this.nodes.map(({ name, address, directory }) => ({ name, address, directory })),
      pods: this.pods.map(({ name, node, address }) => ({ name, node: node.name, address })),
    });
  }
}

// What `work` does after the abort fails by itself, since the namespaces it works in are gone by then.
async function unlessAborted(signal: AbortSignal | undefined, work: Promise<void>): Promise<void> {
  if (!signal) return work;
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(new Error("the start was given up"));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function emptyState(name: string, options: LabOptions): LabState {
  return {
    name,
    owner: processId(process.pid) ?? { pid: process.pid, start: 0 },
    holder: undefined,
    entry: undefined,
    mount: undefined,
    processes: [],
    etcdEndpoint: "",
    etcdPrefix: options.prefix ?? DEFAULT_PREFIX,
    nodes: [],
    pods: [],
  };
}
