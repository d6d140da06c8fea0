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

// veth joins (GRO) only what comes from a port without TSO: veth_skb_is_eligible_for_gro in drivers/net/veth.c.
const PORT = ["tso", "off"] as const;

/**
 * Takes the offloads off the machines' eth0, so that the kernel cuts and sums in software as before a network card that
 * cannot do it for tunnels. With `bridge`, the namespace of the underlay, in which each machine's port has the machine's
 * name, it also joins what arrives, as behind any card. Returns what puts the offloads back as they were.
 */
export async function makeWireLike(machines: readonly Netns[], bridge?: Netns): Promise<() => Promise<void>> {
  const devices = machines.flatMap((netns) => [
    { netns, device: DEVICE, want: WIRE_LIKE },
    ...(bridge ? [{ netns: bridge, device: netns.name, want: PORT }] : []),
  ]);
  const before = await Promise.all(devices.map(({ netns, device }) => readFeatures(netns, device)));
  await Promise.all(devices.map(({ netns, device, want }) => netns.run(["ethtool", "-K", device, ...want])));
  return async () => {
    await Promise.all(
      devices.map(({ netns, device }, i) => netns.run(["ethtool", "-K", device, ...(before[i] ?? [])])),
    );
  };
}

async function readFeatures(netns: Netns, device: string): Promise<string[]> {
  const { stdout } = await netns.run(["ethtool", "-k", device]);
  return parseFeatures(stdout, device);
}

/** The arguments of `ethtool -K` that make the device what `ethtool -k` has printed of it. */
export function parseFeatures(text: string, device: string): string[] {
  return FEATURES.flatMap(([listed, name]) => {
    const value = new RegExp(`^${listed}: (on|off)`, "m").exec(text)?.[1];
    if (value === undefined) throw new Error(`ethtool does not tell the feature ${listed} of ${device}`);
    return [name, value];
  });
}
