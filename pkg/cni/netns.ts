import { execFile } from "node:child_process";
import { CODE, CniError } from "./error.ts";

/**
 * Whether a network namespace has an interface of that name. A process of Node cannot enter a namespace, so nsenter(1)
 * reads /proc/net/dev there. Throws a CniError with code 4 when `netns` names no network namespace, 5 when nsenter is
 * not installed.
 */
export function interfaceExists(netns: string, ifname: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    execFile("nsenter", [`--net=${netns}`, "cat", "/proc/self/net/dev"], (error, stdout, stderr) => {
      if (!error) {
        resolve(stdout.split("\n").some((line) => line.split(":")[0]?.trim() === ifname));
      } else if (error.code === "ENOENT") {
        reject(new CniError(CODE.io, "cannot run nsenter, which looks into a network namespace; install util-linux"));
      } else {
        const reason = stderr.trim().replace(/^nsenter: /, "");
        reject(new CniError(CODE.badEnvironment, `CNI_NETNS is "${netns}", which cannot be entered: ${reason}`));
      }
    });
  });
}
