// What several files need and takes minutes to make: the packages, and trees of Debian. Whoever asks first makes it, and
// the others wait. It lies in a directory of the run's own, which the run's set-up makes and removes.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import type { TestProject } from "vitest/node";
import { errorCode } from "../../pkg/base/errors.ts";
import { capture, type Output, requireSuccess } from "../../pkg/lab/command.ts";
import { DIE_WITH_PARENT } from "../../pkg/lab/netns.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { until } from "../until.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The run's own directory. */
    shared: string;
  }
}

/** Vitest's global set-up. */
export default function setUp(project: TestProject): () => void {
  const directory = mkdtempSync(join(tmpdir(), "twill-deploy-"));
  project.provide("shared", directory);
  return () => rmSync(directory, { recursive: true, force: true });
}

// What the tests of the machines need in all, since they reach no package source: a usual Debian, what twill needs, and
// what docs/install.md installs.
const MACHINE_PACKAGES =
  "systemd systemd-sysv dbus procps iputils-ping openssh-server openssh-client " +
  "iproute2 nftables iptables libstdc++6 containernetworking-plugins etcd-server etcd-client openssl";

// As Debian's installer runs maintainer scripts: nobody is asked.
export const APT_ENV: Readonly<Record<string, string>> = {
  PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  DEBIAN_FRONTEND: "noninteractive",
  LC_ALL: "C.UTF-8",
};

// What a directory tree needs to be a machine: its kernel file systems, for as long as the command runs.
const ENTER = `
set -e
tree=$1; shift
mount --make-rprivate /
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount -t tmpfs tmpfs "$tree/run"
[ ! -d "$tree.run" ] || mount --bind "$tree.run" "$tree/run"
exec chroot "$tree" "$@"
`;

// What takes minutes dies with us, all its processes too.
const MORTAL = [...DIE_WITH_PARENT, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

// Programs that others run at the same time must not change under them: the build's place is memory of its own.
const BUILD = `
set -e
top=$1; shift
mount --make-rprivate /
mount -t tmpfs tmpfs "$top/dist"
exec sh "$top/deploy/package/package.sh" "$@"
`;

/** The command that runs another one in a tree. Where there is a directory `<tree>.run`, it is the tree's /run. */
export function enterTree(tree: string, argv: readonly string[]): string[] {
  return ["unshare", "--mount", "--", "sh", "-c", ENTER, "enter", tree, ...argv];
}

/** Runs deploy/package/package.sh with these arguments. The time is a fixed one, since somebody may commit between two builds. */
export function buildPackages(...args: readonly string[]): Promise<Output> {
  const argv = [...MORTAL, "sh", "-c", BUILD, "build", TOP, ...args];
  return run(argv, { SOURCE_DATE_EPOCH: "1700000000" });
}

/** The directory with everything that `npm run package` makes. */
export function packages(): Promise<string> {
  return shared("packages", (path) => buildPackages("--out", path));
}

/** A tree of a clean Debian 12 without Node, which knows what its package source has. It is to be copied, not written to. */
export function debianTree(): Promise<string> {
  return shared("debian", async (path) => {
    await run([...MORTAL, "mmdebstrap", "--quiet", "--variant=minbase", "--skip=cleanup/apt/lists", "bookworm", path]);
    // Nobody needs a tree of ours after a power cut: dpkg need not wait for the disk after each of thousands of files.
    writeFileSync(join(path, "etc/dpkg/dpkg.cfg.d/unsafe-io"), "force-unsafe-io\n");
  });
}

/** A tree of a Debian with systemd and everything that our tests of machines install. It is to be copied, too. */
export function machineTree(): Promise<string> {
  return shared("machine", async (path) => {
    await copyTree(await debianTree(), path);
    // invoke-rc.d asks it whether a service may start.
    const policy = join(path, "usr/sbin/policy-rc.d");
    writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
    const install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", ...MACHINE_PACKAGES.split(" ")];
    await run(enterTree(path, install), APT_ENV);
    rmSync(policy);
    // Whoever wants them starts them.
    await run(["chroot", path, "systemctl", "disable", "etcd", "ssh"], APT_ENV);
  });
}

/** Copies a tree to where nothing is yet. */
export async function copyTree(from: string, to: string): Promise<void> {
  await run(["cp", "-a", "--reflink=auto", from, to]);
}

async function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Output> {
  return requireSuccess(argv, await capture(argv, { env }));
}

/** Makes `<shared>/<name>` once. Files run in processes of their own, so it is a directory that tells who was first. */
async function shared(name: string, make: (path: string) => Promise<unknown>): Promise<string> {
  const path = join(inject("shared"), name);
  const outcome = `${path}.outcome`;
  if (isFirst(`${path}.lock`)) {
    const failure = await make(path).then(
      () => "",
      (error: unknown) => String(error),
    );
    writeFileSync(`${outcome}.new`, failure);
    renameSync(`${outcome}.new`, outcome);
  }
  await until(() => existsSync(outcome));
  const failure = readFileSync(outcome, "utf8");
  if (failure !== "") throw new Error(`cannot make ${name}: ${failure}`);
  return path;
}

function isFirst(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}
