// What the kernel plane or host-gw and the traffic rules make of recorded leases, beside what flannel made of them, line by line as
// `ip` and `bridge` print it.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { mapFamilies } from "../../pkg/addr/family.ts";
import { formatPrefix } from "../../pkg/addr/prefix.ts";
import { MemoryLogger } from "../../pkg/base/logger.ts";
import { KernelDataplane } from "../../pkg/dataplane/kernel/kernel-dataplane.ts";
import { HostGwDataplane } from "../../pkg/dataplane/hostgw/hostgw-dataplane.ts";
import type { Dataplane } from "../../pkg/dataplane/dataplane.ts";
import type { Host } from "../../pkg/host/host.ts";
import { LinuxHost } from "../../pkg/host/linux-host.ts";
import { readLeaseRow } from "../../pkg/lease/lease-row.ts";
import type { Lease } from "../../pkg/lease/lease.ts";
import { familiesOf, type NetworkConfig, parseNetworkConfig } from "../../pkg/subnet/network-config.ts";
import { Traffic } from "../../pkg/traffic/traffic.ts";
import type { Underlay } from "../../pkg/underlay/underlay.ts";
import { addr } from "../literals.ts";
import { notRoot } from "./netns.ts";

const GOLDEN = fileURLToPath(new URL("../../../shared/golden/flannel/", import.meta.url));
const PREFIX = "/coreos.com/network/";
const missing = !existsSync(GOLDEN);
const title = missing
  ? "recorded flannel nodes (skipped: there are no recordings here)"
  : `recorded flannel nodes${notRoot ? " (skipped: network namespaces need root here)" : ""}`;

// Where we differ on purpose, and why. Anything else is a defect.
const DIFFERENCES = {
  // Plain routes carry a protocol of ours, so that a later run knows them again: flannel's stay behind for ever when
  // their peer leaves while it is down.
  plainRoutes: (line: string): string => line.replace(" proto 84", ""),
  // Masquerading is in `ip twill`, where it is written as a whole and put back, and names the own subnet where
  // flannel's nft rules shadow one another. Forward accepts are in iptables only where somebody uses that. Senders are
  // checked in `twill-sender` where they come through VXLAN, which flannel does not do.
  tables: { 4: ["table ip twill", "table ip twill-sender"], 6: ["table ip6 twill", "table ip6 twill-sender"] },
};

const cases = ["vxlan", "vxlan-opts", "vxlan-directrouting", "dualstack-nft", "hostgw"].flatMap((folder) =>
  [1, 2].map((node) => ({ folder, node })),
);

describe.skipIf(missing || notRoot)(title, () => {
  test.each(cases)("$folder, node $node", async ({ folder, node }) => {
    const file = (name: string): string => readFileSync(`${GOLDEN}${folder}/${name}`, "utf8");
    const { config, leases } = readEtcd(file("etcd.txt"));
    const families = familiesOf(config);
    const underlay: Underlay = {
      name: "veth0",
      index: 2,
      mtu: 1500,
      addr: { 4: addr(`172.30.77.1${node}`), 6: addr(`fd77::1${node}`) },
      publicIp: { 4: addr(`172.30.77.1${node}`), 6: addr(`fd77::1${node}`) },
    };
    const own = leases.find((lease) => lease.attrs.publicIp[4]?.value === underlay.publicIp[4]?.value);
    if (!own) throw new Error(`${folder} is not what it should be`);
    const isVxlan = config.backend.type === "vxlan";
    const peers = leases.filter((lease) => lease !== own);
    const subnets = leases.flatMap((lease) => Object.values(mapFamilies(lease.subnet, formatPrefix)));

    const netns = `twf-${randomBytes(4).toString("hex")}`;
    const show = (...argv: string[]): string => execFileSync(argv[0] ?? "", argv.slice(1), { encoding: "utf8" });
    try {
      makeNode(netns, node);
      const host = new LinuxHost({ netns });
      const log = new MemoryLogger();
      const plane = makePlane(config, own, { host, log });
      const attrs = await plane.open(underlay);
      expect(attrs.vtep).toEqual(own.attrs.vtep);
      const outcome = await plane.reconcile({ own, peers, underlay });
      expect([...outcome.peers.values()]).toEqual(["in-sync"]);
      const traffic = new Traffic({ host, log });
      const rules = { network: config.network, own: own.subnet, ipMasq: true, randomFully: true, forwardRules: true };
      expect(await traffic.reconcile({ ...rules, devices: [] })).toEqual([]);

      const about = (line: string): boolean =>
        line.includes("flannel") || subnets.some((subnet) => line.startsWith(`${subnet} `));
      const lines = (text: string): string[] =>
        text
          .split("\n")
          .map((line) => line.trim())
          .filter(about)
          .sort();
      const onDevice = (line: string): boolean => !line.includes(" dev cni0 ");
      expect(devices(file(`node${node}.link.txt`))).toHaveLength(isVxlan ? families.length : 0);
      expect(devices(show("ip", "-n", netns, "-d", "link"))).toEqual(devices(file(`node${node}.link.txt`)));
      // The link-local address is "tentative" for a second.
      await expect
        .poll(() => devices(show("ip", "-n", netns, "address")), { timeout: 5_000, interval: 100 })
        .toEqual(devices(file(`node${node}.addr.txt`)));
      expect(lines(show("ip", "-n", netns, "route")).map(DIFFERENCES.plainRoutes)).toEqual(
        lines(file(`node${node}.route4.txt`)).filter(onDevice),
      );
      expect(lines(show("ip", "-n", netns, "-6", "route"))).toEqual(
        lines(file(`node${node}.route6.txt`)).filter(onDevice),
      );
      expect(lines(show("ip", "-n", netns, "neigh"))).toEqual(lines(file(`node${node}.neigh.txt`)));
      const fdb = lines(show("ip", "netns", "exec", netns, "bridge", "fdb"));
      expect(fdb).toEqual(lines(file(`node${node}.fdb.txt`)));

      const tables = show("ip", "netns", "exec", netns, "nft", "list", "tables").trim().split("\n").sort();
      const expected = families.flatMap((family) => DIFFERENCES.tables[family]);
      expect(tables).toEqual(expected.filter((table) => isVxlan || !table.endsWith("-sender")).sort());
    } finally {
      show("ip", "netns", "delete", netns);
    }
  });
});

function makePlane(
  { backend, network }: NetworkConfig,
  own: Lease,
  parts: { readonly host: Host; readonly log: MemoryLogger },
): Dataplane {
  if (backend.type !== "vxlan") return new HostGwDataplane({ network, ...parts });
  const vtepMac = mapFamilies(own.attrs.vtep, ({ mac }) => mac);
  return new KernelDataplane({ backend, network, vtepMac, verifySender: "default", ...parts });
}

function makeNode(netns: string, node: number): void {
  const ip = (text: string): void => void execFileSync("ip", ["-n", netns, ...text.split(" ")]);
  execFileSync("ip", ["netns", "add", netns]);
  ip("link add veth0 type veth peer name peer0");
  for (const dev of ["lo", "veth0", "peer0"]) ip(`link set ${dev} up`);
  ip(`address add 172.30.77.1${node}/24 dev veth0`);
  ip(`address add fd77::1${node}/64 dev veth0 nodad`);
  ip("route add default via 172.30.77.1");
  ip("route add default via fd77::1");
}

function readEtcd(text: string): { config: NetworkConfig; leases: Lease[] } {
  const lines = text.trim().split("\n");
  let config: NetworkConfig | undefined;
  const leases: Lease[] = [];
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const key = (lines[i] ?? "").slice(PREFIX.length);
    const value = lines[i + 1] ?? "";
    if (key === "config") config = parseNetworkConfig(value);
    const row = { key, value, leaseId: "7", modRevision: "1", createRevision: "1" };
    const lease = readLeaseRow(row)?.value?.lease.value;
    if (lease) leases.push(lease);
  }
  if (!config) throw new Error("there is no config among the keys");
  return { config, leases };
}

// The blocks of flannel's devices in `ip link` or `ip address`, without what depends on the machine: indexes, and from
// addrgenmode on the sizes of queues and super-packets.
function devices(text: string): string[] {
  return text
    .split(/^\d+: /m)
    .filter((block) => block.startsWith("flannel"))
    .map((block) => block.replaceAll(/(addrgenmode \w+).*/g, "$1").replaceAll(/\s+/g, " "))
    .sort();
}
