import type { PeerProbe } from "../api/probe.ts";
import type { PeerStatus, Status } from "../api/status.ts";
import { COUNTERS } from "../dataplane/tun/counters.ts";
import { Metrics, Observations } from "./metrics.ts";

// A page for tests: a node with any number of peers.

export const NOW = 1_700_000_100_000;

export function peer(i: number): PeerStatus {
  const subnet = `10.${(i >> 8) & 255}.${i & 255}.0`;
  return {
    lease: {
      key: `${subnet}-24`,
      subnets: [`${subnet}/24`],
      publicIps: [`192.0.2.${i & 255}`],
      backendType: "vxlan",
      dataplane: "tun",
      nodeId: "",
      nodeName: `node"${i}`,
      leaseId: "1",
      expiresAt: 0,
      own: false,
    },
    state: "in-sync",
    reason: "",
    txPackets: BigInt(i),
    txBytes: BigInt(i * 100),
    rxPackets: 1n,
    rxBytes: 100n,
  };
}

function probe(i: number): PeerProbe {
  return {
    key: peer(i).lease.key,
    overlay: "10.0.0.1",
    underlay: "192.0.2.1",
    state: "up",
    since: 1,
    rttMs: 0.5,
    sent: 20,
    lost: 5,
    lastSeen: 1,
    lastAnswer: 1,
    mtu: 1450,
    wantedMtu: 1450,
    tcp: "answers",
    inbound: "unknown",
  };
}

/** The page of an agent with `n` peers; `measured` is what is special about its probes. */
export function pageOf(
  n: number,
  measured: Partial<PeerProbe> = {},
): { readonly metrics: Metrics; readonly observations: Observations } {
  const [lease] = [peer(0).lease];
  const status: Status = {
    version: "1.2.3",
    node: { id: "id", name: "a" },
    startedAt: 1,
    ready: true,
    problems: [],
    network: { networks: ["10.0.0.0/8"], backendType: "vxlan", vni: 1, port: 8472 },
    underlay: undefined,
    lease: { ...lease, expiresAt: NOW + 1000 },
    dataplane: {
      name: "tun",
      rung: "gso",
      mtus: [1450],
      counters: Object.fromEntries(COUNTERS.map((name, i) => [name, BigInt(i)])),
    },
    etcd: { endpoints: [], connected: false, error: "away", since: NOW - 90_000 },
    peers: Array.from({ length: n }, (_, i) => peer(i)),
  };
  const observations = new Observations();
  const source = {
    status: () => status,
    leases: () => [],
    measurements: () => ({
      etcdErrors: 3,
      freeSubnets: [{ family: 4, free: 7n } as const],
      problems: [{ about: "forwarding", count: 1 }],
    }),
  };
  const probes = Array.from({ length: n }, (_, i) => ({ ...probe(i), ...measured }));
  const parts = { source, probes: () => probes, loopSeconds: () => [1.5], wall: () => NOW };
  return { metrics: new Metrics(parts, observations), observations };
}
