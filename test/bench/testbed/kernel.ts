import type { Lab } from "../../../pkg/lab/lab.ts";
import type { UnderlayHost } from "../../../pkg/lab/underlay.ts";
import { addMachines, addPods, SUBNETS } from "./machines.ts";
import type { Testbed } from "./testbed.ts";

export const VNI = 1;
export const PORT = 8472;
/** 1500 less the IPv4, UDP, VXLAN and Ethernet headers. */
export const VXLAN_MTU = 1450;

/** A vxlan device at the other end, as the kernel's table has it. */
export interface KernelPeer {
  readonly address: string;
  readonly mac: string;
  /** The first three numbers of its /24. */
  readonly subnet: string;
}

/** No overlay, no pods: from machine to machine. */
export async function openRaw(lab: Lab): Promise<Testbed> {
  const [client, server] = await addMachines(lab, "raw");
  return { client, server, machines: [client.netns, server.netns], agents: [] };
}

/** Pods whose subnets the machines have plain routes to. */
export async function openHostGateway(lab: Lab): Promise<Testbed> {
  const machines = await addMachines(lab, "hostgw");
  const [a, b] = machines;
  await a.netns.run(["ip", "route", "add", `${SUBNETS[1]}.0/24`, "via", b.address]);
  await b.netns.run(["ip", "route", "add", `${SUBNETS[0]}.0/24`, "via", a.address]);
  return { ...(await addPods(lab, machines, 1500)), machines: machines.map(({ netns }) => netns), agents: [] };
}

/** The kernel's vxlan device on both sides, with what flannel's vxlan backend would put into its tables. */
export async function openKernelVxlan(lab: Lab): Promise<Testbed> {
  const machines = await addMachines(lab, "kvxlan");
  const [a, b] = machines.map(({ address }, i) => ({
    address,
    mac: `0a:00:00:00:00:0${i + 1}`,
    subnet: SUBNETS[i] ?? "",
  })) as [KernelPeer, KernelPeer];
  await addVxlanDevice(machines[0], a, b);
  await addVxlanDevice(machines[1], b, a);
  return { ...(await addPods(lab, machines, VXLAN_MTU)), machines: machines.map(({ netns }) => netns), agents: [] };
}

/** Makes the machine's vxlan device, and one neighbour, FDB entry and route for the peer. */
export async function addVxlanDevice(machine: UnderlayHost, own: KernelPeer, peer: KernelPeer): Promise<void> {
  const device = "flannel.1";
  const type = `type vxlan id ${VNI} local ${own.address} dev eth0 dstport ${PORT} nolearning`;
  await machine.netns.run(["ip", "-batch", "-"], {
    input: `
      link add ${device} address ${own.mac} mtu ${VXLAN_MTU} ${type}
      addr add ${own.subnet}.0/32 dev ${device}
      link set ${device} up
      neigh replace ${peer.subnet}.0 lladdr ${peer.mac} dev ${device} nud permanent
      route replace ${peer.subnet}.0/24 via ${peer.subnet}.0 dev ${device} onlink`,
  });
  const entry = [peer.mac, "dst", peer.address, "dev", device, "self", "permanent"];
  await machine.netns.run(["bridge", "fdb", "replace", ...entry]);
}
