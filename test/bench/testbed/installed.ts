import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { labEnvironment } from "../../../pkg/lab/environment.ts";
import { Unavailable } from "./testbed.ts";

/** Throws Unavailable unless every program is in the PATH of the lab; `programs` names the Debian package of each. */
export function requirePrograms(programs: Readonly<Record<string, string>>): void {
  const path = (labEnvironment()["PATH"] ?? "").split(delimiter);
  for (const [program, packageName] of Object.entries(programs)) {
    if (path.some((directory) => existsSync(join(directory, program)))) continue;
    throw new Unavailable(`${program} is not installed: apt-get install ${packageName}, or --install-peers`);
  }
}
