import { formatAddr, parseAddr } from "../addr/addr.ts";

import type { HostChange, Vxlan } from "./host.ts";

// VXLAN devices in iproute2's words.

/** `linkinfo.info_data` of `ip -d -j link` for a device of kind "vxlan". */
export interface VxlanData {
  readonly id?: number;
  readonly local?: string;
  readonly local6?: string;
  readonly link?: string;
  readonly port?: number;
  readonly learning?: boolean;
  readonly gbp?: boolean | null;
  readonly [setting: string]: unknown;
}

// What we would not have asked for, by iproute2's name for it (ip/iplink_vxlan.c, 5.10 to 7.1). Whatever else it shows is not
// looked at: a device of ours with something that a newer iproute2 or kernel shows of each would be made anew at every
// pass. "reserved_bits" (iproute2 and Linux 6.14) is such a thing: the header bits that must be 0, by default all that the
// other settings leave unused.
const FLAGS = [
  "external",
  "vnifilter",
  "proxy",
  "rsc",
  "l2miss",
  "l3miss",
  "udp_zero_csum6_tx",
  "udp_zero_csum6_rx",
  "remcsum_tx",
  "remcsum_rx",
  "mcroute",
  "gpe",
];

// The same with a value, and what is shown of a device that was made without asking for it.
const VALUES: ReadonlyMap<string, readonly string[]> = new Map([
  ["group", []],
  ["group6", []],
  ["remote", []],
  ["remote6", []],
  ["port_range", ['{"low":0,"high":0}']],
  ["tos", ["0"]],
  ["ttl", ["0", '"auto"']],
  ["df", ['"unset"']],
  ["label", ["0"]],
  ["ageing", ["300", "0"]],
  ["limit", ["0"]],
]);

export function readVxlan(data: VxlanData): Vxlan {
  return {
    vni: data.id ?? 0,
    local: parseAddr(data.local ?? data.local6 ?? ""),
    underlay: data.link,
    port: data.port ?? 0,
    learning: data.learning ?? false,
    gbp: isSet(data.gbp),
    others: others(data),
  };
}

function others(data: VxlanData): string[] {
  const found = FLAGS.filter((name) => isSet(data[name]));
  // iproute2 shows this one only where it is switched off from what it was made with.
  if (data["udp_csum"] === false) found.push("noudpcsum");
  for (const [name, defaults] of VALUES) {
    if (!(name in data)) continue;
    const text = JSON.stringify(data[name]);
    if (!defaults.includes(text)) found.push(`${name} ${text.replaceAll('"', "")}`);
  }
  return found;
}

// A flag that the kernel only names where it is on is null since iproute2 6.4 (print_null), before that true.
function isSet(flag: unknown): boolean {
  return flag === true || flag === null;
}

/** The line of `ip -batch` that makes the device. */
export function addVxlanLine(change: HostChange & { kind: "vxlan" }): string {
  const { dev, mac, mtu, vxlan } = change;
  // The queue length says nothing for a device without a queue; 0 is what flannel's device shows.
  const words = ["link add", dev, "address", mac, "mtu", mtu, "txqueuelen 0", "type vxlan", ...endpoints(vxlan)];
  words.push("dstport", vxlan.port, "udpcsum");
  if (vxlan.gbp) words.push("gbp");
  return words.join(" ");
}

/** The line of `ip -batch` that changes it. */
export function changeVxlanLine(change: HostChange & { kind: "change-vxlan" }): string {
  return ["link set dev", change.dev, "type vxlan", ...endpoints(change.vxlan)].join(" ");
}

function endpoints({ vni, local, underlay, learning }: Vxlan): (string | number)[] {
  const words: (string | number)[] = ["id", vni];
  if (local) words.push("local", formatAddr(local));
  if (underlay !== undefined) words.push("dev", underlay);
  words.push(learning ? "learning" : "nolearning");
  return words;
}
