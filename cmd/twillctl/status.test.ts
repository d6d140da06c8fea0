import { expect, test } from "vitest";
import type { PeerProbe } from "../../pkg/api/probe.ts";
import { NOW, flannelLease, ownLease, sample } from "./sample.ts";
import { showLeases } from "./leases.ts";
import type { Screen } from "./screen.ts";
import { showStatus } from "./status.ts";

const file: Screen = { width: undefined, colours: false, now: NOW };

test("status tells the facts of a node that is ready", () => {
  expect(showStatus(sample, file).split("\n")).toEqual([
    "node-a is ready",
    "",
    "agent       twilld 0.1.0, running for 3 h 12 min",
    "node id     8d7c",
    "network     10.5.0.0/16, vxlan, VNI 1, port 8472",
    "underlay    eth0, MTU 1500, 192.0.2.11",
    "lease       10.5.52.0/24, expires in 23 h 10 min",
    "data plane  tun, MTU 1450",
    "counters    rx_packets 9007199254740993",
    "etcd        http://10.0.0.1:2379, connected for 3 h 12 min",
    "",
    "PEER         NODE  ADDRESS     SENT    RECEIVED  STATE",
    "10.5.9.0/24  -     192.0.2.12  1.2 kB  0 B       failed: the lease has no VtepMAC",
    "",
  ]);
});

test("status tells since when a peer is unreachable, and what was measured and is wrong", () => {
  const probe: PeerProbe = {
    key: flannelLease.key,
    overlay: "10.5.9.0",
    underlay: "192.0.2.12",
    state: "down",
    since: NOW - 65_000,
    rttMs: 0,
    sent: 3,
    lost: 3,
    lastSeen: 0,
    lastAnswer: 0,
    mtu: 0,
    wantedMtu: 1450,
    tcp: "unknown",
    inbound: "unknown",
  };
  const lines = showStatus(sample, file, [probe], ["node-b has never answered"]).split("\n");
  expect(lines.slice(0, 2)).toEqual(["node-a is ready", "! node-b has never answered"]);
  expect(lines.at(-2)).toMatch(/ failed: the lease has no VtepMAC, unreachable for 1 min 5 s$/);
});

test("status of a node that has only started says what is missing, the problems first", () => {
  const early = {
    ...sample,
    ready: false,
    problems: ["etcd does not answer", "no lease"],
    network: undefined,
    underlay: undefined,
    lease: undefined,
    dataplane: undefined,
    etcd: { endpoints: ["http://10.0.0.1:2379"], connected: false, error: "connection refused", since: NOW - 5000 },
    peers: [],
  };
  expect(showStatus(early, file).split("\n")).toEqual([
    "node-a is not ready",
    "! etcd does not answer",
    "! no lease",
    "",
    "agent       twilld 0.1.0, running for 3 h 12 min",
    "node id     8d7c",
    "network     not read from etcd yet",
    "underlay    not chosen yet",
    "lease       not acquired yet",
    "data plane  not open yet",
    "etcd        http://10.0.0.1:2379, not connected for 5 s: connection refused",
    "",
    "No peer is known: the leases of the others are read once this node has its own.",
    "",
  ]);
});

test("a network of host-gw has neither VNI nor port", () => {
  const hostGw = { ...sample, network: { networks: ["10.5.0.0/16"], backendType: "host-gw", vni: 0, port: 0 } };
  expect(showStatus(hostGw, file)).toContain("\nnetwork     10.5.0.0/16, host-gw\n");
});

test("ready is green and not ready is red, on a terminal", () => {
  const terminal = { ...file, colours: true };
  expect(showStatus(sample, terminal).split("\n")[0]).toBe("\u001b[32mnode-a is ready\u001b[0m");
  const notReady = showStatus({ ...sample, ready: false }, terminal);
  expect(notReady.split("\n")[0]).toBe("\u001b[31mnode-a is not ready\u001b[0m");
});

test("leases are a table of all nodes", () => {
  const lapsed = {
    ...flannelLease,
    leaseId: "5",
    expiresAt: NOW - 90_000,
    subnets: ["10.5.7.0/24", "fd05:0:0:7::/64"],
  };
  expect(showLeases([ownLease, flannelLease, lapsed], file).split("\n")).toEqual([
    "SUBNET                       NODE                ADDRESS     BACKEND  DATA PLANE  EXPIRES",
    "10.5.52.0/24                 node-a (this node)  192.0.2.11  vxlan    tun         in 23 h 10 min",
    "10.5.9.0/24                  -                   192.0.2.12  vxlan    -           never (reservation)",
    "10.5.7.0/24 fd05:0:0:7::/64  -                   192.0.2.12  vxlan    -           1 min 30 s ago",
    "",
  ]);
});

test("no lease is a sentence", () => {
  expect(showLeases([], file)).toBe("This node knows of no lease yet.\n");
  expect(showLeases([], file, "/nothing")).toBe("No lease stands below /nothing in etcd.\n");
});
