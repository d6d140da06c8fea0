import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { check } from "prettier";
import { expect, test } from "vitest";
import { TOP } from "../../pkg/lab/programs.ts";
import { chart } from "./chart.ts";
import { performanceDocument } from "./document.ts";
import { DOCS, formatDocument, readResults } from "./results.ts";
import { sampleReport } from "./sample-report.ts";

const report = sampleReport(
  [
    { configuration: "kernel-vxlan", figures: [{ tcp1: 10 }, { tcp1: 20 }] },
    { configuration: "twill-gso", figures: [{ tcp1: 5 }, { tcp1: 14 }] },
  ],
  {
    configurations: [
      { id: "nebula", title: "nebula", unavailable: "nebula is not installed" },
      {
        id: "twill-none",
        title: "twill, one packet per call",
        complaints: ["UDP is slow: asked for", "UDP is slow: asked for"],
      },
    ],
    failures: [
      { round: 2, underlay: "offloads", configuration: "twill-none", measure: "udp64", message: "0 of 9 arrived" },
    ],
  },
);

test("it shows the machine, the commit, figures with ratios, promises, and what did not work", () => {
  const text = performanceDocument(report, "performance/bench.svg");
  expect(text).toContain("| commit | 0123456789ab (twill 1.2.3) |");
  expect(text).toContain("| CPU | An Imagined CPU, 2 cores (x64), 8 GB |");
  expect(text).toContain("| kernel | 6.18.0 |");
  expect(text).toContain("| a system call | 321 ns |");
  expect(text).toMatch(/Both nodes, both pods.* share the 2 cores of one machine/);
  expect(text).toContain("| twill-gso | 9.50 | 0.60 (0.50-0.70) |");
  expect(text).toContain("| TCP 1 stream, UDP_SEGMENT | at least 0.55 × kernel-vxlan | 0.60 | met |");
  expect(text).toContain("![The medians as bars](performance/bench.svg)");
  expect(text).toContain("Not measured: nebula (nebula is not installed).");
  expect(text).not.toContain("| nebula |");
  expect(text).toContain("- round 2, offloads, twill-none, udp64: 0 of 9 arrived");
  expect(text.match(/UDP is slow: asked for/g)?.length).toBe(1);
});

test("it is formatted as the repository's formatter wants it", async () => {
  const text = await formatDocument(report);
  expect(await check(text, { parser: "markdown", printWidth: 120 })).toBe(true);
});

test.skipIf(!existsSync(join(DOCS, "bench.json")))(
  "docs/performance.md and its picture are those of docs/performance/bench.json (skipped until a full run wrote it)",
  async () => {
    const last = readResults(DOCS);
    expect(readFileSync(join(TOP, "docs/performance.md"), "utf8")).toBe(await formatDocument(last));
    expect(readFileSync(join(DOCS, "bench.svg"), "utf8")).toBe(chart(last));
  },
);
