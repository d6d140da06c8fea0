import type { Lab } from "../../../pkg/lab/lab.ts";
import type { Node } from "../../../pkg/lab/node.ts";
import type { UnderlayHost } from "../../../pkg/lab/underlay.ts";
import { addVxlanDevice, PORT, VNI, VXLAN_MTU } from "./kernel.ts";
import { addPod, type PodLink } from "./machines.ts";
import { type End, type Testbed, Unavailable } from "./testbed.ts";
import { hasOverlayRoute, waitUntil } from "./wait.ts";

const NETWORK = "10.244.0.0/16";
const KERNEL_MAC = "0a:00:00:00:00:cc";

// The data plane alone, since the other configurations have no firewall rules either, and no work while others are
// measured: idle, such a twilld takes 0.1 % of a core.
const ARGS = ["--ip-masq=false", "--iptables-forward-rules=false", "--resync=1h"];

/** twilld on both machines. Throws Unavailable with twilld's sentence where it refuses to start with these flags. */
export async function openTwill(lab: Lab, id: string, args: readonly string[]): Promise<Testbed> {
  const nodes = [await startNode(lab, id, args), await startNode(lab, id, args)] as const;
  const links = nodes.map(podLink);
  const ends: End[] = [];
  for (const [i, node] of nodes.entries()) {
    await routed(node, links[1 - i]?.subnet ?? "");
    ends.push(await addPod(lab, node, links[i] as PodLink));
  }
  const [client, server] = ends as [End, End];
  return testbed(
    nodes,
    client,
    server,
    nodes.map(({ netns }) => netns),
  );
}

/** twilld on the client's machine, the kernel's vxlan device on the server's, which has a lease as flannel writes it. */
export async function openMixed(lab: Lab, id: string, args: readonly string[]): Promise<Testbed> {
  const node = await startNode(lab, id, args);
  const machine = await lab.addPlainNode(`${id}-k`);
  await machine.netns.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  const link = podLink(node);
  const own = { address: machine.address, mac: KERNEL_MAC, subnet: "10.244.250" };
  await addVxlanDevice(machine, own, {
    address: node.address,
    mac: await leaseMac(lab, id, link.subnet),
    subnet: link.subnet,
  });
  await putLease(lab, id, machine, own.subnet);
  await routed(node, own.subnet);
  const client = await addPod(lab, node, link);
  const server = await addPod(lab, machine, { subnet: own.subnet, mtu: VXLAN_MTU });
  return testbed([node], client, server, [node.netns, machine.netns]);
}

function testbed(nodes: readonly Node[], client: End, server: End, machines: Testbed["machines"]): Testbed {
  const agents = nodes.flatMap(({ twilld }) => (twilld ? [twilld] : []));
  return { client, server, machines, agents, complaints: () => nodes.flatMap((node) => complaintsIn(node.logText())) };
}

// Each configuration has its own prefix in the lab's etcd, so that they do not know of each other.
function prefix(id: string): string {
  return `/bench/${id}`;
}

async function startNode(lab: Lab, id: string, args: readonly string[]): Promise<Node> {
  await lab.etcd.put(
    `${prefix(id)}/config`,
    JSON.stringify({ Network: NETWORK, Backend: { Type: "vxlan", VNI, Port: PORT } }),
  );
  const node = await lab.addNode({ args: [`--etcd-prefix=${prefix(id)}`, ...ARGS, ...args] });
  const daemon = await node.start();
  try {
    await node.ready();
  } catch (cause) {
    if (daemon.running) throw cause;
    throw new Unavailable(refusal(node.logText()), { cause });
  }
  return node;
}

/** What twilld said before it ended: its last error as a sentence, or the last thing it wrote. */
export function refusal(log: string): string {
  const last = log.trimEnd().split("\n").at(-1) ?? "";
  return complaintsIn(log).at(-1) ?? last.replace(/^twilld: /, "");
}

/** The log's lines at warning level and above, as sentences. */
export function complaintsIn(log: string): string[] {
  return log.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    const { level, msg, err, reason } = JSON.parse(line) as Readonly<Record<string, string>>;
    if (level !== "warn" && level !== "error") return [];
    const why = err ?? reason;
    return [why === undefined ? String(msg) : `${msg}: ${why}`];
  });
}

function podLink(node: Node): PodLink {
  const env = node.subnetEnv();
  const subnet = env["FLANNEL_SUBNET"]?.split(".").slice(0, 3).join(".");
  if (subnet === undefined) throw new Error(`${node.name} has no FLANNEL_SUBNET`);
  return { subnet, mtu: Number(env["FLANNEL_MTU"]) };
}

async function leaseMac(lab: Lab, id: string, subnet: string): Promise<string> {
  const leases = await lab.etcd.list(`${prefix(id)}/subnets/${subnet}.0-24`);
  const value = JSON.parse(leases[0]?.value ?? "{}") as { BackendData?: { VtepMAC?: string } };
  const mac = value.BackendData?.VtepMAC;
  if (mac === undefined) throw new Error(`the lease of ${subnet}.0/24 has no VTEP MAC`);
  return mac;
}

async function putLease(lab: Lab, id: string, machine: UnderlayHost, subnet: string): Promise<void> {
  const BackendData = { VNI, VtepMAC: KERNEL_MAC };
  const lease = { PublicIP: machine.address, PublicIPv6: null, BackendType: "vxlan", BackendData };
  const granted = await lab.etcd.ctl(["lease", "grant", "86400"]);
  const leaseId = /lease ([0-9a-f]+) granted/.exec(granted.stdout)?.[1] ?? "";
  await lab.etcd.ctl(["put", `--lease=${leaseId}`, `${prefix(id)}/subnets/${subnet}.0-24`, JSON.stringify(lease)]);
}

async function routed(node: Node, subnet: string): Promise<void> {
  await waitUntil(
    () => hasOverlayRoute(node.netns, subnet),
    `${node.name} to have a route to ${subnet}.0/24`,
    node.twilld,
  );
}
