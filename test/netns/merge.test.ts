// Super-packets of received packets on the real kernel: it takes them, carries them, and cuts them up again into the
// packets that the peer sent.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addrBytes } from "../../pkg/addr/addr.ts";
import { seededRandom } from "../../pkg/base/backoff.ts";
import { COUNTER } from "../../pkg/dataplane/tun/counters.ts";
import { LoopMemory } from "../../pkg/dataplane/tun/loop-memory.ts";
import { Receive } from "../../pkg/dataplane/tun/receive.ts";
import { LinuxHost } from "../../pkg/host/linux-host.ts";
import { VNET_HDR_LEN } from "../../pkg/packet/vnet.ts";
import { Arena, IOVEC_LEN } from "../../pkg/sys/arena.ts";
import { openTun, TUN_OFFLOAD } from "../../pkg/sys/tun-device.ts";
import { openUdp, putSockaddr } from "../../pkg/sys/udp-socket.ts";
import { LinuxTun } from "../../pkg/tun/linux-tun.ts";
import { type MemoryBind, MemoryUnderlay } from "../../pkg/underlay/memory-bind.ts";
import { UdpBind } from "../../pkg/underlay/udp-bind.ts";
import { FlowMaker } from "../fuzz/flows.ts";
import { deliverRows, fromPeer } from "../fuzz/rows.ts";
import { asWritten, expectSameFlows } from "../fuzz/same-flows.ts";
import { fuzzTable } from "../fuzz/table.ts";
import { pattern, tcpPacket, udpPacket } from "../inner-packet.ts";
import { addr } from "../literals.ts";
import { naiveSum } from "../naive-sum.ts";
import { inside } from "./inside.ts";

const PACKETS = Number(process.env["FUZZ_PACKETS"] ?? 50_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const READ_ROOM = 70_000;

const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });

describe.skipIf(process.getuid?.() !== 0)("merged packets on the kernel (needs root for network namespaces)", () => {
  let netns: string;
  let memory: LoopMemory;
  let bind: MemoryBind;
  let receive: Receive;
  let device: LinuxTun;
  let pods: LinuxTun;
  let close: () => void;
  const steppedDown: string[] = [];

  // tt0 is the device under test; behind tt1, which takes no super-packets, are the pods, played by the test.
  beforeEach(async () => {
    netns = `twt-${randomBytes(4).toString("hex")}`;
    ip("netns", "add", netns);
    const host = new LinuxHost({ netns });
    await host.setSysctl("net/ipv4/ip_forward", "1");
    await host.setSysctl("net/ipv6/conf/all/forwarding", "1");
    ip("-n", netns, "link", "set", "lo", "up");
    memory = new LoopMemory();
    const [first, other] = ["tt0", "tt1"].map((name) => {
      const fd = inside(netns, () => openTun(name, VNET_HDR_LEN, TUN_OFFLOAD.none));
      ip("-n", netns, "link", "set", name, "up", "mtu", "1450", "txqueuelen", "5000");
      return new LinuxTun(memory.arena, name, fd);
    });
    if (!first || !other) throw new Error("no devices");
    device = first;
    pods = other;
    for (const [subnet, name] of [
      ["10.5.0.0/16", "tt0"],
      ["fd05::/56", "tt0"],
      ["10.5.1.0/24", "tt1"],
      ["fd05:0:0:1::/64", "tt1"],
    ] as const) {
      ip("-n", netns, "route", "add", subnet, "dev", name);
    }
    bind = new MemoryUnderlay().bind(memory.arena, addr("172.30.77.1"), 8472);
    receive = new Receive(memory.arena, device, bind, memory.table, memory.counters, { merge: true });
    steppedDown.length = 0;
    receive.onStepDown((what) => steppedDown.push(what));
    memory.table.load(fuzzTable(false));
    close = () => {
      device.close();
      pods.close();
    };
  });
  afterEach(() => {
    close();
    ip("netns", "delete", netns);
  });

  // What the kernel has sent to the pods; forwarding is done when the write returns.
  function taken(at: number): Uint8Array[] {
    const packets: Uint8Array[] = [];
    for (let n = pods.read(at, READ_ROOM); n !== 0; n = pods.read(at, READ_ROOM)) {
      if (n < 0) throw new Error(`read: errno ${-n}`);
      const packet = memory.arena.bytes.slice(at + VNET_HDR_LEN, at + n);
      if (!isNoise(packet)) packets.push(packet);
    }
    return packets;
  }

  test.each([1, 6, 30])("%i flows: the kernel cuts them into what was sent", { timeout: 300_000 }, (flows) => {
    const at = memory.arena.alloc(READ_ROOM);
    const random = seededRandom(SEED + flows);
    for (let made = 0; made < PACKETS;) {
      const maker = new FlowMaker(random, flows, random() < 0.5 ? 1 : 0.01);
      for (let batches = 0; batches < 50; batches++) {
        const input = deliverRows(bind.waiting, maker, random);
        input.push(...deliverRows(bind.waiting, maker, random));
        while (receive.turn() > 0);
        made += input.length;
        try {
          expectSameFlows(input.flatMap(asWritten).map(forwarded), taken(at));
        } catch (error) {
          throw new Error(`seed ${SEED}, after ${made} packets: ${String(error)}`, { cause: error });
        }
      }
    }
    expect(memory.counters.value(COUNTER.tun_write_errors)).toBe(0);
    expect(memory.counters.value(COUNTER.rx_merged)).toBeGreaterThan(PACKETS / 4);
    expect(steppedDown).toEqual([]);
  });

  test.each([
    { family: 4, from: "10.5.2.7", to: "10.5.1.9", length: 32 },
    { family: 6, from: "fd05:0:0:2::7", to: "fd05:0:0:1::9", length: 128 },
  ] as const)("an IPv$family socket gets each datagram of a merged run, and counts the corrupt one", async (way) => {
    ip("-n", netns, "address", "add", `${way.to}/${way.length}`, "dev", "lo", ...(way.family === 6 ? ["nodad"] : []));
    const arena = Arena.create(8 * 1024 * 1024);
    const options = { rcvbuf: 1 << 20, sndbuf: 1 << 20 };
    const socket = inside(netns, () => openUdp(way.family, addrBytes(addr(way.to)), 5000, options));
    const pod = new UdpBind(arena, { [way.family]: socket.fd }, socket.port);
    try {
      const sent = Array.from({ length: 10 }, (_, i) => pattern(i === 9 ? 300 : 500).map((byte) => byte ^ i));
      const packets = sent.map((payload) => udpPacket({ src: way.from, dst: way.to, payload }));
      const corrupt = packets[4]?.slice() ?? new Uint8Array();
      corrupt[100] = (corrupt[100] ?? 0) ^ 1;
      bind.waiting.push(...[...packets.slice(0, 5), corrupt, ...packets.slice(5)].map((each) => fromPeer(2, each)));
      receive.turn();
      expect(received(arena, pod)).toEqual(sent);
      expect(memory.counters.value(COUNTER.rx_merged)).toBe(10);
      expect(inErrors(netns, way.family)).toBe(1);
    } finally {
      pod.close();
    }
  });

  // Over a veth the super-packet comes as one datagram of up to 64 KB, not cut, its checksum not finished.
  test("a pod of a kernel vxlan peer sends with UDP_SEGMENT, and each datagram arrives", async () => {
    const peer = `${netns}-p`;
    ip("netns", "add", peer);
    const arena = Arena.create(16 * 1024 * 1024);
    const opened: UdpBind[] = [];
    const open = (where: string, address: string, port: number, segment: boolean, gro: boolean): UdpBind => {
      const options = { rcvbuf: 4 << 20, sndbuf: 4 << 20, gro };
      const socket = inside(where, () => openUdp(4, addrBytes(addr(address)), port, options));
      const made = new UdpBind(port === 8472 ? memory.arena : arena, { 4: socket.fd }, socket.port, segment);
      opened.push(made);
      return made;
    };
    try {
      ip("-n", netns, ..."link add u0 type veth peer name u0 netns".split(" "), peer);
      for (const [where, address] of [
        [netns, "172.30.77.1/24"],
        [peer, "172.30.77.2/24"],
      ] as const) {
        ip("-n", where, "address", "add", address, "dev", "u0");
        ip("-n", where, "link", "set", "u0", "up");
      }
      const vxlan = "type vxlan id 1 local 172.30.77.2 dev u0 dstport 8472 nolearning";
      ip("-n", peer, "link", "add", "f1", "address", "0e:00:00:00:04:02", ...vxlan.split(" "));
      ip("-n", peer, "address", "add", "10.5.2.7/32", "dev", "f1");
      ip("-n", peer, "link", "set", "f1", "up");
      ip("-n", peer, ..."neighbor add 10.5.1.0 lladdr 0e:00:00:00:04:01 dev f1".split(" "));
      ip("-n", peer, ..."route add 10.5.1.0/24 via 10.5.1.0 dev f1 onlink".split(" "));
      const fdb = "fdb append 0e:00:00:00:04:01 dev f1 dst 172.30.77.1 self permanent";
      execFileSync("bridge", ["-n", peer, ...fdb.split(" ")]);
      ip("-n", netns, "address", "add", "10.5.1.9/32", "dev", "lo");

      const tunnel = open(netns, "172.30.77.1", 8472, false, true);
      const viaTunnel = new Receive(memory.arena, device, tunnel, memory.table, memory.counters, { merge: true });
      const pod = open(netns, "10.5.1.9", 5000, false, false);
      const sender = open(peer, "10.5.2.7", 4000, true, false);
      const sent: Uint8Array[] = [];
      const name = arena.alloc(16, 8);
      putSockaddr(arena, name, 4, addrBytes(addr("10.5.1.9")), 5000);
      for (const [length, datagrams] of [
        [500, 40],
        [1, 2],
        [1400, 17],
      ] as const) {
        const run = Array.from({ length: datagrams }, (_, i) => pattern(length).map((byte) => byte ^ i));
        const at = arena.alloc(length * datagrams);
        run.forEach((payload, i) => arena.bytes.set(payload, at + i * length));
        const iov = arena.alloc(IOVEC_LEN * datagrams, 16);
        run.forEach((_, i) => arena.putIovec(iov + i * IOVEC_LEN, at + i * length, length));
        const total = length * datagrams;
        const base = { family: 4, to: name, iov, iovCount: datagrams, iovPerDatagram: 1, tos: 0 } as const;
        expect(sender.send({ ...base, datagrams, length, total })).toBe(datagrams);
        sent.push(...run);
      }
      while (viaTunnel.turn() > 0);
      expect(received(arena, pod)).toEqual(sent);
      expect(memory.counters.value(COUNTER.rx_packets)).toBe(3); // it was super-packets that came
    } finally {
      for (const each of opened) each.close();
      ip("netns", "delete", peer);
    }
  });

  test("TCP segments of a merged run are right in the receiver's eyes, and the corrupt one is not", () => {
    ip("-n", netns, "address", "add", "10.5.1.9/32", "dev", "lo");
    const packets = Array.from({ length: 12 }, (_, i) => {
      const packet = tcpPacket({ src: "10.5.2.7", dst: "10.5.1.9", payload: pattern(1000) });
      return withSeq(packet, i * 1000);
    });
    const corrupt = packets[6]?.slice() ?? new Uint8Array();
    corrupt[100] = (corrupt[100] ?? 0) ^ 1;
    bind.waiting.push(...[...packets.slice(0, 6), corrupt, ...packets.slice(6)].map((each) => fromPeer(2, each)));
    receive.turn();
    const tcp = snmp(netns, "Tcp");
    expect(tcp["InCsumErrors"]).toBe(1);
    expect(tcp["OutRsts"]).toBe(2); // nobody listens: one for each super-packet, and none for what is corrupt
    expect(memory.counters.value(COUNTER.rx_merged)).toBe(12);
  });
});

function received(arena: Arena, bind: UdpBind): Uint8Array[] {
  const datagrams: Uint8Array[] = [];
  for (let rows = bind.recv(); rows > 0; rows = bind.recv()) {
    for (let row = 0; row < rows; row++) {
      const at = bind.rx.at[row] as number;
      datagrams.push(arena.bytes.slice(at, at + (bind.rx.length[row] as number)));
    }
  }
  return datagrams;
}

function withSeq(packet: Uint8Array, seq: number): Uint8Array {
  const bytes = packet.slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(24, seq);
  view.setUint16(36, 0);
  const pseudo = [...bytes.slice(12, 20), 0, 6, (bytes.length - 20) >> 8, (bytes.length - 20) & 255];
  view.setUint16(36, naiveSum(bytes, 20, bytes.length, naiveSum(Uint8Array.from(pseudo), 0, 12)) ^ 0xffff, true);
  return bytes;
}

// As a router leaves it: one off the TTL, and the IPv4 checksum to match.
function forwarded(packet: Uint8Array): Uint8Array {
  const bytes = packet.slice();
  const view = new DataView(bytes.buffer);
  const four = view.getUint8(0) >> 4 === 4;
  const ttl = four ? 8 : 7;
  view.setUint8(ttl, view.getUint8(ttl) - 1);
  if (four) {
    view.setUint16(10, 0);
    view.setUint16(10, naiveSum(bytes, 0, (view.getUint8(0) % 16) * 4) ^ 0xffff, true);
  }
  return bytes;
}

// Router solicitations and multicast reports that the kernel sends of its own accord.
function isNoise(packet: Uint8Array): boolean {
  return (packet[0] ?? 0) >> 4 === 6 && packet[24] === 0xff;
}

function inErrors(netns: string, family: 4 | 6): number | undefined {
  if (family === 4) return snmp(netns, "Udp")["InCsumErrors"];
  const text = execFileSync("ip", ["netns", "exec", netns, "cat", "/proc/net/snmp6"], { encoding: "utf8" });
  return Number(/^Udp6InCsumErrors\s+(\d+)/m.exec(text)?.[1]);
}

function snmp(netns: string, protocol: string): Record<string, number> {
  const text = execFileSync("ip", ["netns", "exec", netns, "cat", "/proc/net/snmp"], { encoding: "utf8" });
  const [names, values] = text
    .split("\n")
    .filter((line) => line.startsWith(`${protocol}:`))
    .map((line) => line.split(" ").slice(1));
  return Object.fromEntries((names ?? []).map((name, i) => [name, Number(values?.[i])]));
}
