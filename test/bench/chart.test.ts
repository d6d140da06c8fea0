import { expect, test } from "vitest";
import { chart } from "./chart.ts";
import { sampleReport } from "./sample-report.ts";

const report = sampleReport([
  { configuration: "kernel-vxlan", figures: [{ tcp1: 10, udp64: 100 }, { tcp1: 10 }] },
  { configuration: "twill-gso", figures: [{ tcp1: 4, udp64: 200 }, { tcp1: 6 }] },
  { configuration: "a<b>&c", figures: [{ tcp1: 0.1 }] },
]);

/** Width of each bar, in the order in which they are drawn. */
function widths(svg: string): number[] {
  return [...svg.matchAll(/<rect class="(?:kernel|twill|other)" [^>]*width="([\d.]+)"/g)].map((match) =>
    Number(match[1]),
  );
}

test("bars are as long as their medians; each panel has its own scale", () => {
  const [kernel = 0, twill = 0, other = 0, kernelUdp = 0, twillUdp = 0, ...more] = widths(chart(report));
  expect(more).toEqual([]);
  expect(kernel).toBeGreaterThan(100);
  expect(twill / kernel).toBeCloseTo(0.5);
  expect(other / kernel).toBeCloseTo(0.01);
  expect(kernelUdp / twillUdp).toBeCloseTo(0.5);
});

test("labels have the ratio of the rounds and names are escaped", () => {
  const svg = chart(report);
  expect(svg).toContain(">5.00 (×0.50)<");
  expect(svg).toContain(">10.00 Gbit/s<");
  expect(svg).toContain(">a&lt;b&gt;&amp;c<");
  expect(svg).not.toContain("a<b>");
});

test("it follows the page's scheme and draws its own ground for both", () => {
  const svg = chart(report);
  expect(svg).toContain("@media (prefers-color-scheme: dark)");
  expect(svg.match(/\.ground \{ fill: #[0-9a-f]{6} \}/g)?.length).toBe(2);
  const [, width = "", height = ""] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? [];
  expect(svg).toContain(`<rect class="ground" width="${width}" height="${height}"/>`);
});

test("panels without figures are left out, and a report without any gives an empty picture", () => {
  expect(chart(report).match(/class="title"/g)?.length).toBe(2);
  expect(widths(chart(sampleReport([{ configuration: "raw", figures: [{}] }])))).toEqual([]);
});
