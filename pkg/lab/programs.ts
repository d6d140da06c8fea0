import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The checkout this file is in. */
export const TOP = join(import.meta.dirname, "../..");

export const TWILLD = join(TOP, "bin/twilld");
export const TWILLCTL = join(TOP, "bin/twillctl");
export const BIN = dirname(TWILLD);

// Debian's place, and the one CNI's own releases are unpacked to.
const PLUGIN_DIRECTORIES = ["/usr/lib/cni", "/opt/cni/bin"] as const;

/** Where the standard CNI plugins are; undefined where there is no bridge plugin. */
export function pluginDirectory(): string | undefined {
  return PLUGIN_DIRECTORIES.find((directory) => existsSync(join(directory, "bridge")));
}
