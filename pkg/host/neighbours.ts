import { formatAddr, parseAddr } from "../addr/addr.ts";
import { parseMac } from "../addr/mac.ts";

import type { Commands } from "./command.ts";
import { type FdbEntry, HostError, type HostChange, type Neighbour } from "./host.ts";

// Neighbours by `ip neigh`, forwarding entries of VXLAN devices by `bridge fdb`.

interface IpNeighbour {
  readonly dst: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

interface BridgeFdb {
  readonly mac: string;
  readonly dst?: string;
  // Shown where they are not the device's (drivers/net/vxlan/vxlan_core.c, vxlan_fdb_info).
  readonly port?: number;
  readonly vni?: number;
  readonly viaIf?: string;
  readonly viaIfIndex?: number;
  readonly state?: string;
}

/** See Host.neighbours. */
export async function readNeighbours(commands: Commands, dev: string): Promise<Neighbour[]> {
  const rows = (await readJson(commands, "ip", ["-j", "neigh", "show", "dev", dev])) as readonly IpNeighbour[];
  return rows.flatMap((row) => {
    const addr = parseAddr(row.dst);
    return addr
      ? [{ addr, mac: parseMac(row.lladdr ?? ""), permanent: row.state?.includes("PERMANENT") ?? false }]
      : [];
  });
}

/** See Host.fdb. */
export async function readFdb(commands: Commands, dev: string): Promise<FdbEntry[]> {
  const rows = (await readJson(commands, "bridge", ["-j", "fdb", "show", "dev", dev])) as readonly BridgeFdb[];
  return rows.flatMap((row) => {
    const [mac, dst] = [parseMac(row.mac), parseAddr(row.dst ?? "")];
    const elsewhere = [row.port, row.vni, row.viaIf, row.viaIfIndex].some((own) => own !== undefined);
    const entry = mac && dst && { mac, dst, permanent: row.state === "permanent" };
    return entry ? [elsewhere ? { ...entry, elsewhere } : entry] : [];
  });
}

export function neighbourLine(change: HostChange & { kind: "neighbour" | "delete-neighbour" }): string {
  const { dev, addr } = change;
  if (change.kind === "delete-neighbour") return `neigh delete ${formatAddr(addr)} dev ${dev}`;
  return `neigh replace ${formatAddr(addr)} lladdr ${change.mac} dev ${dev} nud permanent`;
}

export function fdbLine(change: HostChange & { kind: "fdb" | "delete-fdb" }): string {
  const { mac, dev } = change;
  // With a destination it would have to match port, VNI and interface too (drivers/net/vxlan/vxlan_core.c,
  // vxlan_fdb_find_rdst); without one the kernel deletes whatever the MAC has.
  if (change.kind === "delete-fdb") return `fdb delete ${mac} dev ${dev} self`;
  return `fdb replace ${mac} dst ${formatAddr(change.dst)} dev ${dev} self permanent`;
}

async function readJson(commands: Commands, tool: string, args: readonly string[]): Promise<readonly unknown[]> {
  const { code, stdout, stderr } = await commands.run(tool, args);
  if (code === 0) return stdout.trim() === "" ? [] : (JSON.parse(stdout) as unknown[]);
  if (stderr.includes("Cannot find device")) return [];
  throw new HostError(`${tool} ${args.join(" ")} failed: ${stderr.trim()}`);
}
