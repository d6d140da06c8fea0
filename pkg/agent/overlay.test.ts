import { expect, test } from "vitest";
import { addr, mac } from "../../test/literals.ts";
import { seededRandom } from "../base/backoff.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { MemoryLogger } from "../base/logger.ts";
import { MemoryDataplane } from "../dataplane/memory-dataplane.ts";
import { parseNetworkConfig } from "../subnet/network-config.ts";
import { Overlay, type OverlayParts } from "./overlay.ts";

const NETWORK = parseNetworkConfig('{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}');
const ADDRESS = { 4: addr("192.0.2.1") };
const UNDERLAY = { name: "eth0", index: 2, mtu: 1500, addr: ADDRESS, publicIp: ADDRESS };
const MAC = mac("02:00:00:00:00:01");

test("what was removed for good is not opened any more, whoever had asked before", async () => {
  const steps: string[] = [];
  const unused = (): never => {
    throw new Error("nothing asks for it");
  };
  const parts: OverlayParts = {
    openDataplane: (_, vtepMac) => {
      const plane = new MemoryDataplane({ vni: 1, vtepMac });
      const [open, close] = [plane.open.bind(plane), plane.close.bind(plane)];
      plane.open = (underlay) => (steps.push("open"), open(underlay));
      plane.close = () => (steps.push("close"), close());
      return plane;
    },
    chooseUnderlay: async () => ({ underlay: UNDERLAY, because: "the only one" }),
    setTraffic: unused,
    trafficDoubts: () => [],
    removeTraces: unused,
    removeFormer: unused,
    vtepMac: { 4: MAC, 6: MAC },
    isFirstRun: false,
    findVtepMacs: unused,
    changed: () => undefined,
    wake: () => undefined,
    clock: new FakeClock(),
    random: seededRandom(1),
    log: new MemoryLogger(),
  };
  const overlay = new Overlay(parts);
  const using = overlay.use(NETWORK, new AbortController().signal);
  const removed = overlay.remove();
  await expect(using).rejects.toThrow("stopped");
  expect(await removed).toEqual([]);
  expect(steps).toEqual(["close"]);
});
