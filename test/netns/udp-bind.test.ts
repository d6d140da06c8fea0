// UdpBind where the kernel takes no run to cut it: towards one peer only, or at all.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addrBytes } from "../../pkg/addr/addr.ts";
import type { Family } from "../../pkg/addr/family.ts";
import { systemClock, sleep } from "../../pkg/base/clock.ts";
import { Arena, IOVEC_LEN } from "../../pkg/sys/arena.ts";
import { EINVAL } from "../../pkg/sys/errors.ts";
import * as libc from "../../pkg/sys/libc.ts";
import { openUdp, putSockaddr, SOCKADDR_LEN } from "../../pkg/sys/udp-socket.ts";
import { UDP_BIND_ARENA, UdpBind } from "../../pkg/underlay/udp-bind.ts";
import { addr } from "../literals.ts";
import { inside } from "./inside.ts";
import { notRoot, rootTitle } from "./netns.ts";

const PORT = 8472;
const DATAGRAMS = 10;
const LENGTH = 1440;
const BUFFERS = { rcvbuf: 4 << 20, sndbuf: 4 << 20 };

// Level and name of SO_NO_CHECK, and of UDP_NO_CHECK6_TX and UDP_NO_CHECK6_RX (linux/udp.h).
const NO_CHECKSUM = { 4: { send: [1, 11], receive: [1, 11] }, 6: { send: [17, 101], receive: [17, 102] } } as const;

const net = {
  4: { from: "192.0.2.1", bits: 24, near: "192.0.2.2", narrow: "192.0.2.3", none: "192.0.2.4" },
  6: { from: "fd77::1", bits: 64, near: "fd77::2", narrow: "fd77::3", none: "fd77::4" },
} as const;

const ip = (...args: readonly string[]): void => {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
};

describe.skipIf(notRoot).each([4, 6] as const)(rootTitle("runs over IPv%i"), (family: Family) => {
  const { from, bits, near, narrow, none } = net[family];
  let here: string;
  let there: string;
  let arena: Arena;
  let bind: UdpBind;
  let peers: Map<string, UdpBind>;
  beforeEach(() => {
    const id = randomBytes(4).toString("hex");
    [here, there] = [`twt-a-${id}`, `twt-b-${id}`];
    for (const netns of [here, there]) ip("netns", "add", netns);
    ip("-n", here, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", there);
    const nodad = family === 6 ? ["nodad"] : [];
    ip("-n", here, "address", "add", `${from}/${bits}`, "dev", "eth0", ...nodad);
    for (const each of [near, narrow]) ip("-n", there, "address", "add", `${each}/${bits}`, "dev", "eth0", ...nodad);
    for (const netns of [here, there]) ip("-n", netns, "link", "set", "eth0", "up");
    ip("-n", here, "route", "add", narrow, "dev", "eth0", "mtu", "1400");
    ip("-n", here, "route", "add", "blackhole", none);
    arena = Arena.create(3 * UDP_BIND_ARENA + 200_000);
    const open = (netns: string, address: string, segment: boolean): UdpBind => {
      const { fd } = inside(netns, () => openUdp(family, addrBytes(addr(address)), PORT, BUFFERS));
      return new UdpBind(arena, { [family]: fd }, PORT, segment);
    };
    bind = open(here, from, true);
    peers = new Map([near, narrow].map((address) => [address, open(there, address, false)]));
  });
  afterEach(() => {
    for (const each of [bind, ...peers.values()]) each.close();
    for (const netns of [here, there]) ip("netns", "delete", netns);
  });

  /** Sends one run. Resolves to how many of its datagrams arrived. */
  async function send(to: string): Promise<number> {
    const name = arena.alloc(SOCKADDR_LEN[family], 8);
    putSockaddr(arena, name, family, addrBytes(addr(to)), PORT);
    const payload = arena.alloc(LENGTH);
    const iov = arena.alloc(DATAGRAMS * IOVEC_LEN, 16);
    for (let i = 0; i < DATAGRAMS; i++) arena.putIovec(iov + i * IOVEC_LEN, payload, LENGTH);
    const run = { family, to: name, iov, iovCount: DATAGRAMS, iovPerDatagram: 1, datagrams: DATAGRAMS, tos: 0 };
    expect(bind.send({ ...run, length: LENGTH, total: DATAGRAMS * LENGTH })).toBe(DATAGRAMS);
    let arrived = 0;
    if (!peers.has(to)) return arrived;
    for (let tries = 0; tries < 400 && arrived < DATAGRAMS; tries++) {
      arrived += peers.get(to)?.recv() ?? 0;
      if (arrived < DATAGRAMS) await sleep(systemClock, 5);
    }
    return arrived;
  }

  test("what does not fit the path to one peer goes there in fragments, and to the others cut by the kernel", async () => {
    for (let i = 0; i < 50; i++) expect(await send(narrow)).toBe(DATAGRAMS);
    expect(await send(near)).toBe(DATAGRAMS);
    expect({ lost: bind.lost, segment: bind.segment }).toEqual({ lost: 0, segment: true });
  });

  test("a peer that nothing can be sent to takes nothing from the others", async () => {
    for (let i = 0; i < 50; i++) expect(await send(none)).toBe(0);
    expect({ lost: bind.lost, errno: bind.lostErrno, segment: bind.segment }).toEqual({
      lost: 50 * DATAGRAMS,
      errno: EINVAL,
      segment: true,
    });
    expect(await send(near)).toBe(DATAGRAMS);
  });

  // Without a checksum the kernel cuts nothing: net/ipv4/udp.c, udp_send_skb, EINVAL.
  test("where the kernel cuts no run at all the bind soon stops asking, and loses nothing", async () => {
    const one = arena.alloc(4, 4);
    arena.i32[one >>> 2] = 1;
    const set = ({ fds }: UdpBind, [level, name]: readonly [number, number]): void => {
      expect(libc.setsockopt(fds[0] as number, level, name, arena.address(one), 4)).toBe(0);
    };
    set(bind, NO_CHECKSUM[family].send);
    for (const peer of peers.values()) set(peer, NO_CHECKSUM[family].receive);
    for (let i = 0; i < 50; i++) expect(await send(near)).toBe(DATAGRAMS);
    expect({ lost: bind.lost, segment: bind.segment }).toEqual({ lost: 0, segment: false });
  });
});
