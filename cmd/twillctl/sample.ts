import type { LeaseStatus, Status } from "../../pkg/api/status.ts";

/** 2026-01-01T00:00:00Z, when the sample was taken. */
export const NOW = 1_767_225_600_000;

export const ownLease: LeaseStatus = {
  key: "10.5.52.0-24",
  subnets: ["10.5.52.0/24"],
  publicIps: ["192.0.2.11"],
  backendType: "vxlan",
  dataplane: "tun",
  nodeId: "8d7c",
  nodeName: "node-a",
  leaseId: "7587862094785447173",
  expiresAt: NOW + 83_400_000,
  own: true,
};

/** A peer that runs flannel: it says nothing of itself. */
export const flannelLease: LeaseStatus = {
  ...ownLease,
  key: "10.5.9.0-24",
  subnets: ["10.5.9.0/24"],
  publicIps: ["192.0.2.12"],
  dataplane: "",
  nodeId: "",
  nodeName: "",
  leaseId: "0",
  expiresAt: 0,
  own: false,
};

export const sample: Status = {
  version: "0.1.0",
  node: { id: "8d7c", name: "node-a" },
  startedAt: NOW - 11_531_000,
  ready: true,
  problems: [],
  network: { networks: ["10.5.0.0/16"], backendType: "vxlan", vni: 1, port: 8472 },
  underlay: { interface: "eth0", mtu: 1500, publicIps: ["192.0.2.11"] },
  lease: ownLease,
  dataplane: {
    name: "tun",
    rung: "gso",
    mtus: [1450],
    counters: { rx_packets: 9_007_199_254_740_993n, rx_bad_vni: 0n },
  },
  etcd: { endpoints: ["http://10.0.0.1:2379"], connected: true, error: "", since: NOW - 11_531_000 },
  peers: [
    {
      lease: flannelLease,
      state: "failed",
      reason: "the lease has no VtepMAC",
      txPackets: 10n,
      txBytes: 1234n,
      rxPackets: 0n,
      rxBytes: 0n,
    },
  ],
};
