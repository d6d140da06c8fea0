import { readFileSync } from "node:fs";
import { mapFamilies, type PerFamily } from "../addr/family.ts";
import { type Prefix, prefixOf } from "../addr/prefix.ts";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { ConfigError, describeError, errorCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { formatSubnetEnv, parseSubnetEnv, parseSubnets, type SubnetEnv } from "./subnet-env.ts";

export const DEFAULT_SUBNET_FILE = "/run/flannel/subnet.env";

/**
 * Reads the file; undefined when there is none. Throws a ConfigError that names the file and everything that is wrong
 * with its text, or an Error when it cannot be read.
 */
export function readSubnetEnv(path: string): SubnetEnv | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  try {
    return parseSubnetEnv(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError([`${path}: ${error.message}`]);
  }
}

/**
 * Makes the file say `env` (mode 0644, its directory 0755) and tells whether it had to be written: a file that already
 * says so keeps its inode, so nobody who watches it is woken. Throws an Error that names the file.
 */
export function writeSubnetEnv(path: string, env: SubnetEnv): boolean {
  const text = formatSubnetEnv(env);
  if (readText(path) === text) return false;
  try {
    writeFileAtomic(path, text, { mode: 0o644, dirMode: 0o755 });
  } catch (error) {
    throw new Error(`cannot write ${path}`, { cause: error });
  }
  return true;
}

/**
 * The subnets that the node had when the file was written, as a wish for the next lease. The rest of the file does not
 * matter here. None when the file is missing; a file that cannot be read or understood is one warning and none either,
 * since a node must come up without it.
 */
export function previousSubnet(path: string, log: Logger): PerFamily<Prefix> {
  try {
    return mapFamilies(parseSubnets(readText(path) ?? ""), ({ addr, length }) => prefixOf(addr, length));
  } catch (error) {
    log.warn("cannot use the previous subnet, will take any", { file: path, err: describeError(error) });
    return {};
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw new Error(`cannot read ${path}`, { cause: error });
  }
}
