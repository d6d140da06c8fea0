import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sleep, systemClock } from "../../../pkg/base/clock.ts";
import type { Daemon } from "../../../pkg/lab/daemon.ts";
import type { Figures } from "../figures.ts";
import type { Testbed } from "../testbed/testbed.ts";
import type { Received, Sent } from "./blaster.ts";

const BLASTER = join(import.meta.dirname, "blaster.ts");
const PORT = 5202;
const PATIENCE_MS = 15_000;

/** Datagrams of 64 bytes that arrive per second, in thousands, from a sender that knows no mercy, and what it sent. */
export async function measureUdp(testbed: Testbed, seconds: number, directory: string): Promise<Figures> {
  const { client, server } = testbed;
  const log = join(directory, `blaster-${server.name}-${systemClock.now()}.log`);
  const receiver = await server.netns.start([process.execPath, BLASTER, "receive", String(PORT)], {
    name: `the receiver in ${server.name}`,
    log,
  });
  try {
    await line(receiver, 0);
    const argv = [process.execPath, BLASTER, "send", server.address, String(PORT), String(seconds)];
    const { stdout } = await client.netns.run(argv, { timeout: seconds * 1000 + PATIENCE_MS });
    const { sent, seconds: sending } = JSON.parse(stdout) as Sent;
    const { received, seconds: receiving } = JSON.parse(await line(receiver, 1)) as Received;
    if (received < 2) throw new Error(`${received} of ${sent} datagrams arrived in ${server.name}`);
    return { udp64: received / Math.max(receiving, sending) / 1000, udp64Offered: sent / sending / 1000 };
  } finally {
    await receiver.kill();
  }
}

/** Waits for the `i`th line, from 0, of what the process prints. */
async function line(daemon: Daemon, i: number): Promise<string> {
  const deadline = systemClock.now() + PATIENCE_MS;
  for (;;) {
    const ended = !daemon.running;
    const lines = readFileSync(daemon.log, "utf8").split("\n");
    const wanted = lines[i];
    // The last one is not whole yet.
    if (wanted !== undefined && i < lines.length - 1) return wanted;
    if (ended) throw new Error(`${daemon.name} ${daemon.describeEnding()}: ${daemon.tail(3).join("; ")}`);
    if (systemClock.now() > deadline) throw new Error(`${daemon.name} says nothing`);
    await sleep(systemClock, 10);
  }
}
