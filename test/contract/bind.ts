import { afterEach, describe, expect, test } from "vitest";
import { type Addr, addrBytes } from "../../pkg/addr/addr.ts";
import { Arena, IOVEC_LEN } from "../../pkg/sys/arena.ts";
import { putSockaddr, SOCKADDR_LEN } from "../../pkg/sys/udp-socket.ts";
import type { Bind, TxRun } from "../../pkg/underlay/bind.ts";
import { pattern } from "../inner-packet.ts";
import { addr } from "../literals.ts";

/** How a suite gets what it tests. */
export interface BindMaker {
  /** Binds to the address, on a port of the maker's choice. */
  open(arena: Arena, address: Addr): Promise<Bind>;
  /** Whether the traffic class reaches the receiver. */
  readonly carriesTos: boolean;
}

/** What every Bind keeps to. Traffic goes over loopback addresses, or over a network in memory. */
export function bindContract(name: string, maker: BindMaker): void {
  describe(`${name} is a Bind`, () => {
    const opened: Bind[] = [];
    const end = async (address: string): Promise<{ arena: Arena; bind: Bind; address: Addr }> => {
      const arena = Arena.create(8 * 1024 * 1024);
      const bind = await maker.open(arena, addr(address));
      opened.push(bind);
      return { arena, bind, address: addr(address) };
    };
    afterEach(() => {
      for (const bind of opened.splice(0)) bind.close();
    });

    test.each(["127.0.0.1", "::1"])("a run over %s arrives datagram by datagram, with its sender", async (address) => {
      const a = await end(address);
      const b = await end(address);
      const sent = [pattern(1000), pattern(1000), pattern(1000), pattern(17)];
      expect(a.bind.send(run(a.arena, b, sent, 1))).toBe(4);
      const got = await receive(b.bind, b.arena, 4);
      expect(got.map((each) => each.bytes)).toEqual(sent);
      expect(got[0]?.from).toEqual(addrBytes(a.address));
      expect(got[0]?.family).toBe(a.address.family);
    });

    test("datagrams gathered from several places arrive joined", async () => {
      const a = await end("127.0.0.1");
      const b = await end("127.0.0.1");
      const sent = [pattern(800), pattern(800), pattern(40)];
      expect(a.bind.send(run(a.arena, b, sent, 2))).toBe(3);
      const got = await receive(b.bind, b.arena, 3);
      expect(got.map((each) => each.bytes)).toEqual(sent);
    });

    test("a datagram of 60 KB arrives whole", async () => {
      const a = await end("127.0.0.1");
      const b = await end("127.0.0.1");
      const sent = [pattern(60_000)];
      expect(a.bind.send(run(a.arena, b, sent, 1))).toBe(1);
      const got = await receive(b.bind, b.arena, 1);
      expect(got[0]?.bytes).toEqual(sent[0]);
    });

    test("more datagrams than one recv holds come with the next", async () => {
      const a = await end("127.0.0.1");
      const b = await end("127.0.0.1");
      const sent = Array.from({ length: 50 }, () => pattern(100));
      expect(a.bind.send(run(a.arena, b, sent, 1))).toBe(50);
      expect((await receive(b.bind, b.arena, 50)).length).toBe(50);
      expect(b.bind.recv()).toBe(0);
    });

    test("nothing waiting is 0", async () => {
      const { bind } = await end("127.0.0.1");
      expect(bind.recv()).toBe(0);
    });

    test.skipIf(!maker.carriesTos)("the traffic class arrives", async () => {
      const a = await end("127.0.0.1");
      const b = await end("127.0.0.1");
      a.bind.send({ ...run(a.arena, b, [pattern(50)], 1), tos: 0b10 });
      expect((await receive(b.bind, b.arena, 1))[0]?.tos).toBe(0b10);
    });

    test("close is final and frees the port", async () => {
      const first = await end("127.0.0.1");
      first.bind.close();
      opened.length = 0;
      const again = await end("127.0.0.1");
      expect(again.bind.recv()).toBe(0);
    });
  });
}

// A run of datagrams to `to`, each gathered from `pieces` places.
function run(
  arena: Arena,
  to: { readonly bind: Bind; readonly address: Addr },
  datagrams: readonly Uint8Array[],
  pieces: number,
): TxRun {
  const { family } = to.address;
  const name = arena.alloc(SOCKADDR_LEN[family], 8);
  putSockaddr(arena, name, family, addrBytes(to.address), to.bind.port);
  const iov = arena.alloc(datagrams.length * pieces * IOVEC_LEN, 16);
  let next = iov;
  for (const datagram of datagrams) {
    const cut = pieces === 1 ? datagram.length : 30;
    for (const part of pieces === 1 ? [datagram] : [datagram.subarray(0, cut), datagram.subarray(cut)]) {
      const at = arena.alloc(part.length + 1);
      arena.bytes.set(part, at);
      arena.putIovec(next, at, part.length);
      next += IOVEC_LEN;
    }
  }
  return {
    family,
    to: name,
    iov,
    iovCount: datagrams.length * pieces,
    iovPerDatagram: pieces,
    datagrams: datagrams.length,
    length: datagrams[0]?.length ?? 0,
    total: datagrams.reduce((sum, datagram) => sum + datagram.length, 0),
    tos: 0,
  };
}

interface Received {
  readonly bytes: Uint8Array;
  readonly from: Uint8Array;
  readonly family: number;
  readonly tos: number;
}

async function receive(bind: Bind, arena: Arena, count: number): Promise<Received[]> {
  const got: Received[] = [];
  for (let tries = 0; got.length < count && tries < 200; tries++) {
    const rows = bind.recv();
    if (rows < 0) throw new Error(`recv: errno ${-rows}`);
    for (let row = 0; row < rows; row++) {
      const at = bind.rx.at[row] as number;
      const from = bind.rx.from[row] as number;
      const family = bind.rx.family[row] as number;
      const part = bind.rx.partLength[row] as number;
      const length = bind.rx.length[row] as number;
      for (let done = 0; done < length; done += part || length) {
        got.push({
          bytes: arena.bytes.slice(at + done, at + Math.min(length, done + (part || length))),
          from: arena.bytes.slice(from, from + (family === 4 ? 4 : 16)),
          family,
          tos: bind.rx.tos[row] as number,
        });
      }
    }
    if (got.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return got;
}
