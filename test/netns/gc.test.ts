// The packet loop allocates nothing for a packet: at full rate its thread hardly ever collects garbage. What it collects is
// what calls into libc leave behind, a few bytes for each call.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { join } from "node:path";
import { systemClock } from "../../pkg/base/clock.ts";
import { RUNGS } from "../../pkg/dataplane/tun/offload.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { tcpThroughput } from "../../pkg/lab/throughput.ts";
import { collectionsDuring } from "../bench/measure/gc.ts";
import { measureUdp } from "../bench/measure/udp.ts";
import { notRoot, rootTitle, TOP } from "./netns.ts";
import { NO_TUNNEL_GSO } from "./rung-lab.ts";

const SECONDS = 5;
const ROUNDS = 1;
// The goal is less than one a second; how many there are follows from how many calls this machine makes.
const MOST_PER_SECOND = 1;

describe.skipIf(notRoot).each(RUNGS)(rootTitle("garbage on the rung %s"), { timeout: 120_000 }, (rung) => {
  let lab: Lab;
  let supported = true;
  beforeAll(async () => {
    lab = await Lab.create();
    const program = [process.execPath, "--trace-gc", join(TOP, "dist/twilld/main.js")];
    for (let i = 1; i <= 2; i++) {
      const node = await lab.addNode({ program, args: [`--offload=${rung}`] });
      await node.start();
      try {
        await node.ready();
      } catch (error) {
        if (!String(error).includes("the kernel does not offer")) throw error;
        supported = false;
        return;
      }
      await node.addPod();
    }
  });
  afterAll(() => lab?.close());

  test("its thread collects less than once a second, and never the whole heap", async ({ skip }) => {
    skip(!supported, NO_TUNNEL_GSO);
    const { directory } = lab;
    const [client, server] = [lab.pod(1, 1), lab.pod(2, 1)];
    await client.netns.run(["ping", "-c", "1", "-w", "10", server.address]);
    const testbed = { client, server, machines: [], agents: [] };
    let seconds = 0;
    const load = async (): Promise<void> => {
      const start = systemClock.now();
      for (let round = 0; round < ROUNDS; round++) {
        await tcpThroughput(client, server, { seconds: SECONDS, streams: 2, directory });
        await measureUdp(testbed, SECONDS, directory);
      }
      seconds = (systemClock.now() - start) / 1000;
    };
    const logs = [lab.node(1).log, lab.node(2).log] as const;
    const both = await collectionsDuring(logs, load);
    for (const [main, loop] of both) {
      expect(main).toBeDefined();
      // A thread that has never collected anything is not in the log.
      expect(loop?.major ?? 0).toBe(0);
      expect((loop?.minor ?? 0) / seconds).toBeLessThan(MOST_PER_SECOND);
    }
  });
});
