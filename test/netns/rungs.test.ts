// Every rung of the offload ladder carries the same packets: what pods send by TCP and UDP arrives as it was sent, between
// twill and twill and between twill and the kernel's VXLAN devices, also over a wire that loses and overtakes.
//
// TRANSFER_MB sets how much goes each way over IPv4 on the rungs with super-packets; the rest is a fixed part of it.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAMILIES, type Family } from "../../pkg/addr/family.ts";
import { RUNGS, type Rung } from "../../pkg/dataplane/tun/offload.ts";
import { makeWireLike } from "../bench/offloads.ts";
import { type Faults, makeBadWire } from "./bad-wire.ts";
import { DATAGRAMS } from "./datagrams.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { NO_TUNNEL_GSO, openRungLab, type RungLab } from "./rung-lab.ts";
import { snmpCounter } from "./snmp.ts";
import { type End, transferTcp } from "./tcp.ts";
import { DatagramFlow } from "./udp.ts";

const MB = 1_000_000;
const TRANSFER = Number(process.env["TRANSFER_MB"] ?? 1000) * MB;
const TCP_BYTES: Readonly<Record<Rung, Readonly<Record<Family, number>>>> = {
  "tunnel-gso": { 4: TRANSFER, 6: TRANSFER / 10 },
  gso: { 4: TRANSFER, 6: TRANSFER / 10 },
  none: { 4: TRANSFER / 10, 6: TRANSFER / 20 },
};
const FAULTY_BYTES = TRANSFER / 50;
const TIMEOUT_MS = 600_000;

describe.skipIf(notRoot).each(RUNGS)(rootTitle("the rung %s"), (rung) => {
  let opened: RungLab | undefined;
  beforeAll(async () => {
    opened = await openRungLab(rung);
  });
  afterAll(() => opened?.lab.close());

  const ways = (rungLab: RungLab, family: Family): [End, End][] => {
    const [ours, other, kernel] = [rungLab.pod(1, family), rungLab.pod(2, family), rungLab.kernelPod(family)];
    return [
      [ours, other],
      [other, ours],
      [ours, kernel],
      [kernel, ours],
    ];
  };

  async function expectTcp(rungLab: RungLab, from: End, to: End, bytes: number): Promise<void> {
    const transfer = await transferTcp(from, to, bytes, rungLab.lab.directory);
    expect(transfer).toEqual({ sender: from.address, bytes, intact: true });
  }

  async function expectNoChecksumErrors(rungLab: RungLab): Promise<void> {
    for (const { netns } of [rungLab.pod(1, 4), rungLab.pod(2, 4), rungLab.kernelPod(4)]) {
      expect(await snmpCounter(netns, "TcpInCsumErrors")).toBe(0);
      expect(await snmpCounter(netns, "UdpInCsumErrors")).toBe(0);
      expect(await snmpCounter(netns, "Udp6InCsumErrors")).toBe(0);
    }
  }

  const required = (skip: (note: string) => void): RungLab => {
    if (!opened) skip(NO_TUNNEL_GSO);
    return opened as RungLab;
  };

  test.for(FAMILIES)("TCP over IPv%i arrives intact, each way", { timeout: TIMEOUT_MS }, async (family, { skip }) => {
    const rungLab = required(skip);
    for (const [from, to] of ways(rungLab, family)) await expectTcp(rungLab, from, to, TCP_BYTES[rung][family]);
    await expectNoChecksumErrors(rungLab);
  });

  test.for(FAMILIES)("UDP over IPv%i arrives intact, each way: runs, USO, fragments", async (family, { skip }) => {
    const rungLab = required(skip);
    // In dual stack flannel's pods have IPv4's MTU, and learn IPv6's by a first packet that is lost.
    const ping = ["ping", "-c", "3", "-i", "0.2", "-W", "1", "-s", "3000"];
    await Promise.all(ways(rungLab, family).map(([from, to]) => from.netns.capture([...ping, to.address])));
    for (const [from, to] of ways(rungLab, family)) {
      const flow = await DatagramFlow.open(from, to, rungLab.lab.directory);
      expect(await flow.sendRounds()).toEqual({ segmented: true, incomplete: 0 });
      expect(await flow.end()).toEqual({ datagrams: DATAGRAMS, last: DATAGRAMS - 1, bad: 0, twice: 0 });
    }
    await expectNoChecksumErrors(rungLab);
  });

  test("TCP, and nothing else, leaves through the tunnel device where there is one", async ({ skip }) => {
    const { lab } = required(skip);
    const { stdout } = await lab.node(1).run(["ip", "-j", "-s", "link"]);
    const links = JSON.parse(stdout) as { ifname: string; stats64: { rx: { bytes: number } } }[];
    const tunnel = links.find(({ ifname }) => ifname === "twgso.1");
    // Both families to both peers.
    if (rung === "tunnel-gso") expect(tunnel?.stats64.rx.bytes).toBeGreaterThan(2 * (TRANSFER + TRANSFER / 10));
    else expect(tunnel).toBeUndefined();
    expect(lab.nodes.map((node) => node.logText()).join("")).not.toContain("the kernel refuses an offload");
  });

  test.for<[string, Faults]>([
    ["loses 1 % of its frames", { drop: 0.01, reorder: 0 }],
    ["lets 2 % of its frames be overtaken", { drop: 0, reorder: 0.02 }],
  ])("over a wire that %s", { timeout: TIMEOUT_MS }, async ([, faults], { skip }) => {
    const rungLab = required(skip);
    const { lab, kernel } = rungLab;
    const restore = await makeWireLike([...lab.nodes.map(({ netns }) => netns), kernel.host.netns]);
    const repair = await makeBadWire(lab, "node1", faults);
    // Side by side, since each mostly waits for what was lost.
    await Promise.all([
      ...ways(rungLab, 4).map(([from, to]) => expectTcp(rungLab, from, to, FAULTY_BYTES)),
      ...ways(rungLab, 6).map(([from, to]) => expectTcp(rungLab, from, to, FAULTY_BYTES / 4)),
    ]);
    const wire = await repair();
    await restore();
    await expectNoChecksumErrors(rungLab);
    expect(wire.tooLong).toBe(0);
    const share = (count: number): number => count / wire.frames;
    expect(share(wire.dropped)).toBeGreaterThanOrEqual(faults.drop / 2);
    expect(share(wire.overtaken)).toBeGreaterThanOrEqual(faults.reorder / 4);
  });
});
