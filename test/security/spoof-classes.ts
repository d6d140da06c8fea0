// What a host that is no node, or that forges a node's address, may send to a node: one datagram for each way to be wrong.

import { addrBytes } from "../../pkg/addr/addr.ts";
import { type Mac, macBytes } from "../../pkg/addr/mac.ts";
import type { CounterName } from "../../pkg/dataplane/tun/counters.ts";
import { udpPacket } from "../inner-packet.ts";
import { addr, mac } from "../literals.ts";

/** The node that is attacked, a peer of it whose address is forged, and another. All IPv4. */
export interface Scene {
  readonly ownMac: Mac;
  /** PublicIP of the node. */
  readonly own: string;
  /** A pod of the node. */
  readonly pod: string;
  /** PublicIP of the peer, and an address in its subnet. */
  readonly peer: string;
  readonly peerPod: string;
  /** An address in the other peer's subnet. */
  readonly otherPod: string;
  /** An address of the underlay that is no node's. */
  readonly stranger: string;
}

export interface SpoofClass {
  readonly name: string;
  /** Outer source address. */
  readonly from: string;
  readonly bytes: Uint8Array;
  /** What counts it on the tun plane, and on the kernel plane where that can: its device drops some by itself. */
  readonly tun: CounterName;
  readonly kernel: CounterName | undefined;
}

const PEER_MAC = mac("0a:00:00:00:00:99");
const IPV4 = 0x0800;

interface Parts {
  readonly flags?: number;
  readonly vni?: number;
  readonly reserved?: number;
  readonly to?: Mac;
  readonly from?: Mac;
  readonly type?: number;
}

/** The port that every inner packet goes to. */
export const INNER_PORT = 5000;

export function spoofClasses(scene: Scene): readonly SpoofClass[] {
  const { pod, peer, peerPod, stranger } = scene;
  const good = inner(peerPod, pod);
  const frame = (packet: Uint8Array, parts: Parts = {}): Uint8Array => wrap(packet, { to: scene.ownMac, ...parts });
  const fromPeer = (
    name: string,
    tun: CounterName,
    bytes: Uint8Array,
    kernel: CounterName | undefined = tun,
  ): SpoofClass => ({ name, from: peer, bytes, tun, kernel });
  return [
    { name: "a stranger", from: stranger, bytes: frame(good), tun: "rx_unknown_peer", kernel: "rx_spoofed_source" },
    // For the kernel plane's rules an address of the pod network is somebody's or forged, before they look at who sent it.
    fromPeer("a short datagram", "rx_short", frame(good).subarray(0, 20)),
    fromPeer("no I flag", "rx_bad_flags", frame(good, { flags: 0 })),
    fromPeer("a flag too many", "rx_bad_flags", frame(good, { flags: 0x8800_0000 })),
    fromPeer("a reserved bit", "rx_bad_flags", frame(good, { reserved: 1 })),
    // Another device's, for the kernel: it finds none.
    { name: "another VNI", from: peer, bytes: frame(good, { vni: 77 }), tun: "rx_bad_vni", kernel: undefined },
    fromPeer("another MAC", "rx_bad_mac", frame(good, { to: PEER_MAC })),
    fromPeer("our own MAC as the source", "rx_bad_mac", frame(good, { from: scene.ownMac })),
    fromPeer("ARP", "rx_not_ip", frame(good, { type: 0x0806 })),
    { name: "a bad IP header", from: peer, bytes: frame(broken(good)), tun: "rx_bad_ip", kernel: undefined },
    fromPeer("another node's pod", "rx_spoofed_source", frame(inner(scene.otherPod, pod))),
    fromPeer("our own pod", "rx_spoofed_source", frame(inner(pod, pod))),
    fromPeer("our own address", "rx_spoofed_source", frame(inner(scene.own, pod))),
    fromPeer("loopback", "rx_martian", frame(inner("127.0.0.1", pod))),
    fromPeer("multicast", "rx_martian", frame(inner("224.0.0.1", pod))),
    fromPeer("to another node's pod", "rx_bad_destination", frame(inner(peerPod, scene.otherPod))),
    fromPeer("to loopback", "rx_bad_destination", frame(inner(peerPod, "127.0.0.1"))),
    fromPeer("to everybody", "rx_bad_destination", frame(inner(peerPod, "255.255.255.255"))),
    // With --verify-sender=strict.
    fromPeer("a client outside the pod network", "rx_foreign_source", frame(inner("198.51.100.7", pod))),
  ];
}

/** What VXLAN cannot tell from the peer's own: an address of its subnet behind its address. It is delivered. */
export function undetectable(scene: Scene): SpoofClass {
  const bytes = wrap(inner(scene.peerPod, scene.pod), { to: scene.ownMac });
  return { name: "the peer's own", from: scene.peer, bytes, tun: "rx_packets", kernel: undefined };
}

function inner(src: string, dst: string): Uint8Array {
  return udpPacket({ src, dst, payload: new Uint8Array(32) });
}

function broken(packet: Uint8Array): Uint8Array {
  return packet.with(10, (packet[10] ?? 0) ^ 0xff);
}

function wrap(packet: Uint8Array, parts: Parts): Uint8Array {
  const { flags = 0x0800_0000, vni = 1, reserved = 0, to = PEER_MAC, from = PEER_MAC, type = IPV4 } = parts;
  const head = Buffer.alloc(22);
  head.writeUInt32BE(flags, 0);
  head.writeUInt32BE(vni * 256 + reserved, 4);
  head.set(macBytes(to), 8);
  head.set(macBytes(from), 14);
  head.writeUInt16BE(type, 20);
  return new Uint8Array(Buffer.concat([head, packet]));
}

/** The attacker's addresses, and how a host gets them without claiming them by ARP. */
export function attackerSetUp(
  classes: readonly SpoofClass[],
  target: { readonly address: string; readonly mac: string },
): string {
  const forged = [...new Set(classes.map(({ from }) => from))].filter((text) => addrBytes(addr(text)).length === 4);
  return [
    "set -e",
    "sysctl -qw net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.arp_ignore=1",
    "ip link set lo up",
    ...forged.map((text) => `ip addr add ${text}/32 dev lo`),
    `ip neigh replace ${target.address} lladdr ${target.mac} dev eth0 nud permanent`,
  ].join("\n");
}
