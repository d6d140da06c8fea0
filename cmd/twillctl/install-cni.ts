import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { installCni } from "../../pkg/cni/install.ts";
import { CNI_BIN_DIR, CNI_CONF_DIR } from "../../pkg/diagnosis/install-cni.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { toJson } from "./to-json.ts";

/** Makes the network known to this host's container runtimes. */
export function runInstallCni({ flags, json }: Call): Promise<Outcome> {
  const installed = installCni({
    binDir: flags.get("bin-dir") || CNI_BIN_DIR,
    confDir: flags.get("conf-dir") || CNI_CONF_DIR,
    plugin: flags.get("plugin") || pluginBeside(process.argv[1] ?? ""),
    force: flags.get("force") === "true",
  });
  const { link, conflist, written, doubts } = installed;
  const lines = [link, conflist].map((path) => `${path} is ${written.includes(path) ? "written" : "there already"}.\n`);
  return Promise.resolve({ text: json ? toJson(installed) : lines.join(""), code: EXIT.ok, problems: doubts });
}

// Packages put both programs into one directory; in a checkout the programs are in bin/, the bundles beside it.
function pluginBeside(program: string): string {
  const dir = existsSync(program) ? dirname(realpathSync(program)) : dirname(program);
  const places = [join(dir, "twill-cni"), join(dir, "../bin/twill-cni"), join(dir, "../../bin/twill-cni")];
  return places.find((place) => existsSync(place)) ?? join(dir, "twill-cni");
}
