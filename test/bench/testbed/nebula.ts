import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, requireSuccess } from "../../../pkg/lab/command.ts";
import type { Daemon } from "../../../pkg/lab/daemon.ts";
import type { Lab } from "../../../pkg/lab/lab.ts";
import type { UnderlayHost } from "../../../pkg/lab/underlay.ts";
import { startAgent } from "./agent.ts";
import { requirePrograms } from "./installed.ts";
import { addMachines, addPods, SUBNETS } from "./machines.ts";
import type { Testbed } from "./testbed.ts";
import { hasDevice } from "./wait.ts";

// nebula's default: 1300 plus its own headers fits every underlay it is likely to meet.
const MTU = 1300;
const PORT = 4242;
const DEVICE = "nebula1";

/** nebula on both machines, with the pods' subnets as its unsafe_routes. It encrypts. */
export async function openNebula(lab: Lab): Promise<Testbed> {
  requirePrograms({ nebula: "nebula", "nebula-cert": "nebula" });
  const machines = await addMachines(lab, "nebula");
  const directory = join(lab.directory, "nebula");
  mkdirSync(directory);
  const cert = async (args: readonly string[]): Promise<void> => {
    const argv = ["nebula-cert", ...args];
    requireSuccess(argv, await capture(argv));
  };
  const file = (name: string): string => join(directory, name);
  await cert(["ca", "-name", "bench", "-out-crt", file("ca.crt"), "-out-key", file("ca.key")]);
  const agents: Daemon[] = [];
  for (const [i, machine] of machines.entries()) {
    const address = overlayAddress(i);
    const ca = ["-ca-crt", file("ca.crt"), "-ca-key", file("ca.key")];
    const out = ["-out-crt", file(`${i}.crt`), "-out-key", file(`${i}.key`)];
    await cert([
      "sign",
      "-name",
      machine.name,
      "-ip",
      `${address}/24`,
      "-subnets",
      `${SUBNETS[i]}.0/24`,
      ...ca,
      ...out,
    ]);
    writeFileSync(
      file(`${i}.json`),
      JSON.stringify(config(directory, i, machines[1 - i] as UnderlayHost), undefined, 2),
    );
    agents.push(
      await startAgent(lab, machine, ["nebula", "-config", file(`${i}.json`)], () => hasDevice(machine.netns, DEVICE)),
    );
  }
  return { ...(await addPods(lab, machines, MTU)), machines: machines.map(({ netns }) => netns), agents };
}

function overlayAddress(i: number): string {
  return `10.251.0.${i + 1}`;
}

// JSON is YAML, which is what nebula reads.
function config(directory: string, i: number, peer: UnderlayHost): unknown {
  const anyone = [{ port: "any", proto: "any", host: "any" }];
  return {
    pki: { ca: join(directory, "ca.crt"), cert: join(directory, `${i}.crt`), key: join(directory, `${i}.key`) },
    static_host_map: { [overlayAddress(1 - i)]: [`${peer.address}:${PORT}`] },
    lighthouse: { am_lighthouse: false, hosts: [] },
    listen: { host: "0.0.0.0", port: PORT },
    tun: {
      dev: DEVICE,
      mtu: MTU,
      tx_queue: 1000,
      unsafe_routes: [{ route: `${SUBNETS[1 - i]}.0/24`, via: overlayAddress(1 - i), mtu: MTU }],
    },
    firewall: { outbound: anyone, inbound: anyone },
  };
}
