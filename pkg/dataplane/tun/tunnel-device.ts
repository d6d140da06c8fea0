// The TAP device of tunnel-gso.ts, seen from the control thread: opened with the plane, set up in the kernel, tried with a
// real packet, and used only as long as nothing on this host could swallow what it has forwarded.

import { type Addr, addrBytes, formatAddr } from "../../addr/addr.ts";
import { FAMILIES, type Family } from "../../addr/family.ts";
import type { Host } from "../../host/host.ts";
import { put16le } from "../../packet/bytes.ts";
import { pseudoSum } from "../../packet/checksum.ts";
import { IPPROTO_TCP, IPV4_HEADER_LEN, IPV6_HEADER_LEN, putIpv4, putIpv6 } from "../../packet/ip.ts";
import { TCP_CHECKSUM_AT, TCP_HEADER_LEN } from "../../packet/tcp.ts";
import { VNET_GSO_TCPV4, VNET_GSO_TCPV6 } from "../../packet/vnet.ts";
import { Arena } from "../../sys/arena.ts";
import { SysError } from "../../sys/errors.ts";
import * as libc from "../../sys/libc.ts";
import { openTap, TUN_OFFLOAD } from "../../sys/tun-device.ts";
import { openUdp, putSockaddr, SOCKADDR_LEN } from "../../sys/udp-socket.ts";
import { UDP_BIND_ARENA, UdpBind } from "../../underlay/udp-bind.ts";
import type { Underlay } from "../../underlay/underlay.ts";
import { setSysctls } from "../forwarding.ts";
import { HEADROOM } from "./forwarding-table.ts";
import { openSocketError } from "./open-errors.ts";
import { TUNNEL_HEADROOM, TUNNEL_VNET_LEN, type TunnelData, TunnelGso } from "./tunnel-gso.ts";

const { csum, tso4, tso6, tsoEcn, uso4, uso6, udpTunnelGso, udpTunnelGsoCsum } = TUN_OFFLOAD;
const OFFLOADS = csum | tso4 | tso6 | tsoEcn | uso4 | uso6 | udpTunnelGso | udpTunnelGsoCsum;

const PROBE_BUFFER = 1 << 18;
const PROBE_PAYLOAD = 4000;
const PROBE_SIZE = 1000;
const PROBE_TRIES = 50;

// A socket of this host that a packet is sent to.
interface Probe {
  readonly family: Family;
  readonly addr: Addr;
  readonly fd: number;
  readonly port: number;
}

export class TunnelDevice {
  readonly name: string;
  readonly data: TunnelData;
  /** Why it is not in use; undefined while it is, or before it was tried. */
  unused: string | undefined;
  /** Whether the last look found it down and set it up, or found that somebody has deleted it. */
  wasDown = false;
  gone = false;
  readonly #probes: readonly Probe[];
  #tried = false;
  #works = false;

  private constructor(name: string, data: TunnelData, probes: readonly Probe[]) {
    this.name = name;
    this.data = data;
    this.#probes = probes;
  }

  /**
   * Opens it; undefined when this kernel has no such device. Throws a SysError where /dev/net/tun is out of reach, and a
   * DataplaneError where the underlay's address is not the host's (any more, or yet).
   */
  static open(vni: number, underlay: Underlay, families: readonly Family[], port: number): TunnelDevice | undefined {
    const name = `twgso.${vni}`;
    let tap: { fd: number; mac: Uint8Array };
    try {
      tap = openTap(name, TUNNEL_VNET_LEN, OFFLOADS);
    } catch (error) {
      if (error instanceof SysError && error.code === "EINVAL") return undefined; // before Linux 6.17
      throw error;
    }
    const from: { [F in Family]?: Addr } = {};
    const probes: Probe[] = [];
    for (const family of families) {
      const addr = underlay.addr[family];
      if (!addr) continue;
      from[family] = addr;
      try {
        const socket = openUdp(family, addrBytes(addr), 0, { rcvbuf: PROBE_BUFFER, sndbuf: PROBE_BUFFER });
        probes.push({ family, addr, fd: socket.fd, port: socket.port });
      } catch (error) {
        for (const { fd } of [tap, ...probes]) libc.close(fd);
        throw openSocketError(formatAddr(addr), 0, error);
      }
    }
    return new TunnelDevice(name, { fd: tap.fd, mac: tap.mac, from, port }, probes);
  }

  /**
   * Sets the device up, and answers whether packets may go through it. They may not where somebody's nftables chain sees
   * forwarded packets, since it might drop them and we would not know; nor with strict reverse-path filtering, which
   * takes our own address on an inside device for a forgery; nor beside iptables rules of others while we may not set our
   * accepts before them (`forwardRules`). `forced` overrules the first.
   */
  async usable(host: Host, options: { readonly forced: boolean; readonly forwardRules: boolean }): Promise<boolean> {
    this.unused = await this.#obstacle(host, options);
    if (this.unused !== undefined) return false;
    if (!this.#tried) {
      this.#tried = true;
      this.#works = this.#probes.every((probe) => this.#arrives(probe));
      this.#closeProbes();
    }
    if (!this.#works) this.unused = "a packet that was sent through it to this host itself did not arrive";
    return this.#works;
  }

  async #obstacle(
    host: Host,
    { forced, forwardRules }: { readonly forced: boolean; readonly forwardRules: boolean },
  ): Promise<string | undefined> {
    const dev = this.name;
    const families = FAMILIES.filter((family) => this.data.from[family]);
    const link = (await host.links()).find((each) => each.name === dev);
    this.wasDown = link?.up !== true;
    this.gone = !link;
    if (!link) return `the TAP device ${dev} is gone`;
    if (!link.up) {
      const errors = await host.apply([
        { kind: "link", dev, addrGenMode: "none" },
        { kind: "link", dev, up: true },
      ]);
      const [error] = errors.filter((each) => each !== undefined);
      if (error) return error.message;
    }
    if (families.includes(4)) {
      const [problem] = await setSysctls(host, [
        [`net/ipv4/conf/${dev}/accept_local`, "1"],
        [`net/ipv4/conf/${dev}/rp_filter`, "0"],
      ]);
      if (problem !== undefined) return problem;
      if ((await host.sysctl("net/ipv4/conf/all/rp_filter")) === "1")
        return "net.ipv4.conf.all.rp_filter is 1 (strict)";
    }
    if (forced) return undefined;
    const tables = await host.nftTables();
    for (const family of families) {
      if (!forwardRules && (await host.iptablesInUse(family, tables)).length > 0) {
        return "there are iptables rules, and --iptables-forward-rules=false keeps ours from standing first";
      }
      const [chain] = await host.foreignForwardChains(family, tables);
      if (chain) return `the nftables chain ${chain.name} sees forwarded packets and might drop them`;
    }
    return undefined;
  }

  // Sends a super-packet to a socket of this host. It is delivered whole, since nothing has to cut it.
  #arrives(probe: Probe): boolean {
    const { family, addr } = probe;
    const arena = Arena.create(UDP_BIND_ARENA + 2 * 65_536);
    const bind = new UdpBind(arena, { [family]: probe.fd }, probe.port);
    const tunnel = new TunnelGso(arena, { ...this.data, port: probe.port });
    const to = arena.alloc(SOCKADDR_LEN[family], 8);
    putSockaddr(arena, to, family, addrBytes(addr), probe.port);
    const ip = arena.alloc(TUNNEL_HEADROOM + PROBE_PAYLOAD + 256) + ((TUNNEL_HEADROOM + 3) & ~3);
    const length = putProbe(arena.bytes, ip, family, addr);
    const type = family === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
    if (tunnel.send(family, to, ip, length, type, PROBE_SIZE) !== 1) return false;
    for (let tries = 0; tries < PROBE_TRIES; tries++) {
      if (bind.recv() !== 1) continue;
      if (bind.rx.length[0] !== HEADROOM + length) return false;
      const at = (bind.rx.at[0] as number) + HEADROOM;
      for (let i = 0; i < length; i++) if (arena.bytes[at + i] !== arena.bytes[ip + i]) return false;
      return true;
    }
    return false;
  }

  #closeProbes(): void {
    for (const { fd } of this.#probes) libc.close(fd);
  }

  close(): void {
    if (!this.#tried) this.#closeProbes();
    this.#tried = true;
    libc.close(this.data.fd);
  }
}

// A TCP super-packet from and to the address. Returns its length.
function putProbe(bytes: Uint8Array, ip: number, family: Family, addr: Addr): number {
  const ihl = family === 4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
  const room = TCP_HEADER_LEN + PROBE_PAYLOAD;
  if (family === 4) {
    putIpv4(bytes, ip, 0, ihl + room, 0, 0, 64, IPPROTO_TCP, Number(addr.value), Number(addr.value));
  } else {
    putIpv6(bytes, ip, 0, room, IPPROTO_TCP, 64, addrBytes(addr), 0, addrBytes(addr), 0);
  }
  for (let i = 0; i < room; i++) bytes[ip + ihl + i] = i * 31 + (i >> 8);
  bytes[ip + ihl + 12] = (TCP_HEADER_LEN / 4) << 4;
  put16le(bytes, ip + ihl + TCP_CHECKSUM_AT, pseudoSum(bytes, ip, family, IPPROTO_TCP, room));
  return ihl + room;
}
