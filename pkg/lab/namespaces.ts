import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sleep, systemClock } from "../base/clock.ts";
import { Daemon } from "./daemon.ts";
import { DIE_WITH_PARENT, type Entry, Netns, UnderlayNetns } from "./netns.ts";
import { mountNamespace } from "./proc.ts";

// What the holder does once it stands in its new namespaces. A /run of its own lets `ip netns` and the lock of iptables
// work without the machine's, which an ordinary user may not write and root should not find changed. /etc/hosts knows the
// lab's nodes and pods.
const HOLD = `
set -e
cd "$1"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns
mount --bind hosts /etc/hosts
ip link set lo up
: > holder.ready
exec sleep infinity
`;

const LOCALHOST = "127.0.0.1 localhost\n::1 localhost\n";

/**
 * The namespaces of one lab, kept by one sleeping process, the holder. Network namespaces have their names in the
 * holder's own mount namespace: the machine does not see them, and the kernel removes them all when the last process of
 * the lab has ended, however it ended. The holder's network namespace is the underlay. An ordinary user's holder is in a
 * user namespace too, in which that user is root (user_namespaces(7)).
 */
export class Namespaces {
  readonly holder: Daemon;
  readonly entry: Entry;
  /** The mount namespace that all processes of the lab share, as the kernel names it. */
  readonly mount: string;
  readonly underlay: Netns;

  readonly #hosts: string;

  private constructor(holder: Daemon, entry: Entry, mount: string, hosts: string) {
    this.#hosts = hosts;
    this.holder = holder;
    this.entry = entry;
    this.mount = mount;
    this.underlay = new UnderlayNetns(entry);
  }

  /**
   * Makes the namespaces; the directory takes the holder's log and the file that is /etc/hosts in the lab. Throws with the
   * kernel's words where it refuses them.
   */
  static async open(directory: string): Promise<Namespaces> {
    const userNamespace = process.geteuid?.() !== 0;
    const ready = join(directory, "holder.ready");
    const hosts = join(directory, "hosts");
    writeFileSync(hosts, LOCALHOST);
    const unshare = ["unshare", ...(userNamespace ? ["--user", "--map-root-user"] : []), "--mount", "--net", "--"];
    const holder = await Daemon.start([...unshare, ...DIE_WITH_PARENT, "sh", "-c", HOLD, "holder", directory], {
      name: "the holder of the namespaces",
      log: join(directory, "holder.log"),
    });
    while (!existsSync(ready)) {
      if (!holder.running) throw new Error(`cannot make namespaces: ${holder.tail(1).join("") || "unshare failed"}`);
      await sleep(systemClock, 5);
    }
    const mount = mountNamespace(holder.pid);
    if (mount === undefined) throw new Error(`cannot look into the namespaces of process ${holder.pid}`);
    return new Namespaces(holder, { holderPid: holder.pid, userNamespace }, mount, hosts);
  }

  /** What the lab's programs find in /etc/hosts. */
  writeHosts(entries: readonly { readonly name: string; readonly address: string }[]): void {
    // In place: the bind mount is of this file, not of one that takes its name.
    writeFileSync(this.#hosts, LOCALHOST + entries.map(({ name, address }) => `${address} ${name}\n`).join(""));
  }

  /** Adds a network namespace with its loopback up. */
  async add(name: string): Promise<Netns> {
    await this.underlay.run(["ip", "netns", "add", name]);
    const netns = new Netns(this.entry, name);
    await netns.run(["ip", "link", "set", "lo", "up"]);
    return netns;
  }

  /** Removes a network namespace; what runs in it keeps it until it ends. */
  async remove(name: string): Promise<void> {
    await this.underlay.run(["ip", "netns", "del", name]);
  }
}
