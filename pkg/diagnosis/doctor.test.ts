// Each check beside a host and a cluster that are well, and with its thing broken. What the kernel makes of it is tested in
// test/netns/diagnosis.test.ts.
import { expect, test } from "vitest";
import { addr, prefix } from "../../test/literals.ts";
import type { PeerProbe } from "../api/probe.ts";
import type { LeaseStatus, Status } from "../api/status.ts";
import { MemoryHost } from "../host/memory-host.ts";
import { CHECKS, examine } from "./doctor.ts";
import type { IptablesForward, Surroundings } from "./surroundings.ts";

const NOW = 1_767_225_600_000;

function lease(i: number, own = false): LeaseStatus {
  return {
    key: `subnets/10.5.${i}.0-24`,
    subnets: [`10.5.${i}.0/24`],
    publicIps: [`192.0.2.${i}`],
    backendType: "vxlan",
    dataplane: "kernel",
    nodeId: `id-${i}`,
    nodeName: `node${i}`,
    leaseId: String(4096 + i),
    expiresAt: own ? NOW + 80_000_000 : 0,
    own,
  };
}

const probe: PeerProbe = {
  key: "subnets/10.5.2.0-24",
  overlay: "10.5.2.0",
  underlay: "192.0.2.2",
  state: "up",
  since: NOW - 5000,
  rttMs: 0.4,
  sent: 20,
  lost: 0,
  lastSeen: NOW - 100,
  lastAnswer: NOW - 100,
  mtu: 1450,
  wantedMtu: 1450,
  tcp: "answers",
  inbound: "unknown",
};

const none = { txPackets: 0n, txBytes: 0n, rxPackets: 0n, rxBytes: 0n };
const status: Status = {
  version: "0.1.0",
  node: { id: "id-1", name: "node1" },
  startedAt: NOW - 9_000_000,
  ready: true,
  problems: [],
  network: { networks: ["10.5.0.0/16"], backendType: "vxlan", vni: 1, port: 8472 },
  underlay: { interface: "eth0", mtu: 1500, publicIps: ["192.0.2.1"] },
  lease: lease(1, true),
  dataplane: { name: "kernel", rung: "", mtus: [1450], counters: {} },
  etcd: { endpoints: ["http://10.0.0.1:2379"], connected: true, error: "", since: NOW - 9_000_000 },
  peers: [{ lease: lease(2), state: "in-sync", reason: "", ...none }],
};

const ENV = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

/** A host that is well, for a test to spoil. */
class World {
  readonly host = new MemoryHost();
  readonly files = new Map<string, string>([
    ["/dev/net/tun", ""],
    ["/run/flannel/subnet.env", ENV],
    ["/run/twill/lock", "77\n"],
    ["/proc/77/status", "Name:\ttwilld\nCapEff:\t0000000000003000\n"],
    ["/etc/cni/net.d/10-twill.conflist", '{"plugins":[{"type":"twill"},{"type":"portmap"}]}'],
    ...["twill", "bridge", "host-local", "loopback"].map((name): [string, string] => [`/opt/cni/bin/${name}`, ""]),
  ]);
  status: Status | undefined = status;
  forbidden = false;
  cniBinDirs = ["/opt/cni/bin"];
  cniConfDir = "/etc/cni/net.d";
  leases: LeaseStatus[] = [lease(1, true), lease(2)];
  probes: PeerProbe[] = [probe];
  forward: IptablesForward[] = [{ variant: "iptables-nft", policy: "DROP", rules: ["-j TWILL-FWD", "-j DOCKER-USER"] }];
  etcd: { version: string; ahead: number } | undefined = { version: "3.5.9", ahead: 0 };

  constructor() {
    const global = { scope: "global", deprecated: false, dynamic: false, temporary: false } as const;
    const on = (text: string, length: number): object => ({ addresses: [{ addr: addr(text), length, ...global }] });
    this.host.addLink({ name: "eth0", up: true, mtu: 1500, ...on("192.0.2.1", 24) });
    this.host.addLink({ name: "flannel.1", kind: "vxlan", up: true, mtu: 1450 });
    this.host.addLink({ name: "cni0", kind: "bridge", up: true, mtu: 1450, ...on("10.5.1.1", 24) });
    this.host.sysctls.set("net/ipv4/ip_forward", "1").set("net/ipv4/conf/all/rp_filter", "2");
  }

  around(): Surroundings {
    const { host, status, leases, probes, files, forward } = this;
    return {
      status,
      silence: status ? "" : this.forbidden ? "no permission to use twilld.sock" : "no agent runs here",
      forbidden: this.forbidden,
      leases,
      probes,
      host,
      files: {
        read: async (path) => files.get(path),
        exists: async (path) => files.has(path),
        writtenAt: async (path) => (files.has(path) ? NOW - 600_000 : undefined),
        list: async (path) =>
          [...files.keys()]
            .filter((name) => name.startsWith(`${path}/`))
            .map((name) => name.slice(path.length + 1))
            .toSorted(),
      },
      paths: {
        subnetFile: "/run/flannel/subnet.env",
        runDir: "/run/twill",
        cniConfDir: this.cniConfDir,
        cniBinDirs: this.cniBinDirs,
      },
      forward: async () => forward,
      etcdVersion: async (endpoint) => {
        if (!this.etcd) throw new Error(`${endpoint} does not answer: connect ECONNREFUSED`);
        return { version: this.etcd.version, date: NOW - this.etcd.ahead, readAt: NOW };
      },
      now: NOW,
    };
  }
}

test("a host and a cluster that are well have no findings", async () => {
  expect(await examine(new World().around())).toEqual([]);
});

interface Break {
  readonly name: string;
  readonly check: string;
  readonly severity?: "error" | "warning" | "note";
  readonly spoil: (world: World) => unknown;
  /** What the finding says, in its three parts. */
  readonly says: RegExp;
}

const set = (world: World, change: Partial<Status>): void => void (world.status = { ...status, ...change });
const network = (world: World, freeSubnets: bigint[]): void =>
  set(world, { network: { networks: ["10.5.0.0/16"], backendType: "vxlan", vni: 1, port: 8472, freeSubnets } });
const measure = (world: World, change: Partial<PeerProbe>): void => void (world.probes = [{ ...probe, ...change }]);
const everyPeer = (world: World, change: Partial<PeerProbe>): void => {
  const second = { ...probe, key: "subnets/10.5.3.0-24", overlay: "10.5.3.0", underlay: "192.0.2.3" };
  world.probes = [probe, second].map((each) => ({ ...each, ...change }));
};

const BREAKS: readonly Break[] = [
  {
    name: "no agent",
    check: "agent",
    spoil: (w) => (w.status = undefined),
    says: /no agent runs here.*systemctl start/,
  },
  {
    name: "an agent that is not ready",
    check: "agent",
    spoil: (w) => set(w, { ready: false, problems: ["the device is gone"] }),
    says: /not ready.*the device is gone/,
  },
  {
    name: "an agent with a problem",
    check: "agent",
    severity: "warning",
    spoil: (w) => set(w, { problems: ["restart twilld to apply it"] }),
    says: /restart twilld to apply it/,
  },
  {
    name: "no /dev/net/tun",
    check: "tun-device",
    spoil: (w) => {
      w.files.delete("/dev/net/tun");
      set(w, { dataplane: { name: "tun", rung: "", mtus: [1450], counters: {} } });
    },
    says: /no \/dev\/net\/tun.*modprobe tun/,
  },
  {
    name: "an agent without CAP_NET_RAW",
    check: "capabilities",
    spoil: (w) => w.files.set("/proc/77/status", "CapEff:\t0000000000001000\n"),
    says: /without CAP_NET_RAW.*CapEff 0000000000001000/,
  },
  {
    name: "etcd away",
    check: "etcd",
    spoil: (w) => {
      w.etcd = undefined;
      set(w, { etcd: { ...status.etcd, connected: false, error: "connection refused" } });
    },
    says: /cannot be reached.*connection refused.*endpoint health/,
  },
  {
    name: "a wrong password",
    check: "etcd",
    spoil: (w) => set(w, { etcd: { ...status.etcd, connected: false, error: "authentication failed" } }),
    says: /does not let this node in/,
  },
  {
    name: "an endpoint of several that is away",
    check: "etcd",
    severity: "warning",
    spoil: (w) => (w.etcd = undefined),
    says: /one of etcd's endpoints.*ECONNREFUSED/,
  },
  {
    name: "an old etcd",
    check: "etcd",
    spoil: (w) => (w.etcd = { version: "3.3.25", ahead: 0 }),
    says: /too old.*3\.3\.25/,
  },
  {
    name: "a clock that runs ahead",
    check: "clock",
    severity: "warning",
    spoil: (w) => (w.etcd = { version: "3.5.9", ahead: 90_000 }),
    says: /90 s ahead of.*set-ntp/,
  },
  {
    name: "a port taken by another device",
    check: "udp-port",
    spoil: (w) => {
      const vxlan = { vni: 1, port: 8472, local: undefined, underlay: "eth0", learning: false, gbp: false, others: [] };
      w.host.addLink({ name: "vx0", kind: "vxlan", up: true, vxlan });
    },
    says: /8472 is taken.*vx0 has VNI 1.*ip link delete vx0/,
  },
  {
    name: "no forwarding",
    check: "sysctls",
    spoil: (w) => w.host.sysctls.set("net/ipv4/ip_forward", "0"),
    says: /net\.ipv4\.ip_forward is 0.*sysctl -w net\.ipv4\.ip_forward=1/,
  },
  {
    name: "strict reverse-path filtering",
    check: "sysctls",
    severity: "warning",
    spoil: (w) => {
      w.host.sysctls.set("net/ipv4/conf/all/rp_filter", "1");
    },
    says: /rp_filter is 1 for all, 0 on flannel\.1.*flannel\.1\/rp_filter=2/,
  },
  {
    name: "bridges past iptables",
    check: "sysctls",
    severity: "note",
    spoil: (w) => w.host.sysctls.set("net/bridge/bridge-nf-call-iptables", "0"),
    says: /bridge-nf-call-iptables is 0/,
  },
  {
    name: "FORWARD with policy DROP",
    check: "forward-policy",
    spoil: (w) => (w.forward = [{ variant: "iptables-nft", policy: "DROP", rules: ["-j DOCKER-USER"] }]),
    says: /policy DROP.*iptables-nft -I FORWARD 1 -s 10\.5\.0\.0\/16 -j ACCEPT/,
  },
  {
    name: "a firewall of nftables",
    check: "forward-policy",
    severity: "warning",
    spoil: (w) => w.host.forwardChains.push({ name: "inet firewall forward", policy: "drop" }),
    says: /inet firewall forward.*nft insert rule inet firewall forward ip saddr/,
  },
  {
    name: "a route into the pod network",
    check: "overlapping-routes",
    spoil: (w) => w.host.apply([{ kind: "route", route: { dst: prefix("10.5.2.0/25"), dev: "eth0" } }]),
    says: /10\.5\.2\.0\/25 goes to eth0.*ip route delete/,
  },
  {
    name: "a narrow underlay",
    check: "link-mtu",
    severity: "warning",
    spoil: (w) => w.host.apply([{ kind: "link", dev: "eth0", mtu: 1400 }]),
    says: /flannel\.1 has MTU 1450, and eth0 with 1400 has room for 1350.*mtu 1500/,
  },
  { name: "no lease", check: "lease", spoil: (w) => set(w, { lease: undefined }), says: /holds no lease/ },
  {
    name: "a lease that has run out",
    check: "lease",
    spoil: (w) => set(w, { lease: { ...lease(1, true), expiresAt: NOW - 7000 } }),
    says: /ran out 7 s ago/,
  },
  {
    name: "two nodes of one address",
    check: "duplicates",
    spoil: (w) => w.leases.push({ ...lease(3), publicIps: ["192.0.2.2"] }),
    says: /same public address.*192\.0\.2\.2 is in subnets\/10\.5\.2\.0-24 and subnets\/10\.5\.3\.0-24/,
  },
  {
    name: "a machine that was copied",
    check: "duplicates",
    spoil: (w) => w.leases.push({ ...lease(3), nodeId: "id-2" }),
    says: /same id.*id-2/,
  },
  {
    name: "two nodes of one MAC",
    check: "duplicates",
    spoil: (w) => {
      // One in both families is one node's.
      const vtepMacs = ["02:00:00:00:00:07", "02:00:00:00:00:07"];
      w.leases = [lease(1, true), { ...lease(2), vtepMacs }, { ...lease(3), vtepMacs }];
    },
    says: /same VTEP MAC.*02:00:00:00:00:07 is in subnets\/10\.5\.2\.0-24 and subnets\/10\.5\.3\.0-24/,
  },
  {
    name: "a network that is full",
    check: "free-subnets",
    severity: "warning",
    spoil: (w) => network(w, [0n]),
    says: /no subnet is left.*2 leases and reservations leave 0 free in 10\.5\.0\.0\/16/,
  },
  {
    name: "a network that is nearly full",
    check: "free-subnets",
    severity: "warning",
    spoil: (w) => network(w, [4n]),
    says: /few subnets are left.*leave 4 free/,
  },
  {
    name: "a lease that was left behind",
    check: "stale-leases",
    severity: "warning",
    spoil: (w) => measure(w, { state: "down", lastSeen: 0, lastAnswer: 0 }),
    says: /never answered.*10\.5\.2\.0\/24 belongs to node2.*etcdctl lease revoke 1002/,
  },
  {
    name: "no subnet.env",
    check: "subnet-env",
    spoil: (w) => w.files.delete("/run/flannel/subnet.env"),
    says: /\/run\/flannel\/subnet\.env is not there/,
  },
  {
    name: "a subnet.env that was left behind",
    check: "subnet-env",
    severity: "warning",
    spoil: (w) => (w.status = undefined),
    says: /no agent keeps.*written 10 min ago/,
  },
  {
    name: "a subnet.env of another lease",
    check: "subnet-env",
    spoil: (w) => w.files.set("/run/flannel/subnet.env", ENV.replace("10.5.1.1", "10.5.9.1")),
    says: /has 10\.5\.9\.1\/24, the lease 10\.5\.1\.0\/24/,
  },
  {
    name: "a subnet.env with a larger MTU",
    check: "subnet-env",
    spoil: (w) => w.files.set("/run/flannel/subnet.env", ENV.replace("1450", "1500")),
    says: /has 1500, the data plane 1450/,
  },
  {
    name: "a subnet.env of nonsense",
    check: "subnet-env",
    spoil: (w) => w.files.set("/run/flannel/subnet.env", "x"),
    says: /no sense/,
  },
  {
    name: "no bridge plugin",
    check: "cni-plugins",
    spoil: (w) => w.files.delete("/opt/cni/bin/bridge"),
    says: /no bridge in \/opt\/cni\/bin.*containernetworking-plugins/,
  },
  {
    name: "no plugin of ours",
    check: "cni-plugins",
    severity: "warning",
    spoil: (w) => w.files.delete("/opt/cni/bin/twill"),
    says: /neither twill nor flannel.*\| twillctl install-cni$/,
  },
  {
    name: "a network before ours",
    check: "cni-config",
    spoil: (w) => w.files.set("/etc/cni/net.d/05-bridge.conf", '{"type":"bridge"}'),
    says: /05-bridge\.conf stands before 10-twill\.conflist.*mv /,
  },
  {
    name: "no network of ours",
    check: "cni-config",
    severity: "warning",
    spoil: (w) => w.files.delete("/etc/cni/net.d/10-twill.conflist"),
    says: /no CNI network.*\| twillctl install-cni$/,
  },
  {
    name: "a bridge of an older subnet",
    check: "cni-bridge",
    spoil: (w) => w.host.apply([{ kind: "address", dev: "cni0", address: { addr: addr("10.5.77.1"), length: 24 } }]),
    says: /10\.5\.77\.1\/24 on cni0.*ip address delete 10\.5\.77\.1\/24 dev cni0/,
  },
  {
    name: "a peer that is not programmed",
    check: "peers",
    spoil: (w) => set(w, { peers: [{ lease: lease(2), state: "failed", reason: "no VtepMAC", ...none }] }),
    says: /node2 cannot be programmed.*no VtepMAC/,
  },
  {
    name: "UDP that does not reach a peer",
    check: "peers",
    spoil: (w) => measure(w, { state: "overlay-down" }),
    says: /node2 is alive.*192\.0\.2\.2 answers echoes, 10\.5\.2\.0 does not.*UDP port 8472/,
  },
  {
    name: "UDP that is lost on the way there",
    check: "peers",
    spoil: (w) => measure(w, { state: "overlay-down", inbound: "arrives" }),
    says: /nothing from here reaches it.*its own packets arrive here/,
  },
  {
    name: "UDP that is lost on the way here",
    check: "peers",
    spoil: (w) => measure(w, { state: "overlay-down", inbound: "silent" }),
    says: /nothing from it reaches this node.*none of its packets arrives here/,
  },
  {
    name: "this node's own UDP",
    check: "peers",
    spoil: (w) => everyPeer(w, { state: "overlay-down" }),
    says: /no peer is reached over the overlay.*though 2 answer on the underlay.*on this host/,
  },
  {
    name: "a peer that went away",
    check: "peers",
    severity: "warning",
    spoil: (w) => measure(w, { state: "down" }),
    says: /node2 does not answer any more/,
  },
  {
    name: "a narrow path",
    check: "path-mtu",
    spoil: (w) => measure(w, { mtu: 1350 }),
    says: /large packets to node2.*1350 bytes pass, 1450 should.*mtu 1500 # on node2.*mtu 1400/,
  },
  {
    name: "a narrow underlay of its own",
    check: "path-mtu",
    spoil: (w) => everyPeer(w, { mtu: 1350 }),
    says: /large packets to every peer.*1350 bytes pass, 1450 should.*\| ip link set eth0 mtu 1400$/,
  },
  {
    name: "wrong checksums",
    check: "checksums",
    spoil: (w) => measure(w, { tcp: "silent" }),
    says: /echoes reach node2.*wrong checksums there.*ethtool -K flannel\.1 tx-checksum-ip-generic off.*# on node2/,
  },
  {
    name: "wrong checksums of its own",
    check: "checksums",
    spoil: (w) => everyPeer(w, { tcp: "silent" }),
    says: /echoes reach every peer.*wrong checksums here.*eth0 tx-checksum-ip-generic off$/,
  },
];

for (const { name, check, severity = "error", spoil, says } of BREAKS) {
  test(`${check} finds ${name}`, async () => {
    const world = new World();
    await spoil(world);
    const found = (await examine(world.around())).filter((finding) => finding.check === check);
    expect(found.map((finding) => finding.severity)).toEqual([severity]);
    expect(found.map(({ what, evidence, fix }) => `${what} | ${evidence} | ${fix}`).join()).toMatch(says);
  });
}

test("a node that has answered on the underlay alone is away, and its lease no stale one", async () => {
  const world = new World();
  measure(world, { state: "down", overlay: "", lastSeen: 0 });
  expect((await examine(world.around())).map(({ check, what }) => [check, what])).toEqual([
    ["peers", "node2 does not answer any more"],
  ]);
});

test("a device that stands by for a node without a lease is not judged by its MTU", async () => {
  const world = new World();
  await world.host.apply([{ kind: "link", dev: "flannel.1", mtu: 1500 }]);
  set(world, { lease: undefined });
  expect((await examine(world.around())).map(({ check }) => check)).toEqual(["lease"]);
});

test("who may not ask the agent is told so, and nothing of an agent that does not run", async () => {
  const world = new World();
  world.status = undefined;
  world.forbidden = true;
  const asked = { check: "agent", severity: "warning", fix: "sudo twillctl doctor" };
  expect(await examine(world.around())).toMatchObject([{ ...asked, evidence: "no permission to use twilld.sock" }]);
  world.files.delete("/run/flannel/subnet.env");
  expect(await examine(world.around())).toMatchObject([asked]);
});

test("where the runtime looks elsewhere, what is missing is put there", async () => {
  const world = new World();
  world.cniBinDirs = ["/usr/libexec/cni", "/opt/cni/bin"];
  world.cniConfDir = "/etc/containers/net.d";
  world.files.delete("/opt/cni/bin/twill");
  const fix = "twillctl install-cni --bin-dir=/usr/libexec/cni --conf-dir=/etc/containers/net.d";
  expect(await examine(world.around())).toMatchObject([
    { check: "cni-plugins", fix },
    { check: "cni-config", fix },
  ]);
});

test("every check is broken once", () => {
  expect(new Set(BREAKS.map(({ check }) => check))).toEqual(new Set(CHECKS.map(({ name }) => name)));
});

test("a check that cannot look says so, and the others go on", async () => {
  const world = new World();
  world.host.failNext("routes", "Operation not permitted");
  expect(await examine(world.around())).toMatchObject([
    { check: "overlapping-routes", severity: "note", evidence: expect.stringContaining("not permitted") },
  ]);
});
