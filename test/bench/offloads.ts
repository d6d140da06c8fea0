import type { Netns } from "../../pkg/lab/netns.ts";

const DEVICE = "eth0";
// What ethtool calls a feature in its list, and what it calls it where one sets it.
const FEATURES = [
  ["tx-checksumming", "tx"],
  ["tcp-segmentation-offload", "tso"],
  ["generic-segmentation-offload", "gso"],
  ["generic-receive-offload", "gro"],
] as const;
const WIRE_LIKE = ["tx", "off", "tso", "off", "gso", "off", "gro", "on"] as const;

/**
 * Takes the offloads off the machines' eth0, so that the kernel cuts and sums in software as before a network card that
 * cannot do it for tunnels. Returns what puts them back as they were.
 */
export async function makeWireLike(machines: readonly Netns[]): Promise<() => Promise<void>> {
  const before = await Promise.all(machines.map(readFeatures));
  await Promise.all(machines.map((netns) => netns.run(["ethtool", "-K", DEVICE, ...WIRE_LIKE])));
  return async () => {
    await Promise.all(machines.map((netns, i) => netns.run(["ethtool", "-K", DEVICE, ...(before[i] ?? [])])));
  };
}

async function readFeatures(netns: Netns): Promise<string[]> {
  const { stdout } = await netns.run(["ethtool", "-k", DEVICE]);
  return parseFeatures(stdout);
}

/** The arguments of `ethtool -K` that make the device what `ethtool -k` has printed of it. */
export function parseFeatures(text: string): string[] {
  return FEATURES.flatMap(([listed, name]) => {
    const value = new RegExp(`^${listed}: (on|off)`, "m").exec(text)?.[1];
    if (value === undefined) throw new Error(`ethtool does not tell the feature ${listed} of ${DEVICE}`);
    return [name, value];
  });
}
