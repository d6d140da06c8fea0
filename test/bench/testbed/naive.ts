import { join } from "node:path";
import type { Lab } from "../../../pkg/lab/lab.ts";
import { addMachines, addPods, SUBNETS } from "./machines.ts";
import { VXLAN_MTU } from "./kernel.ts";
import { startAgent } from "./agent.ts";
import type { Testbed } from "./testbed.ts";
import { hasDevice } from "./wait.ts";

const PROGRAM = join(import.meta.dirname, "naive-overlay.ts");
const DEVICE = "naive0";

/** naive-overlay.ts on both machines. */
export async function openNaive(lab: Lab): Promise<Testbed> {
  const machines = await addMachines(lab, "naive");
  const [a, b] = machines;
  const agents = [];
  for (const [i, [machine, peer]] of [[a, b] as const, [b, a] as const].entries()) {
    agents.push(
      await startAgent(lab, machine, [process.execPath, PROGRAM, DEVICE, peer.address], () =>
        hasDevice(machine.netns, DEVICE),
      ),
    );
    await machine.netns.run(["ip", "-batch", "-"], {
      input: `
        link set ${DEVICE} mtu ${VXLAN_MTU} up
        route add ${SUBNETS[1 - i]}.0/24 dev ${DEVICE}`,
    });
  }
  return { ...(await addPods(lab, machines, VXLAN_MTU)), machines: machines.map(({ netns }) => netns), agents };
}
