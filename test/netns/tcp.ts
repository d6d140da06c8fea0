import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import type { Netns } from "../../pkg/lab/netns.ts";
import { compiled } from "./compiled.ts";

const TRANSFER = join(import.meta.dirname, "transfer.ts");
const PATIENCE_MS = 20_000;
// What counts as standing still: less than 1 MB/s.
const SLOWEST_BYTES_PER_MS = 1000;

/** Where one end of a connection is. */
export interface End {
  readonly netns: Netns;
  readonly address: string;
}

export interface Transfer {
  /** Whom the receiver sees as the sender. */
  readonly sender: string;
  readonly bytes: number;
  /** Whether what came is what was sent. */
  readonly intact: boolean;
}

let nextPort = 20_000;

/** Sends random bytes by TCP. `directory` takes the receiver's log. Throws where the connection does not come about. */
export async function transferTcp(from: End, to: End, bytes: number, directory: string): Promise<Transfer> {
  const port = nextPort++;
  const log = join(directory, `receive-${port}.log`);
  const receiver = await to.netns.start([process.execPath, compiled(TRANSFER), "receive", to.address, String(port)], {
    name: `the receiver on port ${port}`,
    log,
  });
  try {
    await lines(log, 1);
    const argv = [process.execPath, compiled(TRANSFER), "send", from.address, to.address, String(port), String(bytes)];
    const { stdout } = await from.netns.run(argv, { timeout: PATIENCE_MS + bytes / SLOWEST_BYTES_PER_MS });
    const sent = JSON.parse(stdout) as { sha256: string };
    const received = JSON.parse((await lines(log, 2))[1] ?? "") as { peer: string; bytes: number; sha256: string };
    return { sender: received.peer, bytes: received.bytes, intact: received.sha256 === sent.sha256 };
  } finally {
    await receiver.stop();
  }
}

async function lines(log: string, count: number): Promise<string[]> {
  const deadline = systemClock.now() + PATIENCE_MS;
  for (;;) {
    const found = readFileSync(log, "utf8").split("\n").slice(0, -1);
    if (found.length >= count) return found;
    if (systemClock.now() > deadline) throw new Error(`the receiver has said only: ${found.join("; ")}`);
    await sleep(systemClock, 10);
  }
}
