// One end of a TCP connection that is open while something happens, run by a test in a namespace:
//   talk.ts echo ADDRESS PORT            sends back whatever comes; prints {"listening":true}
//   talk.ts talk SOURCE ADDRESS PORT     sends a byte every 10 ms, until SIGTERM; then prints one line
// The line is {"sent", "echoed", "longestGapMs", "error"}: the gap is the longest time between two echoes.

import { connect, createServer } from "node:net";

const PACE_MS = 10;

const [mode, ...rest] = process.argv.slice(2);
if (mode === "echo") echo(rest[0] ?? "", Number(rest[1]));
else talk(rest[0] ?? "", rest[1] ?? "", Number(rest[2]));

function echo(address: string, port: number): void {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(port, address, () => console.log(JSON.stringify({ listening: true })));
}

function talk(source: string, address: string, port: number): void {
  let sent = 0;
  let echoed = 0;
  let longestGapMs = 0;
  let last = performance.now();
  let asked = false;
  const finish = (error: string | null): void => {
    console.log(JSON.stringify({ sent, echoed, longestGapMs: Math.round(longestGapMs), error }));
    process.exit();
  };
  const socket = connect({ host: address, port, localAddress: source, noDelay: true });
  socket.on("error", (error) => finish(error.message));
  socket.on("close", () => finish("closed"));
  socket.on("connect", () => {
    console.log(JSON.stringify({ connected: true }));
    last = performance.now();
    const timer = setInterval(() => {
      if (asked) return clearInterval(timer);
      socket.write("x");
      sent++;
    }, PACE_MS);
  });
  socket.on("data", (bytes) => {
    const now = performance.now();
    longestGapMs = Math.max(longestGapMs, now - last);
    last = now;
    echoed += bytes.length;
    if (asked && echoed === sent) finish(null);
  });
  process.on("SIGTERM", () => {
    asked = true;
    if (echoed === sent) finish(null);
  });
}
