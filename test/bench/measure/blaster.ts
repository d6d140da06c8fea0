// 64-byte datagrams by sendmmsg(2) and recvmmsg(2), run in a pod's namespace:
//   blaster.ts receive PORT              prints {"ready":true}, then one Received once nothing comes any more
//   blaster.ts send ADDRESS PORT SECONDS   sends as fast as the socket takes them, prints one Sent
// Both keep their thread in system calls, as an iperf3 cannot: it makes one for each datagram.
import { addrBytes, parseAddr } from "../../../pkg/addr/addr.ts";
import { systemClock } from "../../../pkg/base/clock.ts";
import { Arena } from "../../../pkg/sys/arena.ts";
import { EAGAIN, SysError } from "../../../pkg/sys/errors.ts";
import * as libc from "../../../pkg/sys/libc.ts";
import { POLLIN, POLLOUT, PollSet } from "../../../pkg/sys/poll-set.ts";
import { openUdp, putSockaddr, SOCKADDR_LEN } from "../../../pkg/sys/udp-socket.ts";
import { DatagramBatch } from "./datagram-batch.ts";

export interface Sent {
  readonly sent: number;
  readonly seconds: number;
}

export interface Received {
  readonly received: number;
  /** From the first datagram to the last. */
  readonly seconds: number;
}

const SIZE = 64;
const BATCH = 64;
const BUFFERS = { rcvbuf: 8 * 1024 * 1024, sndbuf: 4 * 1024 * 1024 };
const ANY = new Uint8Array(4);
const FIRST_MS = 10_000;
const SILENCE_MS = 400;

if (import.meta.main) {
  const [mode, ...rest] = process.argv.slice(2);
  const result = mode === "receive" ? receive(Number(rest[0])) : send(rest[0] ?? "", Number(rest[1]), Number(rest[2]));
  console.log(JSON.stringify(result));
}

function send(to: string, port: number, seconds: number): Sent {
  const addr = parseAddr(to);
  if (addr?.family !== 4) throw new Error(`cannot send to ${to}: not an IPv4 address`);
  const arena = Arena.create(1 << 20);
  const { fd } = openUdp(4, ANY, 0, BUFFERS);
  const name = arena.alloc(SOCKADDR_LEN[4]);
  putSockaddr(arena, name, 4, addrBytes(addr), port);
  const batch = new DatagramBatch(arena, BATCH, SIZE, { at: name, length: SOCKADDR_LEN[4] });
  const poll = new PollSet(arena, [fd]);
  poll.want(0, POLLOUT);
  const start = systemClock.now();
  const end = start + seconds * 1000;
  let sent = 0;
  while (systemClock.now() < end) {
    const n = libc.sendmmsg(fd, arena.address(batch.at), batch.count, 0);
    if (n >= 0) sent += n;
    else if (libc.errno() === EAGAIN) poll.wait(Math.max(1, Math.ceil(end - systemClock.now())));
    else throw new SysError("sendmmsg", libc.errno());
  }
  return { sent, seconds: (systemClock.now() - start) / 1000 };
}

function receive(port: number): Received {
  const arena = Arena.create(1 << 20);
  const { fd } = openUdp(4, ANY, port, BUFFERS);
  const batch = new DatagramBatch(arena, BATCH, SIZE * 2);
  const poll = new PollSet(arena, [fd]);
  poll.want(0, POLLIN);
  console.log(JSON.stringify({ ready: true }));
  let received = 0;
  let first = 0;
  let last = 0;
  while (poll.wait(received === 0 ? FIRST_MS : SILENCE_MS) > 0) {
    const n = libc.recvmmsg(fd, arena.address(batch.at), batch.count, 0);
    if (n < 0) throw new SysError("recvmmsg", libc.errno());
    last = systemClock.now();
    if (received === 0) first = last;
    for (let i = 0; i < n; i++) {
      if (batch.length(i) !== SIZE) throw new Error(`a datagram of ${batch.length(i)} bytes arrived, not of ${SIZE}`);
    }
    received += n;
  }
  return { received, seconds: (last - first) / 1000 };
}
