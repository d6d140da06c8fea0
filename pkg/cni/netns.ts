import { readFileSync, statfsSync } from "node:fs";
import { describeError } from "../base/errors.ts";
import type { Environment } from "./call.ts";
import { CODE, CniError } from "./error.ts";
import { runProgram } from "./run-program.ts";

/** The descriptor from which a launcher lets us read what nsenter wrote: `nsenter --net=NETNS cat /proc/self/net/dev`. */
const DESCRIPTOR = "TWILL_CNI_LINKS";

// The file's first line, net/core/net-procfs.c; whatever else nsenter wrote says why it could not.
const HEADER = "Inter-|";

/**
 * Whether a network namespace has an interface of that name. A process of Node cannot enter a namespace, so nsenter(1)
 * reads /proc/self/net/dev there: the launcher's, which began before Node, or one found through `env`. Throws a CniError
 * with code 4 when `netns` names no network namespace, or when there is no nsenter.
 */
export function interfaceExists(netns: string, ifname: string, env: Environment): boolean {
  const text = readDescriptor(env) ?? runNsenter(netns, env);
  if (!text.startsWith(HEADER)) {
    const reason = text.trim().replace(/^nsenter: /, "");
    throw new CniError(CODE.badEnvironment, `CNI_NETNS is "${netns}", which cannot be entered: ${reason}`);
  }
  return text.split("\n").some((line) => line.split(":")[0]?.trim() === ifname);
}

// include/uapi/linux/magic.h. Namespaces were files of proc before Linux 3.19; the standard plugins take either
// (ns.IsNSorErr).
const NSFS_MAGIC = 0x6e736673;
const PROC_SUPER_MAGIC = 0x9fa0;

/** Whether there is a namespace under this path, and not only the file on which one was mounted. */
export function isNamespace(path: string): boolean {
  try {
    const { type } = statfsSync(path);
    return type === NSFS_MAGIC || type === PROC_SUPER_MAGIC;
  } catch {
    return false; // nothing is there
  }
}

function readDescriptor(env: Environment): string | undefined {
  const descriptor = env[DESCRIPTOR];
  return descriptor === undefined ? undefined : readFileSync(Number(descriptor), "utf8");
}

function runNsenter(netns: string, env: Environment): string {
  try {
    const { stdout, stderr } = runProgram("nsenter", [`--net=${netns}`, "cat", "/proc/self/net/dev"], env, "");
    return stdout + stderr;
  } catch (error) {
    return `${describeError(error)}; install util-linux`;
  }
}
