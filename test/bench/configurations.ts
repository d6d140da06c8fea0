import { BASELINE } from "./report.ts";
import { openFlanneld } from "./testbed/flanneld.ts";
import { openHostGateway, openKernelVxlan, openRaw } from "./testbed/kernel.ts";
import { openNaive } from "./testbed/naive.ts";
import { openNebula } from "./testbed/nebula.ts";
import type { Configuration } from "./testbed/testbed.ts";
import { openMixed, openTwill } from "./testbed/twill.ts";
import { openWireguard } from "./testbed/wireguard.ts";

/** The rungs of the offload ladder, best first, and the ids of their configurations. */
export const RUNGS = ["tunnel-gso", "gso", "none"] as const;
export type Rung = (typeof RUNGS)[number];

export function rungId(rung: Rung): string {
  return `twill-${rung}`;
}

/** The ids that other files name. */
export const MIXED = "mixed";
export const NAIVE = "naive";

const RUNG_TITLES: Readonly<Record<Rung, string>> = {
  "tunnel-gso": "twill, tunnel-GSO",
  gso: "twill, UDP_SEGMENT",
  none: "twill, one packet per call",
};

/** Every configuration, in the order of the tables. */
export const CONFIGURATIONS: readonly Configuration[] = [
  { id: "raw", title: "raw underlay", wireLike: true, required: true, open: openRaw },
  { id: "host-gw", title: "host-gw routes", wireLike: false, required: true, open: openHostGateway },
  { id: BASELINE, title: "kernel vxlan", wireLike: true, required: true, open: openKernelVxlan },
  ...RUNGS.map(rungConfiguration),
  {
    id: "twill-two-threads",
    title: "twill, two threads",
    wireLike: false,
    required: false,
    open: (lab) => openTwill(lab, "twill-two-threads", ["--packet-threads=2"]),
  },
  {
    id: MIXED,
    title: "twill ↔ kernel vxlan",
    wireLike: true,
    required: true,
    open: (lab) => openMixed(lab, MIXED, []),
  },
  { id: NAIVE, title: "fs.read + node:dgram", wireLike: false, required: false, open: openNaive },
  {
    id: "flanneld-vxlan",
    title: "flanneld, vxlan",
    wireLike: false,
    required: false,
    open: (lab) => openFlanneld(lab, "vxlan"),
  },
  {
    id: "flanneld-udp",
    title: "flanneld, udp",
    wireLike: false,
    required: false,
    open: (lab) => openFlanneld(lab, "udp"),
  },
  { id: "wireguard-go", title: "wireguard-go", wireLike: false, required: false, open: openWireguard },
  { id: "nebula", title: "nebula", wireLike: false, required: false, open: openNebula },
];

function rungConfiguration(rung: Rung): Configuration {
  const id = rungId(rung);
  return {
    id,
    title: RUNG_TITLES[rung],
    wireLike: true,
    // Every machine can have this one; without it twilld itself does not work.
    required: rung === "none",
    open: (lab) => openTwill(lab, id, [`--offload=${rung}`]),
  };
}
