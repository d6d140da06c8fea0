// A mesh of tests: nodes "a", "b", "c" as their agents tell of them.
import type { PeerProbe } from "../api/probe.ts";
import type { LeaseStatus, PeerStatus, Status } from "../api/status.ts";
import type { Seen } from "./agent-view.ts";

/** 2026-01-01T00:00:00Z. */
export const WALL = 1_767_225_600_000;

const NAMES = ["a", "b", "c"];
export const keyOf = (name: string): string => `10.5.${NAMES.indexOf(name) + 1}.0-24`;

export function leaseOf(name: string, more: Partial<LeaseStatus> = {}): LeaseStatus {
  const i = NAMES.indexOf(name) + 1;
  return {
    key: keyOf(name),
    subnets: [`10.5.${i}.0/24`],
    publicIps: [`192.0.2.${i}`],
    backendType: "vxlan",
    dataplane: "tun",
    nodeId: `id-${name}`,
    nodeName: name,
    leaseId: "7",
    expiresAt: WALL + 3_600_000,
    own: false,
    ...more,
  };
}

export function peerOf(name: string, more: Partial<PeerStatus> = {}): PeerStatus {
  const none = { txPackets: 0n, txBytes: 0n, rxPackets: 0n, rxBytes: 0n };
  return { lease: leaseOf(name), state: "in-sync", reason: "", ...none, ...more };
}

export function echoOf(name: string, more: Partial<PeerProbe> = {}): PeerProbe {
  return {
    key: keyOf(name),
    overlay: "",
    underlay: "",
    state: "up",
    since: WALL - 60_000,
    rttMs: 0.5,
    sent: 20,
    lost: 0,
    lastSeen: WALL - 1000,
    lastAnswer: WALL - 1000,
    mtu: 1450,
    wantedMtu: 1450,
    tcp: "answers",
    inbound: "arrives",
    ...more,
  };
}

export function statusOf(name: string, peers: readonly PeerStatus[], more: Partial<Status> = {}): Status {
  return {
    version: "0.1.0",
    node: { id: `id-${name}`, name },
    startedAt: WALL - 600_000,
    ready: true,
    problems: [],
    network: { networks: ["10.5.0.0/16"], backendType: "vxlan", vni: 1, port: 8472 },
    underlay: { interface: "eth0", mtu: 1500, publicIps: leaseOf(name).publicIps },
    lease: leaseOf(name, { own: true }),
    dataplane: { name: "tun", rung: "gso", mtus: [1450], counters: { tx_packets: 9n, rx_spoofed_source: 0n } },
    etcd: { endpoints: [], connected: true, error: "", since: WALL },
    peers,
    ...more,
  };
}

/** An agent that answers; two looks at it, `then` a second before. */
export function seen(name: string, status: Status, probes: readonly PeerProbe[], then = status): Seen {
  const look = (status: Status, at: number): Seen["last"] => ({
    at,
    status,
    peers: new Map(status.peers.map((peer) => [peer.lease.key, peer])),
    probes: new Map(probes.map((probe) => [probe.key, probe])),
  });
  return {
    socket: `/run/${name}.sock`,
    last: look(status, 1000),
    before: look(then, 0),
    answers: true,
    since: WALL - 5000,
    error: "",
  };
}
