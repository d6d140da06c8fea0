import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, type CommandOptions, type Output, requireSuccess } from "../../pkg/lab/command.ts";
import { Daemon } from "../../pkg/lab/daemon.ts";
import { DIE_WITH_PARENT } from "../../pkg/lab/netns.ts";
import type { UnderlayHost } from "../../pkg/lab/underlay.ts";
import { until } from "../until.ts";

const CGROUPS = ["systemd", "unified"].map((hierarchy) => join("/sys/fs/cgroup", hierarchy));

// systemd-nspawn wants a /run/systemd of its own where PID 1 is not systemd, and each machine a cgroup of its own. The
// tree is a lower layer, so that every boot finds it clean, but for what a disk keeps of twill.
const BOOT = `
set -e
directory=$1 tree=$2 name=$3 cgroups=$4; shift 4
for cgroup in $cgroups; do echo $$ >"$cgroup/cgroup.procs"; done
mount --make-rprivate /
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
mkdir /run/systemd/nspawn
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
exec systemd-nspawn --quiet --directory="$tree" --boot --machine="$name" --hostname="$name" --volatile=overlay \\
  --register=no --keep-unit --link-journal=no --console=pipe --capability=CAP_NET_ADMIN,CAP_NET_RAW \\
  --bind=/dev/net/tun "$@"
`;

/** A Debian with systemd as its first process, on the underlay of a lab. */
export class SystemdMachine {
  readonly host: UnderlayHost;
  readonly directory: string;
  readonly #tree: string;
  readonly #cgroups: readonly string[];
  #nspawn: Daemon | undefined;
  #init = 0;
  readonly #binds: readonly string[] = [];

  /** With `environment` /etc/default/twilld says that, and /var/lib/twill outlives a reboot; without, all is the tree's. */
  constructor(host: UnderlayHost, options: { directory: string; tree: string; environment?: string }) {
    this.host = host;
    this.directory = options.directory;
    this.#tree = options.tree;
    this.#cgroups = CGROUPS.map((top) => join(top, `twill-${process.pid}-${host.name}`));
    if (options.environment !== undefined) {
      const [state, defaults] = [join(this.directory, "state"), join(this.directory, "default")];
      mkdirSync(state, { recursive: true });
      writeFileSync(defaults, options.environment);
      this.#binds = [`--bind=${state}:/var/lib/twill`, `--bind-ro=${defaults}:/etc/default/twilld`];
    }
    for (const cgroup of this.#cgroups) mkdirSync(cgroup, { recursive: true });
  }

  /** Switches it on. Resolves when systemd answers; its units may still be starting. */
  async boot(): Promise<void> {
    const { directory, host } = this;
    const log = join(directory, "console.log");
    const boot = ["sh", "-c", BOOT, "boot", directory, this.#tree, host.name, this.#cgroups.join(" "), ...this.#binds];
    const nspawn = await host.netns.start([...UNSHARE, ...boot], { name: host.name, log });
    this.#nspawn = nspawn;
    await until(() => {
      if (!nspawn.running) throw new Error(`${host.name} ${nspawn.describeEnding()}: ${nspawn.tail(5).join("; ")}`);
      this.#init = descendants(nspawn.pid).find(isInit) ?? 0;
      return this.#init !== 0;
    });
    await until(async () => /running|degraded|starting/.test((await this.capture(RUNNING)).stdout));
  }

  /** Starts it again as its user would. */
  async reboot(): Promise<void> {
    // The call goes down with the machine, and has no status then.
    await this.capture(["systemctl", "reboot"]);
    await this.#nspawn?.ended;
    await this.boot();
  }

  async close(): Promise<void> {
    if (this.#nspawn?.running) process.kill(this.#init, "SIGKILL");
    await this.#nspawn?.ended;
    for (const cgroup of this.#cgroups) removeCgroup(cgroup);
  }

  /** Runs a command to its end; throws a CommandError unless its status is 0. Returns what it printed. */
  async run(argv: readonly string[], options?: CommandOptions): Promise<string> {
    return requireSuccess(argv, await this.capture(argv, options)).stdout.trim();
  }

  capture(argv: readonly string[], options?: CommandOptions): Promise<Output> {
    return capture([...this.#enter(), ...argv], { ...options, env: { PATH: PATH_INSIDE, ...options?.env } });
  }

  start(argv: readonly string[], name: string): Promise<Daemon> {
    const log = join(this.directory, `${name}.log`);
    return Daemon.start([...this.#enter(), ...DIE_WITH_PARENT, ...argv], { name: `${name} on ${this.host.name}`, log });
  }

  /** A property of twilld's unit, as `systemctl show` gives it. */
  property(name: string): Promise<string> {
    return this.run(["systemctl", "show", "--property", name, "--value", "twilld"]);
  }

  #enter(): string[] {
    return ["nsenter", "--target", String(this.#init), "--all", "--"];
  }
}

// The machine dies with us, even where we are killed: so does everything in a process namespace with its first process.
const UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];
const RUNNING = ["systemctl", "is-system-running"];
const PATH_INSIDE = "/usr/sbin:/usr/bin:/sbin:/bin";

// What a process does not live to show is nothing to look at.
function lineOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** All below a process: /proc/PID/task/TID/children, proc(5). */
function descendants(pid: number): number[] {
  const children = lineOf(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function isInit(pid: number): boolean {
  return lineOf(`/proc/${pid}/comm`) === "systemd" && /^NSpid:.*\t1$/m.test(lineOf(`/proc/${pid}/status`));
}

// systemd has made some below it, which are empty by now; rmdir takes a cgroup with all its files.
function removeCgroup(cgroup: string): void {
  for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(cgroup, entry.name));
  }
  rmdirSync(cgroup);
}
