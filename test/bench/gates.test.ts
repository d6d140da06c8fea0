import { expect, test } from "vitest";
import { bestRung, checkGates } from "./gates.ts";
import { sampleReport } from "./sample-report.ts";

const kernel = { tcp1: 10, tcp1Reverse: 10, tcp4: 20, udp64: 100, rttMean: 30, rttP99: 50 };

const full = sampleReport([
  { configuration: "kernel-vxlan", figures: [kernel] },
  { configuration: "kernel-vxlan", underlay: "wire-like", figures: [{ tcp1: 5 }] },
  {
    configuration: "twill-tunnel-gso",
    figures: [{ tcp1: 7.1, tcp4: 12.9, udp64: 210, rttMean: 104, rttP99: 201 }],
  },
  { configuration: "twill-tunnel-gso", underlay: "wire-like", figures: [{ tcp1: 4.6 }] },
  { configuration: "twill-gso", figures: [{ tcp1: 5.6, tcp4: 9, udp64: 1, rttMean: 9999, rttP99: 1 }] },
  { configuration: "twill-none", figures: [{ tcp1: 1.1 }] },
  { configuration: "mixed", figures: [{ tcp1: 9, tcp1Reverse: 7.9 }] },
  { configuration: "naive", figures: [{ tcp1: 0.16 }] },
]);

test("every promise is held against the median, and those of the best rung against the best that was measured", () => {
  const gates = checkGates(full).map((gate) => [gate.title, Number(gate.value?.toFixed(3)), gate.met]);
  expect(gates).toEqual([
    ["TCP 1 stream, tunnel-GSO", 0.71, true],
    ["TCP 4 streams, tunnel-GSO", 0.645, false],
    ["TCP 1 stream, UDP_SEGMENT", 0.56, true],
    ["TCP 4 streams, UDP_SEGMENT", 0.45, true],
    ["TCP 1 stream, wire-like underlay", 0.92, true],
    ["TCP 1 stream, twill → kernel peer", 0.9, true],
    ["TCP 1 stream, kernel peer → twill", 0.79, false],
    ["UDP 64 B packets per second", 2.1, true],
    ["RTT mean", 3.467, true],
    ["RTT p99", 4.02, false],
    ["TCP 1 stream, one packet per call", 1.1, true],
    ["TCP 1 stream, against fs.read + node:dgram", 44.375, true],
  ]);
});

test("what was not measured is not met, and without tunnel-GSO UDP_SEGMENT is the best rung", () => {
  const report = sampleReport([
    { configuration: "kernel-vxlan", figures: [kernel] },
    { configuration: "twill-gso", figures: [{ tcp1: 6, udp64: 250 }] },
  ]);
  expect(bestRung(report)).toBe("gso");
  const gates = checkGates(report);
  expect(gates.filter(({ met }) => met).map(({ title }) => title)).toEqual([
    "TCP 1 stream, UDP_SEGMENT",
    "UDP 64 B packets per second",
  ]);
  expect(gates[0]).toMatchObject({ value: undefined, met: false, unit: "× kernel-vxlan" });
});
