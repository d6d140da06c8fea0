import { sleep, systemClock } from "../base/clock.ts";
import { type CommandOptions, type Output } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import type { Netns } from "./netns.ts";
import { isListening } from "./proc.ts";

const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
const START_MS = 60_000;

/** A key with its value, as text, and the id of the etcd lease that it hangs on in hexadecimal ("0" without one). */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly leaseId: string;
}

interface RangeResponse {
  readonly kvs?: readonly { readonly key: string; readonly value?: string; readonly lease?: number }[];
}

/** A real etcd with one member, on the underlay. Its data outlive stop and start. */
export class EtcdServer {
  readonly endpoint: string;
  readonly #netns: Netns;
  readonly #directory: string;
  #daemon: Daemon | undefined;

  /** `directory` takes its data and its log. */
  constructor(netns: Netns, address: string, directory: string) {
    this.#netns = netns;
    this.#directory = directory;
    this.endpoint = `http://${address}:${CLIENT_PORT}`;
  }

  get daemon(): Daemon | undefined {
    return this.#daemon;
  }

  get log(): string {
    return `${this.#directory}/etcd.log`;
  }

  /** Starts etcd and waits until it answers. Throws with the end of its log where it does not. */
  async start(): Promise<void> {
    const peer = `http://127.0.0.1:${PEER_PORT}`;
    const flags = {
      name: "lab",
      "data-dir": `${this.#directory}/etcd`,
      "listen-client-urls": this.endpoint,
      "advertise-client-urls": this.endpoint,
      "listen-peer-urls": peer,
      "initial-advertise-peer-urls": peer,
      "initial-cluster": `lab=${peer}`,
      logger: "zap",
      "log-level": "warn",
      // A cluster of one elects itself after this many milliseconds, instead of 1000.
      "election-timeout": "100",
      "heartbeat-interval": "20",
    };
    const argv = ["etcd", ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)];
    const daemon = await this.#netns.start(argv, { name: "etcd", log: this.log });
    this.#daemon = daemon;
    const deadline = systemClock.now() + START_MS;
    // An etcdctl that comes too early tries again only after a second.
    while (!isListening(daemon.pid, CLIENT_PORT) || (await this.capture(["endpoint", "health"])).status !== 0) {
      if (!daemon.running) throw new Error(`etcd ${daemon.describeEnding()}: ${daemon.tail(3).join("\n")}`);
      if (systemClock.now() > deadline) throw new Error(`etcd does not answer on ${this.endpoint}; see ${this.log}`);
      await sleep(systemClock, 10);
    }
  }

  /** Ends etcd, by SIGKILL as the loss of its machine would. */
  async kill(): Promise<void> {
    await this.#daemon?.kill();
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop();
  }

  /** The command line of an etcdctl that talks to this etcd. */
  commandLine(args: readonly string[]): string[] {
    return this.#netns.commandLine(["env", "ETCDCTL_API=3", "etcdctl", `--endpoints=${this.endpoint}`, ...args]);
  }

  /** Runs etcdctl; throws a CommandError unless its status is 0. */
  ctl(args: readonly string[], options?: CommandOptions): Promise<Output> {
    return this.#netns.run(["etcdctl", ...args], this.#withEndpoint(options));
  }

  /** Runs etcdctl, whatever its status. */
  capture(args: readonly string[], options?: CommandOptions): Promise<Output> {
    return this.#netns.capture(["etcdctl", ...args], this.#withEndpoint(options));
  }

  async put(key: string, value: string): Promise<void> {
    await this.ctl(["put", "--", key, value]);
  }

  /** Every key that begins with `prefix`, in etcd's order. `flags` are etcdctl's own. */
  async list(prefix: string, flags: readonly string[] = []): Promise<KeyValue[]> {
    const { stdout } = await this.ctl([...flags, "get", "--prefix", "-w", "json", "--", prefix]);
    // Lease ids have 63 bits, more than a JavaScript number holds: JSON.parse must see them as text.
    const quoted = stdout.replaceAll(/"lease":(\d+)/g, '"lease":"$1"');
    const { kvs = [] } = JSON.parse(quoted) as RangeResponse;
    return kvs.map((kv) => ({
      key: fromBase64(kv.key),
      value: fromBase64(kv.value ?? ""),
      leaseId: BigInt(kv.lease ?? 0).toString(16),
    }));
  }

  #withEndpoint(options: CommandOptions | undefined): CommandOptions {
    return { ...options, env: { ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: this.endpoint, ...options?.env } };
  }
}

function fromBase64(text: string): string {
  return Buffer.from(text, "base64").toString("utf8");
}
