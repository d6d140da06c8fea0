import { join } from "node:path";
import { isObject } from "../../lease/json-object.ts";
import type { Check } from "../finding.ts";
import { installCniCommand } from "../install-cni.ts";

const OURS: readonly string[] = ["twill", "twill-cni", "flannel"];

/** The first network in the runtime's directory is ours: of several it takes the first by name. */
export const cniConfig: Check = {
  name: "cni-config",
  async run({ files, paths }) {
    const { cniConfDir } = paths;
    const names = ((await files.list(cniConfDir)) ?? []).filter((name) => /\.(conf|conflist|json)$/.test(name));
    const types = await Promise.all(names.map(async (name) => pluginTypes(await files.read(join(cniConfDir, name)))));
    const mine = types.findIndex((each) => each.some((type) => OURS.includes(type)));
    if (mine < 0)
      return [
        {
          severity: "warning",
          what: "no CNI network of this host uses twill",
          evidence: `${cniConfDir} has ${names.join(", ") || "nothing"}`,
          fix: installCniCommand(paths),
        },
      ];
    if (mine === 0) return [];
    return [
      {
        severity: "error",
        what: "another CNI network comes before ours, and runtimes take the first",
        evidence: `${names[0]} stands before ${names[mine]} in ${cniConfDir}`,
        fix: `mv ${join(cniConfDir, names[0] ?? "")} ${join(cniConfDir, `${names[0]}.off`)}`,
      },
    ];
  },
};

/** The types of the plugins that a network configuration names; none where it makes no sense. */
function pluginTypes(text: string | undefined): string[] {
  let json: unknown;
  try {
    json = JSON.parse(text ?? "");
  } catch {
    // The runtime skips it as well.
    return [];
  }
  if (!isObject(json)) return [];
  const { type, plugins } = json as { type?: unknown; plugins?: unknown };
  const all: unknown[] = Array.isArray(plugins) ? plugins : [{ type }];
  return all.flatMap((plugin) => {
    const name: unknown = isObject(plugin) && "type" in plugin ? plugin.type : undefined;
    return typeof name === "string" ? [name] : [];
  });
}
