import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sleep, systemClock } from "../base/clock.ts";
import type { CommandOptions, Output } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import type { Netns } from "./netns.ts";
import { type Pod, type PodHost } from "./pod.ts";
import { isListening } from "./proc.ts";
import { TWILLCTL, TWILLD } from "./programs.ts";
import type { UnderlayHost } from "./underlay.ts";

export const HEALTHZ_PORT = 8471;
const READY_MS = 30_000;
const POLL_MS = 25;
const HTTP_TIMEOUT_MS = 5000;

// Run inside the node's network namespace, since our own process stands outside; by bash, since this is asked at every
// start of a node and a Node takes a tenth of a second to start.
const GET = String.raw`exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3 && cat <&3`;

export interface NodeOptions {
  /** Passed to every twilld of this node, behind the lab's own flags: the last of two values counts. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What is started in place of bin/twilld, with the same flags behind it: a Node with flags of its own, say. */
  readonly program?: readonly string[];
}

/** What the node needs of its lab. */
export interface NodeDeps {
  readonly host: UnderlayHost;
  /** Takes its state, its run files, its log and what its CNI plugin keeps. */
  readonly directory: string;
  readonly etcdEndpoint: string;
  readonly etcdPrefix: string;
  /** Makes the pod's network namespace and gives it its number on this node. */
  readonly addPod: (node: Node) => Promise<Pod>;
  /** Called when a process of this node was started or has ended. */
  readonly onProcess: () => void;
}

/** A machine of the lab with its twilld. */
export class Node implements UnderlayHost, PodHost {
  readonly name: string;
  readonly netns: Netns;
  readonly address: string;
  readonly address6: string;
  readonly directory: string;
  readonly runDir: string;
  readonly stateDir: string;
  readonly subnetFile: string;
  readonly socket: string;
  readonly log: string;
  readonly pods: Pod[] = [];
  readonly #deps: NodeDeps;
  readonly #options: NodeOptions;
  #twilld: Daemon | undefined;

  constructor(deps: NodeDeps, options: NodeOptions = {}) {
    const { host, directory } = deps;
    this.name = host.name;
    this.netns = host.netns;
    this.address = host.address;
    this.address6 = host.address6;
    this.directory = directory;
    this.runDir = join(directory, "run");
    this.stateDir = join(directory, "state");
    this.subnetFile = join(directory, "subnet.env");
    this.socket = join(this.runDir, "twilld.sock");
    this.log = join(directory, "twilld.log");
    this.#deps = deps;
    this.#options = options;
    mkdirSync(directory, { recursive: true });
  }

  /** The twilld that was started last; undefined before the first. */
  get twilld(): Daemon | undefined {
    return this.#twilld;
  }

  /** The command line of its twilld. */
  commandLine(args: readonly string[] = []): string[] {
    return [
      ...(this.#options.program ?? [TWILLD]),
      `--etcd-endpoints=${this.#deps.etcdEndpoint}`,
      `--etcd-prefix=${this.#deps.etcdPrefix}`,
      "--iface=eth0",
      `--node-name=${this.name}`,
      "--ip-masq",
      `--subnet-file=${this.subnetFile}`,
      `--state-dir=${this.stateDir}`,
      `--run-dir=${this.runDir}`,
      "--healthz-ip=127.0.0.1",
      `--healthz-port=${HEALTHZ_PORT}`,
      ...(this.#options.args ?? []),
      ...args,
    ];
  }

  /** Starts twilld. It is on its way then; `ready` waits until pods may be attached. */
  async start(args: readonly string[] = []): Promise<Daemon> {
    if (this.#twilld?.running) throw new Error(`twilld on ${this.name} is running already`);
    this.#twilld = await this.netns.start(this.commandLine(args), {
      name: `twilld on ${this.name}`,
      log: this.log,
      env: this.#options.env ?? {},
    });
    this.#deps.onProcess();
    return this.#twilld;
  }

  /** Waits until subnet.env is there and /readyz says 200. Throws with the end of the log where that does not come. */
  async ready(patience = READY_MS): Promise<void> {
    const deadline = systemClock.now() + patience;
    for (;;) {
      if (!this.#twilld?.running) throw new Error(this.#complaint(this.#twilld?.describeEnding() ?? "was not started"));
      if (existsSync(this.subnetFile) && (await this.#saysReady(this.#twilld.pid))) return;
      if (systemClock.now() > deadline) {
        throw new Error(this.#complaint(`is not ready after ${Math.round(patience / 1000)} s`));
      }
      await sleep(systemClock, POLL_MS);
    }
  }

  /** SIGTERM: lease and kernel state stay. */
  async stop(): Promise<void> {
    await this.#twilld?.stop();
    this.#deps.onProcess();
  }

  /** SIGKILL: a crash. */
  async kill(): Promise<void> {
    await this.#twilld?.kill();
    this.#deps.onProcess();
  }

  /** Stops twilld, starts it again with these flags added and waits until it is ready. */
  async restart(args: readonly string[] = []): Promise<void> {
    await this.stop();
    await this.start(args);
    await this.ready();
  }

  /** Attaches a pod. */
  async addPod(): Promise<Pod> {
    const pod = await this.#deps.addPod(this);
    await pod.attach();
    this.pods.push(pod);
    this.#deps.onProcess();
    return pod;
  }

  /** The variables of its subnet.env: FLANNEL_SUBNET and the others. */
  subnetEnv(): Record<string, string> {
    const lines = readFileSync(this.subnetFile, "utf8").trimEnd().split("\n");
    return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
  }

  /** Everything its twillds have written. */
  logText(): string {
    return existsSync(this.log) ? readFileSync(this.log, "utf8") : "";
  }

  /** Runs a command on the node; throws a CommandError unless its status is 0. */
  run(argv: readonly string[], options?: CommandOptions): Promise<Output> {
    return this.netns.run(argv, options);
  }

  /** Runs twillctl against its twilld; throws a CommandError unless its status is 0. */
  ctl(args: readonly string[], options?: CommandOptions): Promise<Output> {
    return this.netns.run([TWILLCTL, `--socket=${this.socket}`, ...args], options);
  }

  /** GET from its health server. Throws where nothing answers. */
  async http(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const argv = ["bash", "-c", GET, "bash", String(HEALTHZ_PORT), path];
    const { stdout } = await this.netns.run(argv, { timeout: HTTP_TIMEOUT_MS });
    const [, status = "", body = ""] = /^HTTP\/1\.1 (\d+)(?:.*\r\n)+?\r\n([^]*)$/.exec(stdout) ?? [];
    if (status === "") throw new Error(`${this.name} does not answer ${path} in HTTP: ${stdout}`);
    return { status: Number(status), body };
  }

  async #saysReady(pid: number): Promise<boolean> {
    // Asking costs a process: not before somebody answers.
    if (!isListening(pid, HEALTHZ_PORT)) return false;
    const answer = await this.http("/readyz").catch(() => undefined);
    return answer?.status === 200;
  }

  #complaint(what: string): string {
    const tail = this.#twilld?.tail() ?? [];
    return [`twilld on ${this.name} ${what}; the end of its log:`, ...tail.map((line) => `  ${line}`)].join("\n");
  }
}
