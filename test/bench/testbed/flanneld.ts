import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sleep, systemClock } from "../../../pkg/base/clock.ts";
import type { Daemon } from "../../../pkg/lab/daemon.ts";
import type { Lab } from "../../../pkg/lab/lab.ts";
import type { UnderlayHost } from "../../../pkg/lab/underlay.ts";
import { startAgent } from "./agent.ts";
import { addMachines, addPod, NETWORK, type PodLink } from "./machines.ts";
import { type End, type Testbed, Unavailable } from "./testbed.ts";

const DEVICES = { vxlan: "flannel.1", udp: "flannel0" } as const;
const START_MS = 15_000;

/** flanneld, the binary that the variable FLANNELD names, on both machines. */
export async function openFlanneld(lab: Lab, backend: keyof typeof DEVICES): Promise<Testbed> {
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
    agents.push(await startAgent(lab, machine, { argv, device: DEVICES[backend] }));
    links.push(await readLink(subnetFile));
  }
  const ends: End[] = [];
  for (const [i, machine] of machines.entries()) {
    await routed(machine, links[1 - i]?.subnet ?? "");
    ends.push(await addPod(lab, machine, links[i] as PodLink));
  }
  const [client, server] = ends as [End, End];
  return { client, server, machines: machines.map(({ netns }) => netns), agents };
}

async function readLink(subnetFile: string): Promise<PodLink> {
  await until(() => existsSync(subnetFile), `flanneld to write ${subnetFile}`);
  const text = readFileSync(subnetFile, "utf8");
  const subnet = /^FLANNEL_SUBNET=(\d+\.\d+\.\d+)\./m.exec(text)?.[1];
  const mtu = /^FLANNEL_MTU=(\d+)$/m.exec(text)?.[1];
  if (subnet === undefined || mtu === undefined) throw new Error(`${subnetFile} names no subnet and MTU`);
  return { subnet, mtu: Number(mtu) };
}

// flannel's udp backend has one route for the whole network, so that the peer's address is asked for.
async function routed(machine: UnderlayHost, subnet: string): Promise<void> {
  const reached = async (): Promise<boolean> =>
    (await machine.netns.run(["ip", "route", "get", `${subnet}.10`])).stdout.includes(" dev flannel");
  await until(reached, `${machine.name} to have a route to ${subnet}.0/24`);
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = systemClock.now() + START_MS;
  while (!(await condition())) {
    if (systemClock.now() > deadline) throw new Error(`waited ${START_MS / 1000} s for ${what}`);
    await sleep(systemClock, 20);
  }
}
