import { spawnSync } from "node:child_process";
import { CODE, CniError } from "./error.ts";

/**
 * Whether a network namespace has an interface of that name. A process of Node cannot enter a namespace, so nsenter(1)
 * reads /proc/self/net/dev there. Throws a CniError with code 4 when `netns` names no network namespace, 5 when nsenter
 * cannot be run.
 */
export function interfaceExists(netns: string, ifname: string): boolean {
  const args = [`--net=${netns}`, "cat", "/proc/self/net/dev"];
  const { status, stdout, stderr, error } = spawnSync("nsenter", args, { encoding: "utf8" });
  if (error)
    throw new CniError(CODE.io, "cannot run nsenter, which looks into namespaces; install util-linux", {
      cause: error,
    });
  if (status !== 0) {
    const reason = stderr.trim().replace(/^nsenter: /, "");
    throw new CniError(CODE.badEnvironment, `CNI_NETNS is "${netns}", which cannot be entered: ${reason}`);
  }
  return stdout.split("\n").some((line) => line.split(":")[0]?.trim() === ifname);
}
