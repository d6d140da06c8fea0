// A TCP connection that is never silent, run by a test in a namespace, which tells how long it was silent all the same:
//   stream.ts receive ADDRESS PORT         prints {"listening":true}, {"connected":true}, at the end one Streamed
//   stream.ts send SOURCE ADDRESS PORT     sends a numbered record every few milliseconds until SIGTERM

import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** What the receiver has seen. */
export interface Streamed {
  readonly records: number;
  /** Whether every record came, once, in order and as it was sent. */
  readonly intact: boolean;
  /** The longest time without anything. */
  readonly longestGapMs: number;
}

const EVERY_MS = 5;
const RECORD = 1000;

const [mode, ...rest] = process.argv.slice(2);
if (mode === "receive") receive(rest[0] ?? "", Number(rest[1]));
else await send(rest[0] ?? "", rest[1] ?? "", Number(rest[2]));

function record(n: number): Buffer {
  return Buffer.from(String(n).padEnd(RECORD, String(n % 10)));
}

function receive(address: string, port: number): void {
  const server = createServer((socket) => {
    let [records, intact, longestGapMs, last] = [0, true, 0, performance.now()];
    let waiting = Buffer.alloc(0);
    print({ connected: true });
    socket.on("data", (chunk: Buffer) => {
      longestGapMs = Math.max(longestGapMs, performance.now() - last);
      last = performance.now();
      waiting = Buffer.concat([waiting, chunk]);
      for (; waiting.length >= RECORD; waiting = waiting.subarray(RECORD)) {
        intact &&= waiting.subarray(0, RECORD).equals(record(records++));
      }
    });
    const end = (): void => {
      intact &&= waiting.length === 0;
      print({ records, intact, longestGapMs: Math.round(longestGapMs) } satisfies Streamed);
      server.close();
    };
    socket.on("end", end);
    socket.on("error", () => {
      intact = false;
      end();
    });
  });
  server.listen(port, address, () => print({ listening: true }));
}

async function send(source: string, address: string, port: number): Promise<void> {
  const stop = new AbortController();
  process.on("SIGTERM", () => stop.abort());
  const socket = connect({ host: address, port, localAddress: source });
  await once(socket, "connect");
  for (let n = 0; !stop.signal.aborted; n++) {
    if (!socket.write(record(n))) await once(socket, "drain");
    await delay(EVERY_MS);
  }
  socket.end();
  await once(socket, "close");
}

function print(value: object): void {
  console.log(JSON.stringify(value));
}
