import { join } from "node:path";
import type { Check } from "../finding.ts";
import { installCniCommand } from "../install-cni.ts";

// Ours, what it hands over to by default, and what a runtime needs for every pod.
const NEEDED = ["bridge", "host-local", "loopback"] as const;
const OURS = ["twill", "twill-cni", "flannel"] as const;

/** The CNI plugins are where runtimes look. */
export const cniPlugins: Check = {
  name: "cni-plugins",
  async run({ files, paths }) {
    const { cniBinDirs } = paths;
    const there = async (name: string): Promise<boolean> => {
      for (const dir of cniBinDirs) if (await files.exists(join(dir, name))) return true;
      return false;
    };
    const missing: string[] = [];
    for (const name of NEEDED) if (!(await there(name))) missing.push(name);
    const looked = cniBinDirs.join(" and ");
    const ours: boolean[] = [];
    for (const name of OURS) ours.push(await there(name));
    return [
      ...(missing.length > 0
        ? [
            {
              severity: "error" as const,
              what: "standard CNI plugins are missing",
              evidence: `no ${missing.join(", ")} in ${looked}`,
              fix: "apt-get install containernetworking-plugins",
            },
          ]
        : []),
      ...(ours.includes(true)
        ? []
        : [
            {
              severity: "warning" as const,
              what: "the runtime has no CNI plugin for this network",
              evidence: `neither twill nor flannel in ${looked}`,
              fix: installCniCommand(paths),
            },
          ]),
    ];
  },
};
