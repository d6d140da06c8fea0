import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "../../pkg/lab/lab.ts";
import { until } from "../until.ts";
import { compiled } from "./compiled.ts";
import type { Relayed } from "./relay.ts";

const RELAY = join(import.meta.dirname, "relay.ts");
const PORT = "wire";
const FAR_END = "wire-r";

export interface Faults {
  /** Shares of all frames, from 0 to 1, both ways. */
  readonly drop: number;
  readonly reorder: number;
}

/**
 * Puts relay.ts between a host of the lab and the underlay's bridge. The hosts' own offloads must be off (makeWireLike).
 * Returns what takes it away and tells what it did.
 *
 *   eth0 ── node1 ◀── relay.ts ──▶ wire-r ── wire ── br0
 */
export async function makeBadWire(lab: Lab, host: string, { drop, reorder }: Faults): Promise<() => Promise<Relayed>> {
  const { underlay, directory } = lab;
  const log = join(directory, `relay-${drop}-${reorder}-${host}.log`);
  await underlay.run(["ip", "-batch", "-"], {
    input: `
      link add ${PORT} mtu 1500 type veth peer name ${FAR_END} mtu 1500
      link set ${FAR_END} addrgenmode none
      link set ${FAR_END} up
      link set ${host} nomaster
      link set ${PORT} master br0 up`,
  });
  const relay = await underlay.start(
    [process.execPath, compiled(RELAY), host, FAR_END, String(drop), String(reorder)],
    {
      name: `the relay before ${host}`,
      log,
    },
  );
  const lines = (): string[] => readFileSync(log, "utf8").split("\n").slice(0, -1);
  const says = async (count: number): Promise<void> =>
    until(() => {
      if (lines().length < count && !relay.running) throw new Error(`${relay.name} ended: ${relay.tail(3).join("; ")}`);
      return lines().length >= count;
    });
  await says(1);
  return async () => {
    await relay.stop();
    await underlay.run(["ip", "-batch", "-"], { input: `link del ${PORT}\nlink set ${host} master br0` });
    return JSON.parse(lines()[1] ?? "") as Relayed;
  };
}
