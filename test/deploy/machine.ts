import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { capture, type CommandOptions, type Output, requireSuccess } from "../../pkg/lab/command.ts";
import { Daemon } from "../../pkg/lab/daemon.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { DIE_WITH_PARENT } from "../../pkg/lab/netns.ts";
import { pluginDirectory, TWILLCTL } from "../../pkg/lab/programs.ts";
import { until } from "../until.ts";

// The process with which a machine begins. What runtimes write lies in memory, above the real /etc, /opt and /var; where
// they keep images the memory lies bare, since overlayfs takes no other overlay to write to. podman's locks are in
// /dev/shm. twilld's files appear where twill-cni looks for them. The shell stays as the init process, and buries whom
// the runtimes leave.
const BOOT = `
set -e
node=$1 run=$2 plugins=$3
mount --make-rprivate /
memory=$node/memory
mkdir -p "$memory" "$run"
mount -t tmpfs tmpfs "$memory"
for top in etc opt var; do
  mkdir "$memory/$top" "$memory/$top.work"
  mount -t overlay overlay -o "lowerdir=/$top,upperdir=$memory/$top,workdir=$memory/$top.work" "/$top"
done
for store in containers containerd; do
  mkdir -p "$memory/$store" "/var/lib/$store"
  mount --bind "$memory/$store" "/var/lib/$store"
done
rm -rf /etc/cni /opt/cni /var/lib/cni
mkdir -p /opt/cni/bin
ln -s "$plugins"/* /opt/cni/bin/
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns /run/lock /run/flannel /run/twill
mount --bind "$node" /run/flannel
mount --bind "$run" /run/twill
: > "$node/machine.ready"
while :; do sleep 1000000 & wait; done
`;

/**
 * A node of the lab as container runtimes see a machine: processes, /etc, /opt, /var and /run of its own, so that they
 * run with their usual paths and the real machine's stay as they are. When it is closed the kernel ends all its
 * processes, containers too.
 */
export class Machine {
  readonly node: Node;
  readonly #holder: Daemon;
  /** Its first process, as we see it. */
  readonly #init: number;

  private constructor(node: Node, holder: Daemon, init: number) {
    this.node = node;
    this.#holder = holder;
    this.#init = init;
  }

  /** Boots it, and makes the network known to its runtimes with `twillctl install-cni`. */
  static async boot(node: Node): Promise<Machine> {
    const log = join(node.directory, "machine.log");
    const unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];
    const boot = ["sh", "-c", BOOT, "init", node.directory, node.runDir, pluginDirectory() ?? ""];
    const holder = await node.netns.start([...unshare, ...boot], { name: `the machine of ${node.name}`, log });
    await until(() => {
      if (!holder.running) throw new Error(`${holder.name} ${holder.describeEnding()}: ${holder.tail(3).join("; ")}`);
      return existsSync(join(node.directory, "machine.ready"));
    });
    const init = Number(execFileSync("pgrep", ["-P", String(holder.pid)], { encoding: "utf8" }));
    const machine = new Machine(node, holder, init);
    await machine.run([TWILLCTL, "install-cni"]);
    return machine;
  }

  /** A path on the machine, as we see it. */
  path(path: string): string {
    return join(`/proc/${this.#init}/root`, path);
  }

  read(path: string): string {
    return readFileSync(this.path(path), "utf8");
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), text);
  }

  /** Every file below a directory, by its path in there. */
  files(directory: string): string[] {
    const top = this.path(directory);
    if (!existsSync(top)) return [];
    const entries = readdirSync(top, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(top.length + 1))
      .toSorted();
  }

  /** Runs a command to its end; throws a CommandError unless its status is 0. Returns what it printed. */
  async run(argv: readonly string[], options?: CommandOptions): Promise<string> {
    return requireSuccess(argv, await this.capture(argv, options)).stdout;
  }

  /** Runs a command to its end, whatever its status. */
  capture(argv: readonly string[], options?: CommandOptions): Promise<Output> {
    return capture([...this.#enter(), ...argv], options);
  }

  /** Starts a process that runs until it ends by itself or the machine is closed. */
  start(argv: readonly string[], name: string): Promise<Daemon> {
    const log = join(this.node.directory, `${name}.log`);
    return Daemon.start([...this.#enter(), ...DIE_WITH_PARENT, ...argv], { name: `${name} on ${this.node.name}`, log });
  }

  async close(): Promise<void> {
    // Not the holder, which ends once the init process is gone, and that is not before all others are.
    if (this.#holder.running) process.kill(this.#init, "SIGKILL");
    await this.#holder.ended;
  }

  // A file in place of the machine's own root would be that of another mount namespace.
  #enter(): string[] {
    return ["nsenter", "--target", String(this.#init), "--mount", "--pid", "--net", "--root", "--wd", "--"];
  }
}
