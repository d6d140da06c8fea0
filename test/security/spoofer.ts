// spoofer.ts FILE: sends what FILE says, run in an attacker's network namespace; prints how many of each were sent.

import { readFileSync } from "node:fs";
import { addrBytes } from "../../pkg/addr/addr.ts";
import { systemClock } from "../../pkg/base/clock.ts";
import { Arena } from "../../pkg/sys/arena.ts";
import { EAGAIN, SysError } from "../../pkg/sys/errors.ts";
import * as libc from "../../pkg/sys/libc.ts";
import { openUdp, putSockaddr, SOCKADDR_LEN } from "../../pkg/sys/udp-socket.ts";
import { DatagramBatch } from "../bench/measure/datagram-batch.ts";
import { addr } from "../literals.ts";

export interface Order {
  readonly to: string;
  readonly port: number;
  /** Of each class, or as many per second of all together for so many seconds. */
  readonly count?: number;
  readonly perSecond?: number;
  readonly seconds?: number;
  readonly classes: readonly { readonly from: string; readonly hex: string }[];
}

const BATCH = 32;

if (import.meta.main) {
  const order = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Order;
  console.log(JSON.stringify(send(order)));
}

function send({ to, port, count, perSecond = 0, seconds = 0, classes }: Order): readonly number[] {
  const arena = Arena.create(4 << 20);
  const name = arena.alloc(SOCKADDR_LEN[4]);
  putSockaddr(arena, name, 4, addrBytes(addr(to)), port);
  const sockets = new Map<string, number>();
  const batches = classes.map(({ from, hex }) => {
    const fd = sockets.get(from) ?? openUdp(4, addrBytes(addr(from)), 0, { rcvbuf: 1 << 16, sndbuf: 4 << 20 }).fd;
    sockets.set(from, fd);
    const bytes = Buffer.from(hex, "hex");
    const batch = new DatagramBatch(arena, BATCH, bytes.length, { at: name, length: SOCKADDR_LEN[4] });
    batch.fill(bytes);
    return { fd, batch };
  });
  const sent = classes.map(() => 0);
  const start = systemClock.now();
  for (let total = 0; ;) {
    const elapsed = (systemClock.now() - start) / 1000;
    if (count === undefined ? elapsed >= seconds : sent.every((n) => n >= count)) return sent;
    if (count === undefined && total >= perSecond * elapsed) continue;
    for (const [i, { fd, batch }] of batches.entries()) {
      const want = Math.min(BATCH, (count ?? Infinity) - (sent[i] as number));
      if (want <= 0) continue;
      const n = libc.sendmmsg(fd, arena.address(batch.at), want, 0);
      if (n < 0 && libc.errno() !== EAGAIN) throw new SysError("sendmmsg", libc.errno());
      sent[i] = (sent[i] as number) + Math.max(0, n);
      total += Math.max(0, n);
    }
  }
}
