// What a chaos run breaks. Each fault is taken back by what a person or the machine's own software would do: an agent is
// started again, an interface is set up; what twilld has to put right by itself is left to it.

import type { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { UNDERLAY_ADDRESS } from "../../pkg/lab/underlay.ts";
import type { Kind } from "./schedule.ts";

export interface Fault {
  readonly name: string;
  readonly kind: Kind;
  /** The longest that it stays, in milliseconds. */
  readonly longestMs: number;
  /** Breaks it. Resolves to what takes it back. `node` is the first one for a fault of etcd. */
  readonly strike: (lab: Lab, node: Node) => Promise<() => Promise<void>>;
}

const nothing = async (): Promise<void> => {};
const sh = async (node: Node, command: string): Promise<void> => void (await node.run(["sh", "-c", command]));

// Where a fault of etcd runs at the same time, etcdctl may have to wait for its end.
const ETCDCTL = ["--dial-timeout=20s", "--command-timeout=20s"];

/** The key of the node's lease in etcd, and the etcd lease that it hangs on. */
async function leaseOf(lab: Lab, node: Node): Promise<{ key: string; leaseId: string }> {
  const subnet = (node.subnetEnv()["FLANNEL_SUBNET"] ?? "").replace(/\.1\//, ".0-");
  const key = `${lab.prefix}/subnets/${subnet}`;
  const { stdout } = await lab.etcd.ctl([...ETCDCTL, "get", "-w", "fields", key]);
  return { key, leaseId: BigInt(/"Lease" : (\d+)/.exec(stdout)?.[1] ?? 0).toString(16) };
}

/** A fault of one node that a command makes and another takes back; DEV is filled in. */
function command(name: string, longestMs: number, strike: string, heal?: string): Fault {
  return {
    name,
    kind: "node",
    longestMs,
    async strike(_, node) {
      await sh(node, `DEV=$(ip -o link show | grep -oE '(twill|flannel)[.][0-9]+' | head -1); ${strike}`);
      return heal === undefined ? nothing : () => sh(node, heal);
    },
  };
}

export const FAULTS: readonly Fault[] = [
  {
    name: "agent killed",
    kind: "node",
    longestMs: 3_000,
    async strike(_, node) {
      await node.kill();
      return async () => void (await node.start());
    },
  },
  {
    name: "agent restarted",
    kind: "node",
    longestMs: 500,
    async strike(_, node) {
      await node.stop();
      return async () => void (await node.start());
    },
  },
  {
    name: "agent frozen",
    kind: "node",
    longestMs: 4_000,
    async strike(_, node) {
      const { twilld } = node;
      twilld?.signal("SIGSTOP");
      return async () => twilld?.signal("SIGCONT");
    },
  },
  command("device deleted", 500, 'ip link delete "$DEV"'),
  command("routes flushed", 500, 'ip route flush dev "$DEV"'),
  command("device down", 500, 'ip link set "$DEV" down'),
  command("nft and iptables flushed", 500, "nft flush ruleset"),
  command(
    "underlay down",
    4_000,
    "ip link set eth0 down",
    `ip link set eth0 up && ip route replace default via ${UNDERLAY_ADDRESS}`,
  ),
  command(
    "etcd out of a node's reach",
    15_000,
    "nft add table inet chaos && nft add chain inet chaos output '{ type filter hook output priority 0; }' && " +
      "nft add rule inet chaos output tcp dport 2379 drop",
    // Somebody else may have flushed it.
    "nft delete table inet chaos 2>/dev/null || true",
  ),
  {
    name: "lease revoked",
    kind: "node",
    longestMs: 500,
    async strike(lab, node) {
      const { leaseId } = await leaseOf(lab, node);
      await lab.etcd.ctl([...ETCDCTL, "lease", "revoke", leaseId]);
      return nothing;
    },
  },
  {
    name: "lease's key deleted",
    kind: "node",
    longestMs: 500,
    async strike(lab, node) {
      const { key } = await leaseOf(lab, node);
      await lab.etcd.ctl([...ETCDCTL, "del", key]);
      return nothing;
    },
  },
  {
    name: "etcd killed",
    kind: "etcd",
    longestMs: 10_000,
    async strike(lab) {
      await lab.etcd.kill();
      return () => lab.etcd.start();
    },
  },
  {
    name: "etcd frozen",
    kind: "etcd",
    longestMs: 10_000,
    async strike(lab) {
      const { daemon } = lab.etcd;
      daemon?.signal("SIGSTOP");
      return async () => daemon?.signal("SIGCONT");
    },
  },
  {
    name: "history compacted",
    kind: "etcd",
    longestMs: 500,
    async strike(lab) {
      // What is compacted already cannot be compacted again.
      const { stdout } = await lab.etcd.ctl([...ETCDCTL, "put", "-w", "json", "/chaos", "compaction"]);
      const { header } = JSON.parse(stdout) as { header: { revision: number } };
      await lab.etcd.ctl([...ETCDCTL, "compact", String(header.revision)]);
      return nothing;
    },
  },
];
