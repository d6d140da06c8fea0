// A node that is killed, restarted or upgraded, or loses what it stands on, while its pods talk under load, with etcd and
// without: the connection lives, the subnet stays, and the gap is told. How long gaps are in peace: npm run interruptions.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { INTERRUPTIONS, InterruptedLab, type Plane, PLANES } from "../reliability/interruptions.ts";
import { notRoot, rootTitle } from "./netns.ts";

// Many times what is measured in peace: a busy machine takes seconds to start an agent, without which the tun plane carries
// nothing, and TCP doubles what it waits. The kernel plane does not wait for the agent.
const most = (plane: Plane, name: string): number =>
  plane === "kernel" && /^(kill|restart|upgrade)/.test(name) ? 6_000 : 30_000;
const TIMEOUT_MS = 150_000;

describe.skipIf(notRoot).each(PLANES)(rootTitle("a node of the %s plane is interrupted"), (plane) => {
  let interrupted: InterruptedLab;
  beforeAll(async () => {
    interrupted = await InterruptedLab.open(plane);
  }, 2 * TIMEOUT_MS);
  afterAll(() => interrupted?.[Symbol.asyncDispose]());

  // The kernel plane's packets take no part in most of it.
  const wanted = INTERRUPTIONS.filter(
    ({ name, only }) => (only ?? plane) === plane && (plane === "tun" || /^kill|device|underlay/.test(name)),
  );

  test.each(wanted)("$name", { timeout: TIMEOUT_MS }, async (interruption) => {
    const { node } = interrupted;
    const subnet = node.subnetEnv()["FLANNEL_SUBNET"];
    const talk = await interrupted.suffer(interruption);
    console.log(`${plane}, ${interruption.name}: ${talk.longestGapMs} ms without an answer`);
    expect(talk).toMatchObject({ error: null, echoed: talk.sent });
    expect(talk.longestGapMs).toBeLessThan(most(plane, interruption.name) + 3 * (interruption.downMs ?? 0));
    expect(node.subnetEnv()["FLANNEL_SUBNET"]).toBe(subnet);
    expect(interrupted.loaded).toBe(true);
    expect(node.logText()).not.toMatch(/"level":"(error|fatal)"/);
  });

  test(
    "while no agent runs, device, addresses and routes stay, and are taken over",
    { timeout: TIMEOUT_MS },
    async () => {
      const { node } = interrupted;
      const before = await interrupted.kernelState();
      expect(before).toContain("/24");
      await node.kill();
      expect(await interrupted.kernelState()).toBe(before);
      await node.start();
      await node.ready();
      expect(await interrupted.kernelState()).toBe(before);
    },
  );
});
