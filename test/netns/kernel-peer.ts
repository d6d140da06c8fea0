// A peer whose VXLAN is the kernel's own: a machine on the underlay made by hand into what flannel makes of a node, from
// the leases in etcd, and with a lease of its own.

import { type Addr, formatAddr } from "../../pkg/addr/addr.ts";
import { FAMILIES, type Family, type PerFamily } from "../../pkg/addr/family.ts";
import { addrAt, formatPrefix, type Prefix } from "../../pkg/addr/prefix.ts";
import type { Lab } from "../../pkg/lab/lab.ts";
import type { Netns } from "../../pkg/lab/netns.ts";
import type { UnderlayHost } from "../../pkg/lab/underlay.ts";
import { formatLeaseKey } from "../../pkg/lease/lease-key.ts";
import { readLeaseRow } from "../../pkg/lease/lease-row.ts";
import { encodeLeaseValue } from "../../pkg/lease/lease-value.ts";
import type { Lease, LeaseAttrs } from "../../pkg/lease/lease.ts";
import { addr, mac } from "../literals.ts";
import { until } from "../until.ts";

const DEVICE = { 4: "flannel.1", 6: "flannel-v6.1" } as const;
const DEVICE_MTU = { 4: 1450, 6: 1430 } as const;
const MACS = { 4: mac("0a:00:00:00:00:c4"), 6: mac("0a:00:00:00:00:c6") } as const;
// flannel's pods have IPv4's in dual stack too, and learn the smaller one of IPv6 on the way.
const POD_MTU = 1450;

/** The machine, and a pod on it at the tenth address of each subnet. */
export interface KernelPeer {
  readonly host: UnderlayHost;
  readonly pod: Netns;
  readonly subnet: PerFamily<Prefix>;
  /** The pod's. */
  readonly address: PerFamily<string>;
  /** The machine's own towards its pod. */
  readonly gateway: PerFamily<string>;
}

/** Adds such a machine, programmed for every node that has a lease now; with `direct` by plain routes. */
export async function addKernelPeer(
  lab: Lab,
  subnet: PerFamily<Prefix>,
  { direct = false }: { readonly direct?: boolean } = {},
): Promise<KernelPeer> {
  const host = await lab.addPlainNode();
  const families = FAMILIES.filter((family) => subnet[family]);
  const leases = await readLeases(lab);
  for (const family of families) {
    await makeDevice(host, family, subnet[family] as Prefix);
    for (const lease of leases) await (direct ? routePlainly : programPeer)(host, family, lease);
  }
  const pod = await makePod(lab, host, subnet);
  const publicIp = { 4: addr(host.address), 6: addr(host.address6) };
  await putLease(lab, subnet, {
    publicIp: pick(publicIp, families),
    backendType: "vxlan",
    vtep: pick({ 4: { vni: 1, mac: MACS[4] }, 6: { vni: 1, mac: MACS[6] } }, families),
  });
  const at = (n: bigint): PerFamily<string> =>
    Object.fromEntries(families.map((family) => [family, formatAddr(addrAt(subnet[family] as Prefix, n))]));
  return { host, pod, subnet, address: at(10n), gateway: at(1n) };
}

/** Waits until every node of the lab routes to the machine's pods through its overlay device. */
export async function untilRouted(lab: Lab, { subnet }: KernelPeer, device = "twill.1"): Promise<void> {
  for (const node of lab.nodes) {
    for (const family of FAMILIES) {
      const prefix = subnet[family];
      if (!prefix) continue;
      const route = formatPrefix(prefix);
      const routes = ["ip", `-${family}`, "route", "show", "dev", device];
      await until(async () => (await node.run(routes)).stdout.includes(route));
    }
  }
}

/** Every lease in etcd. */
export async function readLeases(lab: Lab): Promise<Lease[]> {
  const rows = [
    ...(await lab.etcd.list(`${lab.prefix}/subnets/`)),
    ...(await lab.etcd.list(`${lab.prefix}/ipv6-subnets/`)),
  ];
  return rows.map(({ key, value, leaseId }) => {
    const row = { key: key.slice(lab.prefix.length + 1), value, leaseId, modRevision: "1", createRevision: "1" };
    const lease = readLeaseRow(row)?.value?.lease.value;
    if (!lease) throw new Error(`cannot read the lease ${key}: ${value}`);
    return lease;
  });
}

/** Writes a lease as flannel does, with an etcd lease of a day. */
export async function putLease(lab: Lab, subnet: PerFamily<Prefix>, attrs: LeaseAttrs): Promise<void> {
  const granted = await lab.etcd.ctl(["lease", "grant", "86400"]);
  const id = /lease ([0-9a-f]+) granted/.exec(granted.stdout)?.[1] ?? "";
  await lab.etcd.ctl(["put", `--lease=${id}`, `${lab.prefix}/${formatLeaseKey(subnet)}`, encodeLeaseValue(attrs)]);
}

async function makeDevice(host: UnderlayHost, family: Family, subnet: Prefix): Promise<void> {
  const local = family === 4 ? host.address : host.address6;
  const checksum = family === 4 ? "udpcsum" : "noudp6zerocsumtx noudp6zerocsumrx";
  const forwarding = family === 4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
  const dev = DEVICE[family];
  await host.netns.run(["sysctl", "-qw", `${forwarding}=1`]);
  await host.netns.run(["ip", "-batch", "-"], {
    input: `
      link add ${dev} address ${MACS[family]} mtu ${DEVICE_MTU[family]} type vxlan id 1 local ${local} dev eth0 dstport 8472 nolearning ${checksum}
      address add ${formatAddr(subnet)}/${family === 4 ? 32 : 128} dev ${dev}
      link set ${dev} up`,
  });
}

/** One neighbour, one FDB entry and one route, as flannel sets them for a peer. */
async function programPeer(host: UnderlayHost, family: Family, lease: Lease): Promise<void> {
  const subnet = lease.subnet[family];
  const vtep = lease.attrs.vtep[family];
  const publicIp = lease.attrs.publicIp[family];
  if (!subnet || !vtep || !publicIp) throw new Error(`the lease ${lease.key} is not for IPv${family}`);
  const dev = DEVICE[family];
  const net = formatAddr(subnet);
  await host.netns.run(["ip", "-batch", "-"], {
    input: `
      neigh replace ${net} lladdr ${vtep.mac} dev ${dev} nud permanent
      route replace ${formatPrefix(subnet)} via ${net} dev ${dev} onlink`,
  });
  const fdb = ["bridge", "fdb", "replace", vtep.mac, "dst", formatAddr(publicIp), "dev", dev, "self", "permanent"];
  await host.netns.run(fdb);
}

/** The route that flannel sets with DirectRouting for a peer on its link. */
async function routePlainly(host: UnderlayHost, family: Family, lease: Lease): Promise<void> {
  const subnet = lease.subnet[family];
  const publicIp = lease.attrs.publicIp[family];
  if (!subnet || !publicIp) throw new Error(`the lease ${lease.key} is not for IPv${family}`);
  await host.netns.run(["ip", `-${family}`, "route", "replace", formatPrefix(subnet), "via", formatAddr(publicIp)]);
}

async function makePod(lab: Lab, host: UnderlayHost, subnet: PerFamily<Prefix>): Promise<Netns> {
  const name = `pod-${host.name}`;
  const netns = await lab.namespaces.add(name);
  const link = `link add pv mtu ${POD_MTU} type veth peer name eth0 mtu ${POD_MTU} netns ${name}`;
  const outside = [link, "link set pv up"];
  const inside = ["link set eth0 up"];
  for (const family of FAMILIES) {
    const prefix = subnet[family];
    if (!prefix) continue;
    const nodad = family === 6 ? " nodad" : "";
    const text = (addr: Addr): string => `${formatAddr(addr)}/${prefix.length}`;
    outside.splice(1, 0, `address add ${text(addrAt(prefix, 1n))} dev pv${nodad}`);
    inside.unshift(`address add ${text(addrAt(prefix, 10n))} dev eth0${nodad}`);
    inside.push(`route add default via ${family === 6 ? "inet6 " : ""}${formatAddr(addrAt(prefix, 1n))}`);
  }
  await host.netns.run(["ip", "-batch", "-"], { input: outside.join("\n") });
  await netns.run(["ip", "-batch", "-"], { input: inside.join("\n") });
  return netns;
}

function pick<T>(values: Required<PerFamily<T>>, families: readonly Family[]): PerFamily<T> {
  return Object.fromEntries(families.map((family) => [family, values[family]]));
}
