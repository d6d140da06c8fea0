// Merging received packets against a reference that cuts every super-packet up again: what comes out must be what went
// in, in order within each flow, but for what same-flows.ts names.

import { expect, test } from "vitest";
import { seededRandom } from "../../pkg/base/backoff.ts";
import { COUNTER, type CounterName } from "../../pkg/dataplane/tun/counters.ts";
import { LoopMemory } from "../../pkg/dataplane/tun/loop-memory.ts";
import { Receive } from "../../pkg/dataplane/tun/receive.ts";
import { VNET_HDR_LEN } from "../../pkg/packet/vnet.ts";
import { MemoryTun } from "../../pkg/tun/memory-tun.ts";
import { MemoryUnderlay } from "../../pkg/underlay/memory-bind.ts";
import { addr } from "../literals.ts";
import { FlowMaker } from "./flows.ts";
import { referenceCut } from "./reference-cut.ts";
import { deliverRows } from "./rows.ts";
import { asWritten, expectSameFlows } from "./same-flows.ts";
import { fuzzTable } from "./table.ts";

const COUNT = Number(process.env["FUZZ_PACKETS"] ?? 300_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

const table = fuzzTable(false);
// What is longer was none of the peer's packets but several.
const SUPER_PACKET = 1430;

// Refused super-packets: none, those of UDP (Linux before 6.2), all.
test.each([
  { flows: 1, refuse: "nothing" },
  { flows: 6, refuse: "nothing" },
  { flows: 30, refuse: "nothing" },
  { flows: 6, refuse: "UDP" },
  { flows: 6, refuse: "all" },
])("$flows flows, the kernel refuses $refuse: every packet comes out as it went in", { timeout: 600_000 }, (mode) => {
  const memory = new LoopMemory();
  const tun = new MemoryTun(memory.arena);
  const bind = new MemoryUnderlay().bind(memory.arena, addr("172.30.77.1"), 8472);
  const receive = new Receive(memory.arena, tun, bind, memory.table, memory.counters, { merge: true });
  const steppedDown: string[] = [];
  // A super-packet of the merging, not one that came so.
  const cameSo = new Set<string>();
  const text = (packet: Uint8Array): string => Buffer.from(packet).toString("latin1");
  const isMerged = (frame: Uint8Array): boolean => frame[1] !== 0 && !cameSo.has(text(frame.subarray(VNET_HDR_LEN)));
  receive.onStepDown((what) => steppedDown.push(what));
  memory.table.load(table);
  if (mode.refuse === "UDP") tun.refuses = (frame) => frame[1] === 5;
  if (mode.refuse === "all") tun.refuses = (frame) => isMerged(frame);

  const random = seededRandom(SEED + mode.flows);
  const value = (name: CounterName): number => memory.counters.value(COUNTER[name]);
  let made = 0;
  let bytes = 0;
  let merged = 0;
  let longest = 0;
  let most = 0;
  while (made < COUNT / 5) {
    // New flows every now and then, or one run would see the same few forever.
    const maker = new FlowMaker(random, mode.flows, random() < 0.5 ? 1 : 0.01);
    for (let batches = 0; batches < 10; batches++) {
      const input: Uint8Array[] = [];
      for (let rows = Math.floor(random() * 17); rows > 0; rows--)
        input.push(...deliverRows(bind.waiting, maker, random));
      cameSo.clear();
      for (const packet of input) if (packet.length > SUPER_PACKET) cameSo.add(text(packet));
      while (receive.turn() > 0);
      const frames = tun.written.splice(0);
      try {
        expectSameFlows(input.flatMap(asWritten), frames.flatMap(referenceCut));
      } catch (error) {
        throw new Error(`seed ${SEED}, after ${made} packets: ${String(error)}`, { cause: error });
      }
      made += input.length;
      for (const packet of input) bytes += packet.length;
      for (const frame of frames.filter(isMerged)) {
        const view = new DataView(frame.buffer);
        const segments = Math.ceil((frame.length - 10 - view.getUint16(2, true)) / view.getUint16(4, true));
        merged += segments;
        most = Math.max(most, segments);
        longest = Math.max(longest, frame.length - 10);
      }
    }
  }
  expect(value("rx_packets")).toBe(made);
  expect(value("rx_bytes")).toBe(bytes);
  expect(value("rx_merged")).toBe(merged);
  if (mode.refuse === "UDP") expect(steppedDown).toEqual(["merging of received UDP packets"]);
  if (mode.refuse === "all") expect(steppedDown.slice(-1)).toEqual(["merging of received packets"]);
  expect(merged > 0).toBe(mode.refuse !== "all");
  if (mode.refuse === "nothing") {
    expect(steppedDown).toEqual([]);
    expect(merged / made).toBeGreaterThan(0.25);
    expect(longest).toBeLessThanOrEqual(65535);
    // Both limits are reached, given enough packets and flows.
    if (COUNT >= 300_000 && mode.flows > 1) {
      expect(most).toBe(64);
      expect(longest).toBeGreaterThan(60_000);
    }
  }
});
