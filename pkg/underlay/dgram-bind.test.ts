import { Socket } from "node:dgram";
import { afterEach, expect, test, vi } from "vitest";
import { addr } from "../../test/literals.ts";
import { addrBytes } from "../addr/addr.ts";
import { Arena, IOVEC_LEN } from "../sys/arena.ts";
import { ENOBUFS } from "../sys/errors.ts";
import { putSockaddr, SOCKADDR_LEN } from "../sys/udp-socket.ts";
import { DgramBind } from "./dgram-bind.ts";

afterEach(() => void vi.restoreAllMocks());

test("what Node would queue without end is lost", async () => {
  const arena = Arena.create(2_000_000);
  const bind = await DgramBind.open(arena, [addr("127.0.0.1")], 0);
  const to = arena.alloc(SOCKADDR_LEN[4], 8);
  putSockaddr(arena, to, 4, addrBytes(addr("127.0.0.1")), bind.port);
  const iov = arena.alloc(IOVEC_LEN, 16);
  arena.putIovec(iov, arena.alloc(100), 100);
  const run = {
    family: 4,
    to,
    iov,
    iovCount: 1,
    iovPerDatagram: 1,
    datagrams: 1,
    length: 100,
    total: 100,
    tos: 0,
  } as const;
  const send = vi.spyOn(Socket.prototype, "send");
  const queued = vi.spyOn(Socket.prototype, "getSendQueueSize").mockReturnValue(1 << 30);
  expect(bind.send(run)).toBe(1);
  expect([bind.lost, bind.lostErrno, send.mock.calls.length]).toEqual([1, ENOBUFS, 0]);
  queued.mockReturnValue(0);
  expect(bind.send(run)).toBe(1);
  expect([bind.lost, send.mock.calls.length]).toEqual([1, 1]);
  bind.close();
});
