// What the tun plane keeps in the kernel beside the packet loop: the device's MTU, queue length and address, one route
// per peer's subnet, and the sysctls without which no pod packet is forwarded. Read, compared and repaired at every
// reconcile.

import type { Addr } from "../../addr/addr.ts";
import { ADDR_BITS, FAMILIES, type Family, type PerFamily } from "../../addr/family.ts";
import { formatInterfaceAddr, type InterfaceAddr, type Prefix } from "../../addr/prefix.ts";
import type { Host, HostChange, HostError, Link, Route } from "../../host/host.ts";
import type { Underlay } from "../../underlay/underlay.ts";
import { isPlainRoute, onLinkBy, plainRoute } from "../direct-routing.ts";
import { setForwarding, setSysctls, type Sysctl } from "../forwarding.ts";
import { reconcileRoutes } from "../routes.ts";

/** The device as it should be, and how each peer's subnet is reached. */
export interface DeviceWant {
  readonly name: string;
  readonly mtu: PerFamily<number>;
  readonly network: PerFamily<Prefix>;
  readonly own: PerFamily<Prefix>;
  readonly peers: readonly PeerSubnet[];
  readonly underlay: Underlay;
  /** Whether peers on our link are reached without the tunnel. */
  readonly directRouting: boolean;
}

export interface PeerSubnet {
  readonly subnet: Prefix;
  readonly publicIp: Addr;
}

/** Why something could not be set: for routes by the index of the peer's subnet, for the rest as sentences. */
export interface KernelOutcome {
  readonly routes: ReadonlyMap<number, HostError>;
  readonly others: readonly string[];
  /** Whether packets of the underlay's whole MTU reach a peer for sure: there is no router on the way. */
  readonly isNear: (addr: Addr) => boolean;
}

// The queue in which packets wait while the socket is full; 500 lost a hundred thousand segments a second to the burst
// of four TCP streams when it was measured.
const TX_QUEUE_LEN = 1000;

/** Brings the kernel into line with `want`. One thing that fails does not stop the others. */
export async function reconcileKernel(host: Host, want: DeviceWant): Promise<KernelOutcome> {
  const others: string[] = [];
  const families = FAMILIES.filter((family) => want.own[family]);
  const link = (await host.links()).find((each) => each.name === want.name);
  // Where IPv6 is disabled on new interfaces (conf/default/disable_ipv6) the kernel would refuse the device its address.
  if (families.includes(6))
    others.push(...(await setSysctls(host, [[`net/ipv6/conf/${want.name}/disable_ipv6`, "0"]])));
  const deviceChanges = linkChanges(want, link, families);
  for (const error of await host.apply(deviceChanges)) if (error) others.push(error.message);
  others.push(...(await setForwarding(host, families, want.underlay.name)));
  others.push(...(await setSysctls(host, deviceSysctls(want, families))));

  const tables: { [F in Family]?: readonly Route[] } = {};
  for (const family of families) tables[family] = await host.routes(family);
  const isOnLink = onLinkBy(tables, want.underlay, want.network);
  const desired = want.peers.map(({ subnet, publicIp }): Route =>
    want.directRouting && isOnLink(publicIp)
      ? plainRoute(subnet, publicIp, want.underlay)
      : { dst: subnet, dev: want.name },
  );
  // The kernel's own routes (of the device's address, of IPv6 link-local) come and go with the device.
  const ours = (route: Route): boolean =>
    (route.dev === want.name && route.protocol !== "kernel") || isPlainRoute(route, want.network);
  const problems = await reconcileRoutes(host, desired, Object.values(tables).flat(), ours);
  // A router may have advertised less than the interface's own (RFC 4861 section 4.6.4).
  const mtu6 = families.includes(6) ? await host.sysctl(`net/ipv6/conf/${want.underlay.name}/mtu`) : undefined;
  const isNear = (addr: Addr): boolean => isOnLink(addr) && !(addr.family === 6 && Number(mtu6) < want.underlay.mtu);
  return { routes: problems.failed, others: [...others, ...problems.others], isNear };
}

/** The device's own address: the subnet's network address with a full mask, as flannel gives its device. */
export function deviceAddress(subnet: Prefix): InterfaceAddr {
  return { addr: { family: subnet.family, value: subnet.value }, length: ADDR_BITS[subnet.family] };
}

function linkChanges(want: DeviceWant, link: Link | undefined, families: readonly Family[]): HostChange[] {
  const dev = want.name;
  const changes: HostChange[] = [];
  // A TUN device has no use for an IPv6 link-local address; with one the kernel would send router solicitations to it.
  if (!link?.up) changes.push({ kind: "link", dev, addrGenMode: "none" });
  const mtu = Math.max(...families.map((family) => want.mtu[family] ?? 0));
  if (link?.mtu !== mtu || link.txQueueLen !== TX_QUEUE_LEN) {
    changes.push({ kind: "link", dev, mtu, txQueueLen: TX_QUEUE_LEN });
  }
  const addresses = families.map((family) => deviceAddress(want.own[family] as Prefix));
  const wanted = new Set(addresses.map(formatInterfaceAddr));
  const actual = link?.addresses ?? [];
  const present = new Set(actual.map(formatInterfaceAddr));
  for (const address of actual) {
    // Link-local ones are the kernel's.
    if (address.scope === "link" || wanted.has(formatInterfaceAddr(address))) continue;
    changes.push({ kind: "delete-address", dev, address: { addr: address.addr, length: address.length } });
  }
  for (const address of addresses) {
    if (!present.has(formatInterfaceAddr(address))) changes.push({ kind: "address", dev, address });
  }
  if (!link?.up) changes.push({ kind: "link", dev, up: true });
  return changes;
}

// Loose reverse-path filtering on the device: a peer's host answers a pod from its PublicIP, whose way back is not the
// device. Who may send what is checked by the packet loop, more strictly than rp_filter could.
function deviceSysctls(want: DeviceWant, families: readonly Family[]): readonly Sysctl[] {
  const dev = want.name;
  const list: Sysctl[] = [];
  if (families.includes(4)) list.push([`net/ipv4/conf/${dev}/rp_filter`, "2"]);
  if (families.includes(6)) {
    list.push([`net/ipv6/conf/${dev}/accept_ra`, "0"]);
    // The device has one MTU, IPv4's in dual stack; IPv6 loses 20 bytes more to its outer header.
    list.push([`net/ipv6/conf/${dev}/mtu`, String(want.mtu[6] ?? 1280)]);
  }
  return list;
}
