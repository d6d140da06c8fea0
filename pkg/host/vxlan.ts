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
  readonly gbp?: boolean;
  readonly [setting: string]: unknown;
}

const OURS = new Set(["id", "local", "local6", "link", "port", "learning", "gbp"]);

// What `ip` shows of a device that was made without asking for more, in any version so far. What is false, 0 or "unset"
// is a default too.
const DEFAULTS: ReadonlyMap<string, string> = new Map([
  ["port_range", '{"low":0,"high":0}'],
  ["ageing", "300"],
  ["udp_csum", "true"],
  ["localbypass", "true"],
  ["ttl", '"auto"'],
]);

export function readVxlan(data: VxlanData): Vxlan {
  return {
    vni: data.id ?? 0,
    local: parseAddr(data.local ?? data.local6 ?? ""),
    underlay: data.link,
    port: data.port ?? 0,
    learning: data.learning ?? false,
    gbp: data.gbp ?? false,
    others: others(data),
  };
}

function others(data: VxlanData): string[] {
  const found: string[] = [];
  // iproute2 shows this one only where it is switched off from what it was made with.
  if (data["udp_csum"] === false) found.push("noudpcsum");
  for (const [name, value] of Object.entries(data)) {
    if (OURS.has(name) || value === false || value === 0 || value === "unset") continue;
    const text = JSON.stringify(value);
    if (DEFAULTS.get(name) === text) continue;
    found.push(value === true ? name : `${name} ${text.replaceAll('"', "")}`);
  }
  return found;
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
