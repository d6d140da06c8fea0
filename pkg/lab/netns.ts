import { capture, type CommandOptions, type Output, requireSuccess } from "./command.ts";
import { Daemon, type DaemonOptions } from "./daemon.ts";

/** How to get into the namespaces of a lab: through the process that holds them. */
export interface Entry {
  readonly holderPid: number;
  /** Whether the lab lives in a user namespace, because an ordinary user started it. */
  readonly userNamespace: boolean;
}

// PR_SET_PDEATHSIG, prctl(2): the kernel kills the process when the thread that started it ends. It has to be set behind
// nsenter, since taking on a user namespace's capabilities clears it.
export const DIE_WITH_PARENT: readonly string[] = ["setpriv", "--pdeathsig", "KILL", "--"];

/** A network namespace of a lab, in which commands run. */
export class Netns {
  /** Its name in the lab: "node2", "pod2.1". */
  readonly name: string;
  /** Its path as programs inside the lab see it, for CNI_NETNS. */
  readonly path: string;
  readonly #entry: Entry;

  constructor(entry: Entry, name: string) {
    this.#entry = entry;
    this.name = name;
    this.path = `/run/netns/${name}`;
  }

  /** The command line that runs a command in here. It enters with exec alone, so that the pid is the command's own. */
  commandLine(argv: readonly string[]): string[] {
    return [...enter(this.#entry, `/proc/${this.#entry.holderPid}/root${this.path}`), ...argv];
  }

  /** Runs a command to its end; throws a CommandError unless its status is 0. */
  async run(argv: readonly string[], options?: CommandOptions): Promise<Output> {
    return requireSuccess(argv, await this.capture(argv, options));
  }

  /** Runs a command to its end, whatever its status. */
  capture(argv: readonly string[], options?: CommandOptions): Promise<Output> {
    return capture(this.commandLine(argv), options);
  }

  /** Starts a process that runs until it is stopped. */
  start(argv: readonly string[], options: DaemonOptions): Promise<Daemon> {
    return Daemon.start(this.commandLine([...DIE_WITH_PARENT, ...argv]), options);
  }
}

/** The namespace of the underlay: the bridge between the nodes, and etcd. */
export class UnderlayNetns extends Netns {
  readonly #entry: Entry;

  constructor(entry: Entry) {
    super(entry, "underlay");
    this.#entry = entry;
  }

  override commandLine(argv: readonly string[]): string[] {
    return [...enter(this.#entry, `/proc/${this.#entry.holderPid}/ns/net`), ...argv];
  }
}

function enter(entry: Entry, netns: string): string[] {
  const proc = `/proc/${entry.holderPid}/ns`;
  const user = entry.userNamespace ? [`--user=${proc}/user`, "--preserve-credentials"] : [];
  // A mount namespace is entered at its own root, which is not ours where we were started in a chroot.
  const root = `/proc/${entry.holderPid}/root`;
  return ["nsenter", ...user, `--mount=${proc}/mnt`, `--net=${netns}`, `--root=${root}`, `--wd=${root}`, "--"];
}
