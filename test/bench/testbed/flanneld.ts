import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Daemon } from "../../../pkg/lab/daemon.ts";
import type { Lab } from "../../../pkg/lab/lab.ts";
import { startAgent } from "./agent.ts";
import { addMachines, addPod, NETWORK, type PodLink } from "./machines.ts";
import { type End, type Testbed, Unavailable } from "./testbed.ts";
import { hasOverlayRoute, waitUntil } from "./wait.ts";

/** flanneld, the binary that the variable FLANNELD names, on both machines. */
export async function openFlanneld(lab: Lab, backend: "vxlan" | "udp"): Promise<Testbed> {
  const binary = process.env["FLANNELD"];
  if (binary === undefined || binary === "") throw new Unavailable("FLANNELD is not set: give the path of a flanneld");
  if (!existsSync(binary)) throw new Unavailable(`FLANNELD=${binary}: there is no such file`);
  const id = `fl-${backend}`;
  const prefix = `/bench/${id}`;
  await lab.etcd.put(`${prefix}/config`, JSON.stringify({ Network: NETWORK, Backend: { Type: backend } }));
  const machines = await addMachines(lab, id);
  const agents: Daemon[] = [];
  const links: PodLink[] = [];
  for (const machine of machines) {
    const subnetFile = join(lab.directory, `${machine.name}.env`);
    const argv = [
      binary,
      `-etcd-endpoints=${lab.etcd.endpoint}`,
      `-etcd-prefix=${prefix}`,
      "-iface=eth0",
      `-subnet-file=${subnetFile}`,
      "-iptables-forward-rules=false",
    ];
    agents.push(await startAgent(lab, machine, argv, () => existsSync(subnetFile)));
    links.push(readLink(subnetFile));
  }
  const ends: End[] = [];
  for (const [i, machine] of machines.entries()) {
    const peer = links[1 - i]?.subnet ?? "";
    await waitUntil(() => hasOverlayRoute(machine.netns, peer), `${machine.name} to have a route to ${peer}.0/24`);
    ends.push(await addPod(lab, machine, links[i] as PodLink));
  }
  const [client, server] = ends as [End, End];
  return { client, server, machines: machines.map(({ netns }) => netns), agents };
}

function readLink(subnetFile: string): PodLink {
  const text = readFileSync(subnetFile, "utf8");
  const subnet = /^FLANNEL_SUBNET=(\d+\.\d+\.\d+)\./m.exec(text)?.[1];
  const mtu = /^FLANNEL_MTU=(\d+)$/m.exec(text)?.[1];
  if (subnet === undefined || mtu === undefined) throw new Error(`${subnetFile} names no subnet and MTU`);
  return { subnet, mtu: Number(mtu) };
}
