// The parts of `npm run bench` that only show themselves in namespaces: each measurement gives its figures, over a testbed
// of each kind, and the underlay gets its offloads back. How large figures are is no matter of a test.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Netns } from "../../pkg/lab/netns.ts";
import { CONFIGURATIONS, MIXED, NAIVE } from "../bench/configurations.ts";
import { MEASURES } from "../bench/measures.ts";
import { makeWireLike } from "../bench/offloads.ts";
import { addMachines } from "../bench/testbed/machines.ts";
import { type Testbed, Unavailable } from "../bench/testbed/testbed.ts";
import { openTwill } from "../bench/testbed/twill.ts";
import { notRoot, rootTitle } from "./netns.ts";

describe.skipIf(notRoot)(rootTitle("the benchmark"), () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ config: "none" });
  });
  afterAll(() => lab?.close());

  const open = (id: string): Promise<Testbed> => {
    const configuration = CONFIGURATIONS.find((each) => each.id === id);
    if (!configuration) throw new Error(`there is no configuration ${id}`);
    return configuration.open(lab);
  };

  test.each(["host-gw", MIXED, NAIVE])("%s: every measurement", async (id) => {
    const testbed = await open(id);
    for (const measure of MEASURES) {
      const figures = await measure.take(testbed, 1, lab.directory);
      expect(Object.keys(figures)).toContain(measure.id.startsWith("rtt") ? `${measure.id}Mean` : measure.id);
      for (const [name, value] of Object.entries(figures)) {
        // A process that used no CPU in a short time used none in ticks.
        expect(value, name).toBeGreaterThan(name === "agentCpu" ? -1 : 0);
        expect(value, name).toBeLessThan(Number.POSITIVE_INFINITY);
      }
    }
    expect(testbed.agents.length > 0).toBe(id !== "host-gw");
  });

  test("the underlay loses its offloads and gets exactly these back", async () => {
    const machines = (await addMachines(lab, "wire")).map(({ netns }) => netns);
    const features = (netns: Netns): Promise<string> =>
      netns.run(["ethtool", "-k", "eth0"]).then(({ stdout }) => stdout);
    const ports = (): Promise<string[]> =>
      Promise.all(machines.map(({ name }) => lab.underlay.run(["ethtool", "-k", name]).then(({ stdout }) => stdout)));
    const before = [await Promise.all(machines.map(features)), await ports()];
    const restore = await makeWireLike(machines, lab.underlay);
    for (const text of await ports()) expect(text).toMatch(/^tcp-segmentation-offload: off/m);
    for (const text of await Promise.all(machines.map(features))) {
      for (const name of ["tx-checksumming", "tcp-segmentation-offload", "generic-segmentation-offload"]) {
        expect(text).toMatch(new RegExp(`^${name}: off`, "m"));
      }
      expect(text).toMatch(/^tx-udp-segmentation: off/m);
      expect(text).toMatch(/^generic-receive-offload: on$/m);
    }
    await restore();
    expect([await Promise.all(machines.map(features)), await ports()]).toEqual(before);
  });

  test("a rung that twilld refuses is unavailable, in its words", async () => {
    const refused = openTwill(lab, "refused", ["--offload=warp"]);
    await expect(refused).rejects.toThrow(Unavailable);
    await expect(refused).rejects.toThrow(/^--offload is "warp": give auto, /);
  });
});
