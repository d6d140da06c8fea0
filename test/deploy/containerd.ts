import type { Daemon } from "../../pkg/lab/daemon.ts";
import { until } from "../until.ts";
import { IMAGE, PAUSE_IMAGE } from "./image.ts";
import type { Machine } from "./machine.ts";

// Pods must not want more than a machine without CAP_SYS_RESOURCE can give.
const CONFIG = `
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "${PAUSE_IMAGE}"
`;

export const SOCKET = "/run/containerd/containerd.sock";

/** containerd on a machine, at its usual paths. */
export class Containerd {
  readonly machine: Machine;
  #daemon: Daemon;

  private constructor(machine: Machine, daemon: Daemon) {
    this.machine = machine;
    this.#daemon = daemon;
  }

  /** Starts it and loads the image for both of its clients: ctr, and the kubelet. */
  static async start(machine: Machine, image: string): Promise<Containerd> {
    machine.write("/etc/containerd/config.toml", CONFIG);
    const containerd = new Containerd(machine, await launch(machine));
    await containerd.#ready();
    for (const namespace of ["default", "k8s.io"]) await containerd.ctr("-n", namespace, "images", "import", image);
    return containerd;
  }

  /** Runs ctr to its end; throws a CommandError unless its status is 0. */
  ctr(...args: readonly string[]): Promise<string> {
    return this.machine.run(["ctr", ...args]);
  }

  /** Runs a command in a container to its end and returns what it printed. */
  exec(container: string, command: readonly string[], namespace = "default"): Promise<string> {
    const id = `exec-${process.pid}-${Containerd.#execs++}`;
    return this.ctr("-n", namespace, "tasks", "exec", "--exec-id", id, container, ...command);
  }

  /** Starts a container that sleeps, as ctr does it in the foreground: it gives the network back at the end. */
  async run(name: string): Promise<Daemon> {
    const ctr = await this.machine.start(["ctr", "run", "--rm", "--cni", IMAGE, name, "sleep", "infinity"], name);
    await until(async () => {
      if (!ctr.running) throw new Error(`${ctr.name} ${ctr.describeEnding()}: ${ctr.tail(3).join("; ")}`);
      // ctr attaches it before it starts it.
      return new RegExp(`^${name} .*RUNNING`, "m").test((await this.machine.capture(["ctr", "tasks", "ls"])).stdout);
    });
    return ctr;
  }

  /** Ends a container that no ctr waits for any more, as an operator would: it is not detached. */
  async remove(name: string): Promise<void> {
    await this.machine.capture(["ctr", "tasks", "kill", "-s", "SIGKILL", name]);
    await until(async () => !(await this.ctr("tasks", "ls", "-q")).split("\n").includes(name) || this.#bury(name));
    await this.ctr("containers", "rm", name);
  }

  /** Removes the containers that a test which failed has left. */
  async removeAll(): Promise<void> {
    for (const name of (await this.ctr("containers", "ls", "-q")).split("\n")) if (name !== "") await this.remove(name);
  }

  /** SIGKILL, and a new one once the old one is gone. Containers go on. */
  async crash(): Promise<void> {
    await this.#daemon.kill();
    this.#daemon = await launch(this.machine);
    await this.#ready();
  }

  static #execs = 0;

  async #bury(name: string): Promise<boolean> {
    return (await this.machine.capture(["ctr", "tasks", "rm", "-f", name])).status === 0;
  }

  async #ready(): Promise<void> {
    await until(async () => {
      if (!this.#daemon.running) throw new Error(this.#daemon.tail(3).join("; "));
      return (await this.machine.capture(["ctr", "version"])).status === 0;
    });
  }
}

function launch(machine: Machine): Promise<Daemon> {
  return machine.start(["containerd"], "containerd");
}

/** The address of a container: that of eth0 in what `ip` prints. */
export function addressIn(text: string): string {
  const address = /eth0.*inet ([\d.]+)\//.exec(text)?.[1];
  if (address === undefined) throw new Error(`there is no address of eth0 in ${text}`);
  return address;
}

export const SHOW_ADDRESS: readonly string[] = ["ip", "-4", "-o", "addr", "show", "eth0"];
