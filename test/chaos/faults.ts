// What a chaos run breaks. Each fault is taken back by what a person or the machine's own software would do: an agent is
// started again, an interface is set up; what twilld has to put right by itself is left to it.

import { join } from "node:path";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import type { KeyValue } from "../../pkg/lab/etcd-server.ts";
import type { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import type { Pod } from "../../pkg/lab/pod.ts";
import { UNDERLAY_ADDRESS } from "../../pkg/lab/underlay.ts";
import type { Kind } from "./schedule.ts";

export interface Fault {
  readonly name: string;
  readonly kind: Kind;
  /** The shortest and the longest that it stays, in milliseconds; the former is the schedule's where it is left out. */
  readonly leastMs?: number;
  readonly longestMs: number;
  /** Sentences that the node's agent then tells as errors, rightly. */
  readonly errors?: readonly string[];
  /** Breaks it. Resolves to what takes it back. `node` is the first one for a fault of etcd. */
  readonly strike: (lab: Lab, node: Node) => Promise<() => Promise<void>>;
}

const BURST_PORT = "5203";

const nothing = async (): Promise<void> => {};
const sh = async (node: Node, command: string): Promise<void> => void (await node.run(["sh", "-c", command]));

// Where a fault of etcd runs at the same time, etcdctl may have to wait for its end.
const PATIENT = ["--dial-timeout=60s", "--command-timeout=60s"];

/** The node's lease in etcd: its key, the etcd lease that it hangs on in hexadecimal, and its value, empty where it is gone. */
async function leaseOf(lab: Lab, node: Node): Promise<KeyValue> {
  const subnet = (node.subnetEnv()["FLANNEL_SUBNET"] ?? "").replace(/\.1\//, ".0-");
  const key = `${lab.prefix}/subnets/${subnet}`;
  const found = (await lab.etcd.list(key, PATIENT)).find((each) => each.key === key);
  return found ?? { key, leaseId: "0", value: "" };
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
  {
    name: "agent away for longer than its lease",
    kind: "node",
    leastMs: 65_000,
    longestMs: 75_000,
    async strike(_, node) {
      await node.stop();
      return async () => void (await node.start());
    },
  },
  {
    name: "packet loop's thread killed",
    kind: "node",
    longestMs: 500,
    async strike(_, node) {
      node.twilld?.signal("SIGUSR2");
      return nothing;
    },
  },
  {
    name: "disk full where state is written",
    kind: "node",
    longestMs: 8_000,
    async strike(_, node) {
      await sh(node, `dd if=/dev/zero of=${node.stateDir}/fill bs=4k status=none 2>/dev/null || true`);
      return () => sh(node, `rm ${node.stateDir}/fill`);
    },
  },
  {
    name: "pods send as much as they can",
    kind: "node",
    longestMs: 5_000,
    async strike(lab, node) {
      const [from] = node.pods;
      const to = lab.pods[(lab.pods.indexOf(from as Pod) + 2) % lab.pods.length];
      if (!from || !to) throw new Error(`${node.name} has no pod`);
      const log = (name: string): string => join(lab.directory, `burst-${name}-${node.name}.log`);
      const name = `the burst from ${from.name}`;
      const server = await to.netns.start(["iperf3", "--server", "--one-off", "--port", BURST_PORT], {
        name,
        log: log("to"),
      });
      await sleep(systemClock, 200);
      const argv = ["iperf3", "--client", to.address, "--port", BURST_PORT, "--time", "0"];
      const client = await from.netns.start(argv, { name, log: log("from") });
      return async () => {
        await client.kill();
        await server.kill();
      };
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
      if (leaseId !== "0") await lab.etcd.ctl([...PATIENT, "lease", "revoke", leaseId]);
      return nothing;
    },
  },
  {
    name: "lease's key deleted",
    kind: "node",
    longestMs: 500,
    async strike(lab, node) {
      const { key } = await leaseOf(lab, node);
      await lab.etcd.ctl([...PATIENT, "del", key]);
      return nothing;
    },
  },
  {
    name: "lease moved to a shorter one",
    kind: "node",
    longestMs: 500,
    async strike(lab, node) {
      const { key, value } = await leaseOf(lab, node);
      const { stdout } = await lab.etcd.ctl([...PATIENT, "lease", "grant", "20"]);
      const id = /lease (\w+) granted/.exec(stdout)?.[1] ?? "";
      // A lease that was just lost has no value to be put there.
      if (value !== "") await lab.etcd.ctl([...PATIENT, "put", `--lease=${id}`, "--", key, value]);
      return nothing;
    },
  },
  {
    name: "subnet taken by another node",
    kind: "node",
    longestMs: 3_000,
    errors: ["cannot hold our subnet"],
    async strike(lab, node) {
      // An agent that is only starting would rightly lease another subnet, and its pods would have lost theirs for good.
      const ready = await node.http("/readyz").catch(() => undefined);
      if (ready?.status !== 200) return nothing;
      const { key } = await leaseOf(lab, node);
      await lab.etcd.ctl([
        ...PATIENT,
        "put",
        "--",
        key,
        JSON.stringify({ PublicIP: "172.31.9.9", BackendType: "vxlan" }),
      ]);
      return async () => {
        // The node may have had it again, after its lease was lost at the same time.
        const { value } = await leaseOf(lab, node);
        if (value.includes("172.31.9.9")) await lab.etcd.ctl([...PATIENT, "del", "--", key]);
      };
    },
  },
  {
    name: "etcd restarted",
    kind: "etcd",
    longestMs: 500,
    async strike(lab) {
      await lab.etcd.stop();
      return () => lab.etcd.start();
    },
  },
  {
    name: "etcd slow",
    kind: "etcd",
    longestMs: 10_000,
    async strike(lab) {
      const { daemon } = lab.etcd;
      const stop = new AbortController();
      // Four fifths of the time it does nothing.
      const slowing = (async () => {
        while (!stop.signal.aborted) {
          daemon?.signal("SIGSTOP");
          await sleep(systemClock, 400, stop.signal);
          daemon?.signal("SIGCONT");
          await sleep(systemClock, 100, stop.signal);
        }
      })();
      return async () => {
        stop.abort();
        await slowing;
      };
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
      const { stdout } = await lab.etcd.ctl([...PATIENT, "put", "-w", "json", "/chaos", "compaction"]);
      const { header } = JSON.parse(stdout) as { header: { revision: number } };
      await lab.etcd.ctl([...PATIENT, "compact", String(header.revision)]);
      return nothing;
    },
  },
];
