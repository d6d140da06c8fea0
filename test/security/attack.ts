import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "../../pkg/lab/lab.ts";
import type { Netns } from "../../pkg/lab/netns.ts";
import type { UnderlayHost } from "../../pkg/lab/underlay.ts";
import { readLeaseRow } from "../../pkg/lease/lease-row.ts";
import { attackerSetUp, INNER_PORT, type Scene, type SpoofClass } from "./spoof-classes.ts";
import type { Order } from "./spoofer.ts";

const SPOOFER = join(import.meta.dirname, "spoofer.ts");
const STRANGER = "172.31.9.9";
const PORT = 8472;

/** The scene of a lab of three nodes, a pod on the first of which is attacked under the second's address. */
export async function sceneOf(lab: Lab, pod: string): Promise<Scene> {
  const [target, peer, other] = [lab.node(1), lab.node(2), lab.node(3)];
  const inSubnet = (subnet = ""): string => subnet.replace(/\.1\/\d+$/, ".77");
  const leases = await lab.etcd.list(`${lab.prefix}/subnets/`);
  const own = leases
    .map(({ key, value }) => ({
      key: key.slice(lab.prefix.length + 1),
      value,
      leaseId: "1",
      modRevision: "1",
      createRevision: "1",
    }))
    .map((row) => readLeaseRow(row)?.value?.lease.value?.attrs)
    .find((attrs) => attrs?.nodeName === target.name);
  const ownMac = own?.vtep[4]?.mac;
  if (!ownMac) throw new Error(`${target.name} has no lease with a VTEP MAC`);
  return {
    ownMac,
    own: target.address,
    pod,
    peer: peer.address,
    peerPod: inSubnet(peer.subnetEnv()["FLANNEL_SUBNET"]),
    otherPod: inSubnet(other.subnetEnv()["FLANNEL_SUBNET"]),
    stranger: STRANGER,
  };
}

/** A machine on the underlay with all the addresses that are forged. */
export async function addAttacker(
  lab: Lab,
  target: UnderlayHost,
  classes: readonly SpoofClass[],
): Promise<UnderlayHost> {
  const host = await lab.addPlainNode("attacker");
  const mac = /link\/ether (\S+)/.exec((await target.netns.run(["ip", "link", "show", "eth0"])).stdout)?.[1] ?? "";
  await host.netns.run(["sh", "-c", attackerSetUp(classes, { address: target.address, mac })]);
  return host;
}

/** Sends them all; resolves to how many of each. */
export async function attack(
  lab: Lab,
  attacker: UnderlayHost,
  to: string,
  classes: readonly SpoofClass[],
  how: Pick<Order, "count"> | Required<Pick<Order, "perSecond" | "seconds">>,
): Promise<readonly number[]> {
  const file = join(lab.directory, "spoof.json");
  const order: Order = {
    to,
    port: PORT,
    ...how,
    classes: classes.map(({ from, bytes }) => ({ from, hex: Buffer.from(bytes).toString("hex") })),
  };
  writeFileSync(file, JSON.stringify(order));
  const { stdout } = await attacker.netns.run([process.execPath, SPOOFER, file]);
  return JSON.parse(stdout) as number[];
}

/** Counts, in a pod or on a node, what arrives for the port that spoofed packets go to, before anything else sees it. */
export async function countArrivals(netns: Netns, device: string): Promise<() => Promise<number>> {
  await netns.run(["nft", "-f", "-"], {
    input: `table netdev spoof-test { chain in { type filter hook ingress device ${device} priority -500; udp dport ${INNER_PORT} counter; }; }`,
  });
  return async () => {
    const { stdout } = await netns.run(["nft", "list", "table", "netdev", "spoof-test"]);
    return Number(/counter packets (\d+)/.exec(stdout)?.[1]);
  };
}
