import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { capture } from "./command.ts";
import { labEnvironment } from "./environment.ts";
import { pluginDirectory } from "./programs.ts";

const TUN = "/dev/net/tun";

// Which Debian package each program comes from. util-linux is essential there, so nothing installs it.
const PACKAGES: readonly (readonly [program: string, packageName: string])[] = [
  ["etcd", "etcd-server"],
  ["etcdctl", "etcd-client"],
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["iptables", "iptables"],
  ["iperf3", "iperf3"],
  ["ping", "iputils-ping"],
  ["unshare", "util-linux"],
  ["nsenter", "util-linux"],
  ["setpriv", "util-linux"],
];

/**
 * What keeps this user from running a lab on this machine: a sentence each, with the command that makes it possible.
 * `tun` says whether nodes will need /dev/net/tun.
 */
export async function obstacles(options: { readonly tun: boolean }): Promise<string[]> {
  const missing = missingPackages();
  if (missing.length > 0) return [`programs are missing: sudo apt-get install ${missing.join(" ")}`];
  const found = [...(options.tun ? tunObstacle() : []), ...(await namespaceObstacle())];
  return found;
}

function missingPackages(): string[] {
  const path = (labEnvironment()["PATH"] ?? "").split(delimiter);
  const wanted = PACKAGES.filter(([program]) => !path.some((directory) => isExecutable(join(directory, program))));
  const names = wanted.map(([, name]) => name);
  if (pluginDirectory() === undefined) names.push("containernetworking-plugins");
  return [...new Set(names)];
}

function tunObstacle(): string[] {
  if (!existsSync(TUN)) {
    return [`${TUN} is missing: sudo mkdir -p /dev/net && sudo mknod -m 666 ${TUN} c 10 200 (and sudo modprobe tun)`];
  }
  if (isAccessible(TUN, constants.R_OK | constants.W_OK)) return [];
  return [`${TUN} may not be opened by this user: sudo chmod 666 ${TUN}, or sudo npm run lab`];
}

function isExecutable(file: string): boolean {
  return isAccessible(file, constants.X_OK);
}

function isAccessible(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}

async function namespaceObstacle(): Promise<string[]> {
  const root = process.geteuid?.() === 0;
  const flags = root ? ["--mount", "--net"] : ["--user", "--map-root-user", "--mount", "--net"];
  const { status, stderr } = await capture(["unshare", ...flags, "mount", "-t", "tmpfs", "tmpfs", "/run"]);
  if (status === 0) return [];
  const said = stderr.trim().split("\n").at(-1) ?? "";
  if (root) {
    return [
      `root may not make namespaces here (${said}): in a container, start it with --cap-add SYS_ADMIN --cap-add NET_ADMIN`,
    ];
  }
  const command = userNamespaceCommand();
  return [
    `this user may not make user namespaces (${said}): ${command === undefined ? "" : `${command}, or `}sudo npm run lab`,
  ];
}

// The three switches by which distributions forbid unprivileged user namespaces.
function userNamespaceCommand(): string | undefined {
  if (sysctl("kernel/unprivileged_userns_clone") === "0") return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
  if (sysctl("kernel/apparmor_restrict_unprivileged_userns") === "1") {
    return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  }
  if (sysctl("user/max_user_namespaces") === "0") return "sudo sysctl -w user.max_user_namespaces=10000";
  return undefined;
}

function sysctl(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, "utf8").trim();
  } catch {
    return undefined;
  }
}
