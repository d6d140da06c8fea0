// Steps that the kernel of a test machine does not show. The others are in test/netns/diagnosis.test.ts.
import { expect, test } from "vitest";
import { addr, prefix } from "../../test/literals.ts";
import type { LeaseStatus, Status } from "../api/status.ts";
import { MemoryHost } from "../host/memory-host.ts";
import { type Known, type Step, trace } from "./trace.ts";

const peer: LeaseStatus = {
  key: "subnets/10.5.2.0-24&fd05:0:0:2::-64",
  subnets: ["10.5.2.0/24", "fd05:0:0:2::/64"],
  publicIps: ["192.0.2.2", "2001:db8::2"],
  backendType: "vxlan",
  dataplane: "tun",
  nodeId: "id-2",
  nodeName: "node2",
  leaseId: "4098",
  expiresAt: 0,
  own: false,
};

const none = { txPackets: 0n, txBytes: 0n, rxPackets: 0n, rxBytes: 0n };
const status: Status = {
  version: "0.1.0",
  node: { id: "id-1", name: "node1" },
  startedAt: 0,
  ready: true,
  problems: [],
  network: { networks: ["10.5.0.0/16", "fd05::/48"], backendType: "vxlan", vni: 1, port: 8472 },
  underlay: { interface: "eth0", mtu: 1500, publicIps: ["192.0.2.1", "2001:db8::1"] },
  lease: undefined,
  dataplane: { name: "tun", rung: "", mtus: [1450, 1430], counters: {} },
  etcd: { endpoints: [], connected: true, error: "", since: 0 },
  peers: [{ lease: peer, state: "in-sync", reason: "", ...none }],
};
const known: Known = { agent: true, status, leases: [peer] };

/** The tun plane in dual stack: the device has the MTU of IPv4, and the sysctl that of IPv6. */
function dualStack(): MemoryHost {
  const host = new MemoryHost();
  host.addLink({ name: "eth0", up: true, mtu: 1500 });
  host.addLink({ name: "twill.1", kind: "tun", up: true, mtu: 1450 });
  host.sysctls.set("net/ipv4/ip_forward", "1").set("net/ipv6/conf/all/forwarding", "1");
  host.sysctls.set("net/ipv6/conf/twill.1/mtu", "1430");
  void host.apply(
    [
      ["10.5.2.0/24", "twill.1"],
      ["fd05:0:0:2::/64", "twill.1"],
      ["192.0.2.0/24", "eth0"],
      ["2001:db8::/64", "eth0"],
    ].map(([dst = "", dev = ""]) => ({ kind: "route", route: { dst: prefix(dst), dev } })),
  );
  return host;
}

const last = async (target: string, asked: Known, host = dualStack()): Promise<Step | undefined> =>
  (await trace(addr(target), asked, host)).at(-1);

test("an address that nothing routes is where a packet stops, with an agent and without", async () => {
  for (const asked of [known, { agent: false, why: "no agent runs here" } as const])
    expect(await last("198.51.100.8", asked)).toEqual({ what: "route", found: "none", stops: "there is no route" });
});

test("an agent that knows of no lease does not say that nobody has the subnet", async () => {
  const waiting = { ...status, ready: false, problems: ["etcd cannot be reached"], network: undefined, peers: [] };
  const steps = await trace(addr("10.5.7.8"), { agent: true, status: waiting, leases: [] }, dualStack());
  expect(steps.slice(-2)).toEqual([
    {
      what: "lease",
      found: "not known: the agent knows of no lease",
      doubt: "whether 10.5.7.8 is a pod, and whose, is not known: etcd cannot be reached",
    },
    { what: "route", found: "none", stops: "there is no route" },
  ]);
  expect((await trace(addr("10.5.7.8"), known, dualStack())).at(-1)?.stops).toContain("no node holds a subnet");
});

test("IPv6 has the MTU of its own on the overlay's device", async () => {
  expect(await last("10.5.2.9", known)).toEqual({
    what: "mtu",
    found: "1450 on twill.1; eth0 has 1500, which leaves 1450",
  });
  const wide = dualStack();
  expect(await last("fd05:0:0:2::9", known, wide)).toEqual({
    what: "mtu",
    found: "1430 on twill.1; eth0 has 1500, which leaves 1430",
  });
  wide.sysctls.set("net/ipv6/conf/twill.1/mtu", "1480");
  await wide.apply([{ kind: "link", dev: "twill.1", mtu: 1480 }]);
  expect((await last("fd05:0:0:2::9", known, wide))?.doubt).toMatch(/^packets of more than 1430 bytes/);
});
