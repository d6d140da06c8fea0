// One end of a TCP transfer, run by a test in a namespace:
//   transfer.ts receive ADDRESS PORT          prints {"listening":true}, then one line for each connection
//   transfer.ts send SOURCE ADDRESS PORT BYTES  sends random bytes, prints one line
// A line is {"peer", "bytes", "sha256"}: whom the socket names as the other end, how much went over, and its digest.

import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";

const CHUNK = 256 * 1024;

const [mode, ...rest] = process.argv.slice(2);
if (mode === "receive") receive(rest[0] ?? "", Number(rest[1]));
else await send(rest[0] ?? "", rest[1] ?? "", Number(rest[2]), Number(rest[3]));

function receive(address: string, port: number): void {
  const server = createServer((socket) => {
    const hash = createHash("sha256");
    const peer = socket.remoteAddress ?? "";
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    socket.on("end", () => print({ peer, bytes, sha256: hash.digest("hex") }));
    socket.on("error", (error) => print({ peer, bytes, sha256: `broken: ${error.message}` }));
  });
  server.listen(port, address, () => console.log(JSON.stringify({ listening: true })));
}

async function send(source: string, address: string, port: number, total: number): Promise<void> {
  const hash = createHash("sha256");
  const socket = connect({ host: address, port, localAddress: source });
  await once(socket, "connect");
  const peer = socket.remoteAddress ?? "";
  // A cipher's stream under a random key looks as random as randomBytes, for a fifth of the processor time.
  const stream = createCipheriv("aes-128-ctr", randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(CHUNK);
  for (let left = total; left > 0; left -= CHUNK) {
    const chunk = stream.update(zeros.subarray(0, Math.min(CHUNK, left)));
    hash.update(chunk);
    if (!socket.write(chunk)) await once(socket, "drain");
  }
  socket.end();
  await once(socket, "close");
  print({ peer, bytes: total, sha256: hash.digest("hex") });
}

function print(result: { peer: string; bytes: number; sha256: string }): void {
  console.log(JSON.stringify(result));
}
