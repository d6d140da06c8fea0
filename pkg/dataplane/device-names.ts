import type { Family } from "../addr/family.ts";

/** The TUN device of the tun plane. One carries both families. */
export function tunDevice(vni: number): string {
  return `twill.${vni}`;
}

/** The kernel's VXLAN device, called as flannel calls it, so that either takes over the other's. */
export function vxlanDevice(vni: number, family: Family): string {
  return `${family === 4 ? "flannel" : "flannel-v6"}.${vni}`;
}
