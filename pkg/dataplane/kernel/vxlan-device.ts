// One VXLAN device as flannel makes it, compared in every attribute: what the kernel can change stays in place, anything
// else makes it anew, with the same MAC.

import { sameAddr } from "../../addr/addr.ts";
import { ADDR_BITS } from "../../addr/family.ts";
import type { Mac } from "../../addr/mac.ts";
import { formatInterfaceAddr, type InterfaceAddr, type Prefix } from "../../addr/prefix.ts";
import { type Host, type HostChange, HostError, type Link, type Vxlan } from "../../host/host.ts";
import { setSysctls } from "../forwarding.ts";

/** A device as it should be. */
export interface VxlanWant {
  readonly name: string;
  readonly mac: Mac;
  readonly mtu: number;
  readonly vxlan: Vxlan;
  /** This node's subnet, of which the device has the first address; undefined while there is none. */
  readonly own: Prefix | undefined;
}

/**
 * Brings a device into line. `links` is the host's as it is. Resolves to whether something had to be done; throws a
 * HostError that says what could not be.
 */
export async function reconcileVxlan(host: Host, links: readonly Link[], want: VxlanWant): Promise<boolean> {
  const problems: string[] = [];
  let changed = false;
  const apply = async (changes: readonly HostChange[]): Promise<void> => {
    changed ||= changes.length > 0;
    for (const error of await host.apply(changes)) if (error) problems.push(error.message);
  };
  let link = links.find(({ name }) => name === want.name);
  if (link && !link.vxlan) {
    throw new HostError(
      `an interface ${want.name} of the kind ${link.kind} is in the way: delete it (ip link delete ${want.name})`,
    );
  }
  if (link?.vxlan && !sameInPlace(link.vxlan, want.vxlan)) {
    changed = true;
    const [error] = await host.apply([{ kind: "change-vxlan", dev: want.name, vxlan: want.vxlan }]);
    // What the kernel would not change it may still make.
    if (error) await apply([{ kind: "delete-link", dev: want.name }]);
    if (error) link = undefined;
  }
  if (link?.vxlan && !sameForGood(link.vxlan, want.vxlan)) {
    await apply([{ kind: "delete-link", dev: want.name }]);
    link = undefined;
  }
  if (!link) {
    changed = true;
    const { name: dev, mac, mtu, vxlan } = want;
    const [error] = await host.apply([{ kind: "vxlan", dev, mac, mtu, vxlan }]);
    if (error) throw new HostError(explain(error.message, want, links), { cause: error });
  }
  problems.push(...(await setSysctls(host, await sysctlsOf(host, want))));
  await apply(changesOf(link, want));
  const [first] = problems;
  if (first !== undefined) throw new HostError(explain(problems.join("; "), want, links));
  return changed;
}

function sameInPlace(a: Vxlan, b: Vxlan): boolean {
  return sameAddr(a.local, b.local) && a.underlay === b.underlay && a.learning === b.learning;
}

function sameForGood(a: Vxlan, b: Vxlan): boolean {
  return a.vni === b.vni && a.port === b.port && a.gbp === b.gbp && a.others.join() === b.others.join();
}

// Beside the device's own settings. `link` is undefined for one that was just made.
function changesOf(link: Link | undefined, want: VxlanWant): HostChange[] {
  const dev = want.name;
  const changes: HostChange[] = [];
  if (link && link.mac !== want.mac) changes.push({ kind: "link", dev, mac: want.mac });
  if (link && link.mtu !== want.mtu) changes.push({ kind: "link", dev, mtu: want.mtu });
  if (want.own) {
    const address = deviceAddress(want.own);
    const text = formatInterfaceAddr(address);
    const others = link?.addresses.filter((each) => each.scope !== "link" && formatInterfaceAddr(each) !== text) ?? [];
    for (const { addr, length } of others) changes.push({ kind: "delete-address", dev, address: { addr, length } });
    if (link?.addresses.some((each) => formatInterfaceAddr(each) === text) !== true) {
      changes.push({ kind: "address", dev, address });
    }
  }
  if (link?.up !== true) changes.push({ kind: "link", dev, up: true });
  return changes;
}

/** The subnet's network address with a full mask. */
function deviceAddress(subnet: Prefix): InterfaceAddr {
  return { addr: { family: subnet.family, value: subnet.value }, length: ADDR_BITS[subnet.family] };
}

// rp_filter loose: a peer's host answers a pod from its PublicIP, whose way back is not the device; who may send what is
// for the sender rules. Router advertisements have no business on the device; a kernel without IPv6 has no such setting.
// Where IPv6 is disabled on new interfaces (conf/default/disable_ipv6) the kernel would refuse the device its address.
async function sysctlsOf(host: Host, { name, own }: VxlanWant): Promise<(readonly [string, string])[]> {
  const list: [string, string][] = own?.family === 4 ? [[`net/ipv4/conf/${name}/rp_filter`, "2"]] : [];
  const ipv6 = own?.family === 6 ? { disable_ipv6: "0", accept_ra: "0" } : { accept_ra: "0" };
  for (const [setting, value] of Object.entries(ipv6)) {
    const path = `net/ipv6/conf/${name}/${setting}`;
    if ((await host.sysctl(path)) !== undefined) list.push([path, value]);
  }
  return list;
}

// The operator's next step, where the kernel's words do not name it.
function explain(message: string, { name, vxlan }: VxlanWant, links: readonly Link[]): string {
  const other = links.find((link) => link.name !== name && clashes(link.vxlan, vxlan));
  if (other) {
    return (
      `${message}: ${other.name} is a VXLAN device with the same VNI ${vxlan.vni} and port ${vxlan.port}; delete it ` +
      `(ip link delete ${other.name}), or give this network another VNI`
    );
  }
  if (/Address already in use/.test(message)) {
    return `${message}: UDP port ${vxlan.port} is taken; see by whom with "ss -lunp sport = :${vxlan.port}"`;
  }
  if (/Unknown device type|Operation not supported/.test(message)) {
    return `${message}: this kernel has no VXLAN devices; load the module (modprobe vxlan), or give --dataplane=tun`;
  }
  if (/Operation not permitted/.test(message)) return `${message}: run twilld as root or with CAP_NET_ADMIN`;
  return message;
}

// The kernel keeps devices of the two families apart (drivers/net/vxlan/vxlan_core.c, vxlan_vni_in_use).
function clashes(a: Vxlan | undefined, b: Vxlan): boolean {
  return a !== undefined && a.vni === b.vni && a.port === b.port && a.local?.family === b.local?.family;
}
