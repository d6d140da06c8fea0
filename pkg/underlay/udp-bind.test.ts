import { afterEach, expect, test } from "vitest";
import { pattern } from "../../test/inner-packet.ts";
import { addr } from "../../test/literals.ts";
import { addrBytes } from "../addr/addr.ts";
import { Arena, IOVEC_LEN } from "../sys/arena.ts";
import { openUdp, putSockaddr, SOCKADDR_LEN } from "../sys/udp-socket.ts";
import { UDP_BIND_ARENA, UdpBind } from "./udp-bind.ts";

const LOOPBACK = addr("127.0.0.1");
const arena = Arena.create(2 * UDP_BIND_ARENA + 200_000);

function open(): UdpBind {
  const socket = openUdp(4, addrBytes(LOOPBACK), 0, { rcvbuf: 4 << 20, sndbuf: 4 << 20 });
  return new UdpBind(arena, { 4: socket.fd }, socket.port);
}

const [from, to] = [open(), open()];
const name = arena.alloc(SOCKADDR_LEN[4], 8);
putSockaddr(arena, name, 4, addrBytes(LOOPBACK), to.port);
const [iov, payload] = [arena.alloc(64 * IOVEC_LEN, 16), arena.alloc(1500)];
arena.bytes.set(pattern(1500), payload);

afterEach(() => {
  while (to.recv() > 0);
});

function send(datagrams: number, length: number): void {
  for (let i = 0; i < datagrams; i++) arena.putIovec(iov + i * IOVEC_LEN, payload, length);
  const run = { family: 4, to: name, iov, iovCount: datagrams, iovPerDatagram: 1, datagrams, length, tos: 0 } as const;
  expect(from.send({ ...run, total: datagrams * length })).toBe(datagrams);
}

test("data that the kernel has not joined comes as many at a time as make one super-packet", () => {
  send(50, 1450);
  send(40, 1450);
  expect([to.recv(), to.recv(), to.recv()]).toEqual([64, 26, 0]);
  for (let row = 0; row < 26; row++) {
    const at = to.rx.at[row] as number;
    expect(arena.bytes.subarray(at, at + (to.rx.length[row] as number))).toEqual(pattern(1450));
  }
});

test("small datagrams, which are mostly acknowledgements, wait for no others", () => {
  send(40, 100);
  expect([to.recv(), to.recv(), to.recv(), to.recv()]).toEqual([16, 16, 8, 0]);
});
