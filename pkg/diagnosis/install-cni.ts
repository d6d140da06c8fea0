import type { Paths } from "./surroundings.ts";

// CNI's own defaults, which containerd and cri-o look at; podman looks at the second (containers.conf(5)).
export const CNI_BIN_DIR = "/opt/cni/bin";
export const CNI_CONF_DIR = "/etc/cni/net.d";

/** The command that puts plugin and network where this host's runtimes look. */
export function installCniCommand({ cniBinDirs: [binDir = CNI_BIN_DIR], cniConfDir }: Paths): string {
  return [
    "twillctl install-cni",
    ...(binDir === CNI_BIN_DIR ? [] : [`--bin-dir=${binDir}`]),
    ...(cniConfDir === CNI_CONF_DIR ? [] : [`--conf-dir=${cniConfDir}`]),
  ].join(" ");
}
