import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "../../../pkg/lab/lab.ts";
import type { UnderlayHost } from "../../../pkg/lab/underlay.ts";
import { startAgent } from "./agent.ts";
import { requirePrograms } from "./installed.ts";
import { addMachines, addPods, SUBNETS } from "./machines.ts";
import type { Testbed } from "./testbed.ts";
import { hasDevice } from "./wait.ts";

const MTU = 1420;
const PORT = 51_820;

interface Party {
  readonly machine: UnderlayHost;
  readonly device: string;
  readonly subnet: string;
  /** File of the private key. */
  readonly keyFile: string;
  readonly publicKey: string;
}

/** wireguard-go on both machines. It encrypts: the figures say what that costs too. */
export async function openWireguard(lab: Lab): Promise<Testbed> {
  requirePrograms({ "wireguard-go": "wireguard-go", wg: "wireguard-tools" });
  const machines = await addMachines(lab, "wggo");
  // Both control sockets lie in one /run/wireguard, so that the devices need names of their own.
  const a = await makeParty(lab, machines[0], { device: "wga", subnet: SUBNETS[0] });
  const b = await makeParty(lab, machines[1], { device: "wgb", subnet: SUBNETS[1] });
  const agents = [await start(lab, a, b), await start(lab, b, a)];
  return { ...(await addPods(lab, machines, MTU)), machines: machines.map(({ netns }) => netns), agents };
}

async function makeParty(
  lab: Lab,
  machine: UnderlayHost,
  own: { readonly device: string; readonly subnet: string },
): Promise<Party> {
  const { stdout: key } = await machine.netns.run(["wg", "genkey"]);
  const { stdout: publicKey } = await machine.netns.run(["wg", "pubkey"], { input: key });
  const keyFile = join(lab.directory, `${own.device}.key`);
  writeFileSync(keyFile, key, { mode: 0o600 });
  return { machine, ...own, keyFile, publicKey: publicKey.trim() };
}

async function start(lab: Lab, own: Party, peer: Party): Promise<Testbed["agents"][number]> {
  const { netns } = own.machine;
  const argv = ["wireguard-go", "--foreground", own.device];
  const agent = await startAgent(lab, own.machine, argv, () => hasDevice(netns, own.device));
  await netns.run(["wg", "set", own.device, "private-key", own.keyFile, "listen-port", String(PORT)]);
  const reach = ["endpoint", `${peer.machine.address}:${PORT}`, "allowed-ips", `${peer.subnet}.0/24`];
  await netns.run(["wg", "set", own.device, "peer", peer.publicKey, ...reach]);
  await netns.run(["ip", "link", "set", own.device, "mtu", String(MTU), "up"]);
  await netns.run(["ip", "route", "add", `${peer.subnet}.0/24`, "dev", own.device]);
  return agent;
}
