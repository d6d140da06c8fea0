// Two nodes whose twilld is held to one rung of the offload ladder, a pod on each, and a node with the kernel's own VXLAN
// devices; both families.

import type { Family } from "../../pkg/addr/family.ts";
import type { Rung } from "../../pkg/dataplane/tun/offload.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import type { Pod } from "../../pkg/lab/pod.ts";
import { prefix } from "../literals.ts";
import { until } from "../until.ts";
import { addKernelPeer, type KernelPeer, untilRouted } from "./kernel-peer.ts";
import type { End } from "./tcp.ts";

export const NO_TUNNEL_GSO = "this kernel has no UDP tunnels on TAP devices (before Linux 6.17)";

const CONFIG = {
  Network: "10.244.0.0/16",
  EnableIPv6: true,
  IPv6Network: "fd10:244::/48",
  Backend: { Type: "vxlan" },
};
const KERNEL_SUBNET = { 4: prefix("10.244.200.0/24"), 6: prefix("fd10:244:0:c8::/64") } as const;

export interface RungLab {
  readonly lab: Lab;
  readonly kernel: KernelPeer;
  /** The pod of a node, from 1, and that of the kernel's node. */
  pod(node: 1 | 2, family: Family): End;
  kernelPod(family: Family): End;
}

/** Starts it; undefined where this kernel does not have the rung. `program` is started in place of bin/twilld. */
export async function openRungLab(rung: Rung, program?: readonly string[]): Promise<RungLab | undefined> {
  const lab = await Lab.create({ config: CONFIG, args: [`--offload=${rung}`, "--resync=1s"] });
  try {
    for (let i = 0; i < 2; i++) await lab.addNode(program ? { program } : {});
    await Promise.all(lab.nodes.map((node) => node.start()));
    await Promise.all(lab.nodes.map((node) => node.ready()));
    await Promise.all(lab.nodes.map((node) => node.addPod()));
    const kernel = await addKernelPeer(lab, KERNEL_SUBNET);
    await untilRouted(lab, kernel);
    for (const node of lab.nodes) {
      if (rungOf(node) !== rung) throw new Error(`${node.name} runs on ${rungOf(node)}, not on ${rung}`);
      if (rung === "tunnel-gso") await until(() => node.logText().includes("TCP leaves through the tunnel device"));
    }
    return {
      lab,
      kernel,
      pod: (node, family) => end(lab.pod(node, 1), family),
      kernelPod: (family) => ({ netns: kernel.pod, address: kernel.address[family] ?? "" }),
    };
  } catch (error) {
    await lab.close();
    if (rung === "tunnel-gso" && String(error).includes("the kernel does not offer")) return undefined;
    throw error;
  }
}

/** What the node's data plane says it runs on. */
function rungOf(node: Node): string | undefined {
  const line = node
    .logText()
    .split("\n")
    .find((each) => each.includes('"data plane open"'));
  return line === undefined ? undefined : (JSON.parse(line) as { offload: string }).offload;
}

function end(pod: Pod, family: Family): End {
  const address = pod.addresses.find((text) => text.includes(":") === (family === 6));
  if (address === undefined) throw new Error(`${pod.name} has no IPv${family} address`);
  return { netns: pod.netns, address };
}
