import { type FigureId, FIGURES } from "./figures.ts";
import { BASELINE, type Report, type UnderlayMode } from "./report.ts";
import { ratio, type Spread, summarize } from "./summary.ts";
import { factor } from "./tables.ts";

interface Panel {
  readonly title: string;
  readonly underlay: UnderlayMode;
  readonly figure: FigureId;
}

interface Bar {
  readonly title: string;
  readonly kind: "kernel" | "twill" | "other";
  readonly value: Spread;
  readonly label: string;
}

const PANELS: readonly Panel[] = [
  { title: "TCP, 1 stream", underlay: "offloads", figure: "tcp1" },
  { title: "TCP, 4 streams", underlay: "offloads", figure: "tcp4" },
  { title: "UDP, 64-byte datagrams", underlay: "offloads", figure: "udp64" },
  { title: "Round trip, mean, idle, less is better", underlay: "offloads", figure: "rttMean" },
  { title: "TCP, 1 stream, wire-like underlay", underlay: "wire-like", figure: "tcp1" },
  { title: "TCP, 4 streams, wire-like underlay", underlay: "wire-like", figure: "tcp4" },
];

const COLUMNS = 2;
const PANEL_WIDTH = 440;
const MARGIN = 20;
const TITLE = 30;
const ROW = 22;
const BAR = 14;
const NAME_WIDTH = 150;
const LABEL_WIDTH = 100;
const FULL = PANEL_WIDTH - NAME_WIDTH - LABEL_WIDTH - MARGIN;

// The ground is drawn too: where the picture follows another scheme than the page around it, it stays readable.
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 13px }
  .ground { fill: #ffffff }
  .kernel { fill: #8c959f } .twill { fill: #0969da } .other { fill: #bc8c00 }
  .spread { stroke: #1f2328; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .ground { fill: #0d1117 }
    .kernel { fill: #7d8590 } .twill { fill: #4493f8 } .other { fill: #d29922 }
    .spread { stroke: #e6edf3 }
  }`;

/** Bars of the medians with their spread over the rounds, as an SVG for light and dark pages. */
export function chart(report: Report): string {
  const panels = PANELS.map((panel) => ({ panel, bars: bars(report, panel) })).filter(({ bars }) => bars.length > 0);
  const parts: string[] = [];
  let top = MARGIN;
  for (let i = 0; i < panels.length; i += COLUMNS) {
    const line = panels.slice(i, i + COLUMNS);
    for (const [column, { panel, bars }] of line.entries()) {
      parts.push(drawPanel(panel, bars, MARGIN + column * (PANEL_WIDTH + MARGIN), top));
    }
    top += TITLE + Math.max(...line.map(({ bars }) => bars.length)) * ROW + MARGIN;
  }
  const width = MARGIN + Math.min(COLUMNS, Math.max(panels.length, 1)) * (PANEL_WIDTH + MARGIN);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" width="${width}" height="${top}" role="img">`,
    `<title>twill beside other ways from pod to pod</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="ground" width="${width}" height="${top}"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function bars(report: Report, { underlay, figure }: Panel): Bar[] {
  const { digits, unit } = FIGURES[figure];
  return report.configurations.flatMap(({ id, title }) => {
    const place = { underlay, configuration: id };
    const value = summarize(report, place, figure);
    if (value === undefined) return [];
    const times = id === BASELINE ? undefined : ratio(report, place, figure);
    const label = `${value.median.toFixed(digits)} ${id === BASELINE ? unit : ""}`.trimEnd();
    return [{ title, kind: kindOf(id), value, label: times ? `${label} (×${factor(times.median)})` : label }];
  });
}

function kindOf(id: string): Bar["kind"] {
  if (id.startsWith("twill") || id === "mixed") return "twill";
  return ["raw", "host-gw", BASELINE].includes(id) ? "kernel" : "other";
}

function drawPanel(panel: Panel, bars: readonly Bar[], left: number, top: number): string {
  const most = Math.max(...bars.map(({ value }) => value.max));
  const scale = (value: number): string => (left + NAME_WIDTH + (most === 0 ? 0 : (value / most) * FULL)).toFixed(1);
  const zero = left + NAME_WIDTH;
  const lines = bars.map(({ title, kind, value, label }, i) => {
    const y = top + TITLE + i * ROW;
    const middle = y + BAR / 2;
    const width = (Number(scale(value.median)) - zero).toFixed(1);
    return [
      `<text x="${zero - 8}" y="${middle + 4}" text-anchor="end">${escape(title)}</text>`,
      `<rect class="${kind}" x="${zero}" y="${y}" width="${width}" height="${BAR}" rx="2"/>`,
      `<path class="spread" d="M${scale(value.min)} ${middle}H${scale(value.max)}"/>`,
      `<text x="${(Number(scale(value.max)) + 6).toFixed(1)}" y="${middle + 4}">${escape(label)}</text>`,
    ].join("\n");
  });
  const unit = FIGURES[panel.figure].unit;
  return [
    `<text class="title" x="${left}" y="${top + 14}">${escape(`${panel.title} (${unit})`)}</text>`,
    ...lines,
  ].join("\n");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
