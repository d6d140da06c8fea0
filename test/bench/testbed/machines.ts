import type { Lab } from "../../../pkg/lab/lab.ts";
import type { UnderlayHost } from "../../../pkg/lab/underlay.ts";
import type { End } from "./testbed.ts";

/** The pods' network of a configuration that has no leases, each machine's a /24 of it: "10.250.1" and "10.250.2". */
export const NETWORK = "10.250.0.0/16";
export const SUBNETS = ["10.250.1", "10.250.2"] as const;

/** Two machines on the underlay that forward. `id` names them: "nebula-a", "nebula-b". */
export async function addMachines(lab: Lab, id: string): Promise<readonly [UnderlayHost, UnderlayHost]> {
  const machines = [await lab.addPlainNode(`${id}-a`), await lab.addPlainNode(`${id}-b`)] as const;
  for (const { netns } of machines) await netns.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  return machines;
}

/** What a pod hangs on: the first three numbers of the machine's /24, and what fits through the overlay in bytes. */
export interface PodLink {
  readonly subnet: string;
  readonly mtu: number;
}

/**
 * Puts a pod behind a bridge, the same for every configuration, so that only the way between the machines differs: no
 * firewall rules, no masquerading.
 */
export async function addPod(lab: Lab, machine: Pick<UnderlayHost, "name" | "netns">, link: PodLink): Promise<End> {
  const { subnet, mtu } = link;
  const name = `pod-${machine.name}`;
  const netns = await lab.namespaces.add(name);
  await machine.netns.run(["ip", "-batch", "-"], {
    input: `
      link add cni0 type bridge
      addr add ${subnet}.1/24 dev cni0
      link set cni0 mtu ${mtu} up
      link add veth0 mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${name}
      link set veth0 master cni0 up`,
  });
  await netns.run(["ip", "-batch", "-"], {
    input: `
      addr add ${subnet}.10/24 dev eth0
      link set eth0 up
      route add default via ${subnet}.1`,
  });
  return { name, netns, address: `${subnet}.10` };
}

/** A pod on each of two machines, the first of which is the client. */
export async function addPods(
  lab: Lab,
  [a, b]: readonly [UnderlayHost, UnderlayHost],
  mtu: number,
): Promise<{ readonly client: End; readonly server: End }> {
  return {
    client: await addPod(lab, a, { subnet: SUBNETS[0], mtu }),
    server: await addPod(lab, b, { subnet: SUBNETS[1], mtu }),
  };
}
