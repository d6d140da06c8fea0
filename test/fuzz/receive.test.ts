// The receiving half of the packet loop against the reference: what comes out, and under which name everything else is
// dropped. A failure prints the datagram; the seed repeats it.

import { describe, expect, test } from "vitest";
import { seededRandom } from "../../pkg/base/backoff.ts";
import { COUNTER, COUNTERS, type CounterName } from "../../pkg/dataplane/tun/counters.ts";
import { LoopMemory } from "../../pkg/dataplane/tun/loop-memory.ts";
import { Receive } from "../../pkg/dataplane/tun/receive.ts";
import { VNET_HDR_LEN } from "../../pkg/packet/vnet.ts";
import { MemoryTun } from "../../pkg/tun/memory-tun.ts";
import { MemoryUnderlay } from "../../pkg/underlay/memory-bind.ts";
import { addr } from "../literals.ts";
import { DatagramMaker } from "./mutate.ts";
import { type Received, referenceDecap, type Verdict } from "./reference-decap.ts";
import { fuzzTable } from "./table.ts";

const COUNT = Number(process.env["FUZZ_PACKETS"] ?? 1_000_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

describe.each([
  { mode: "default", strict: false, merge: false, count: COUNT },
  { mode: "strict", strict: true, merge: false, count: COUNT / 4 },
  // One at a time there is nothing to merge: what merges must treat each as what does not.
  { mode: "default, merging", strict: false, merge: true, count: COUNT / 4 },
])("verify-sender $mode", ({ strict, merge, count }) => {
  test(`${count} made and mutated datagrams are treated as the reference treats them`, { timeout: 600_000 }, () => {
    const table = fuzzTable(strict);
    const memory = new LoopMemory();
    const tun = new MemoryTun(memory.arena);
    const bind = new MemoryUnderlay().bind(memory.arena, addr("172.30.77.1"), 8472);
    const receive = new Receive(memory.arena, tun, bind, memory.table, memory.counters, { merge });
    memory.table.load(table);
    const maker = new DatagramMaker(table, seededRandom(SEED));
    const expected = new Map<CounterName, number>();
    for (let i = 0; i < count; i++) {
      const datagram = maker.next();
      const verdict = referenceDecap(table, datagram);
      bind.waiting.push(datagram);
      receive.turn();
      const [frame] = tun.written.splice(0);
      const problem = compare(verdict, frame, (name) => memory.counters.value(COUNTER[name]), expected);
      if (problem !== undefined) expect.fail(describeCase(i, datagram, verdict, frame, problem));
    }
    // Every kind of drop was reached, or the comparison would prove little.
    const reached = [...expected].filter(([, n]) => n > 0).map(([name]) => name);
    const reachable = COUNTERS.filter(
      (name) =>
        name.startsWith("rx_") &&
        name !== "rx_recv_errors" &&
        name !== "rx_bytes" &&
        name !== "rx_merged" &&
        name !== (strict ? "rx_foreign_accepted" : "rx_foreign_source"),
    );
    expect(reached.toSorted()).toEqual(reachable.toSorted());
  });
});

// What differs from the verdict, if anything. Each datagram must move one counter, or with an accepted foreign source two.
function compare(
  verdict: Verdict,
  frame: Uint8Array | undefined,
  value: (name: CounterName) => number,
  expected: Map<CounterName, number>,
): string | undefined {
  const names: CounterName[] =
    "drop" in verdict ? [verdict.drop] : verdict.foreign ? ["rx_packets", "rx_foreign_accepted"] : ["rx_packets"];
  for (const name of names) expected.set(name, (expected.get(name) ?? 0) + 1);
  for (const name of COUNTERS) {
    if (name !== "rx_bytes" && value(name) !== (expected.get(name) ?? 0)) return `${name} is ${value(name)}`;
  }
  if ("drop" in verdict) return frame === undefined ? undefined : "a packet was delivered";
  if (!frame) return "nothing was delivered";
  return Buffer.compare(frame.subarray(VNET_HDR_LEN), verdict.deliver) === 0 ? undefined : "the bytes differ";
}

function describeCase(
  i: number,
  datagram: Received,
  verdict: Verdict,
  frame: Uint8Array | undefined,
  problem: string,
): string {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  const wanted = "drop" in verdict ? verdict.drop : hex(verdict.deliver);
  return [
    `seed ${SEED}, datagram ${i}: ${problem}`,
    `datagram ${hex(datagram.bytes)}`,
    `wanted   ${wanted}`,
    `written  ${frame ? hex(frame) : "nothing"}`,
  ].join("\n");
}
