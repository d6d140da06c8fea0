/** What is measured, in the order in which it is shown. Values are in the unit that is named here. */
export const FIGURES = {
  tcp1: { title: "TCP 1 →", unit: "Gbit/s", digits: 2 },
  tcp1Reverse: { title: "TCP 1 ←", unit: "Gbit/s", digits: 2 },
  tcp4: { title: "TCP 4 →", unit: "Gbit/s", digits: 2 },
  tcp4Reverse: { title: "TCP 4 ←", unit: "Gbit/s", digits: 2 },
  udp64: { title: "UDP 64 B", unit: "kpps", digits: 0 },
  udp64Offered: { title: "UDP 64 B sent", unit: "kpps", digits: 0 },
  rttMean: { title: "mean", unit: "µs", digits: 0 },
  rttP99: { title: "p99", unit: "µs", digits: 0 },
  rttLoadedMean: { title: "loaded mean", unit: "µs", digits: 0 },
  rttLoadedP99: { title: "loaded p99", unit: "µs", digits: 0 },
  systemCpu: { title: "system CPU", unit: "s/Gbit", digits: 3 },
  agentCpu: { title: "agents' CPU", unit: "s/Gbit", digits: 3 },
  agentRss: { title: "agent RSS", unit: "MB", digits: 0 },
  agentRssPeak: { title: "agent RSS peak", unit: "MB", digits: 0 },
} as const satisfies Readonly<Record<string, FigureShape>>;

interface FigureShape {
  readonly title: string;
  readonly unit: string;
  /** Digits behind the point when it is shown. */
  readonly digits: number;
}

export type FigureId = keyof typeof FIGURES;

/** What one measurement gives. */
export type Figures = Readonly<Partial<Record<FigureId, number>>>;

/** Figures that belong together, each group a table of its own. */
export const GROUPS: readonly { readonly title: string; readonly figures: readonly FigureId[] }[] = [
  { title: "TCP in Gbit/s", figures: ["tcp1", "tcp1Reverse", "tcp4", "tcp4Reverse"] },
  {
    title: "Round trips in µs, idle and beside one TCP stream",
    figures: ["rttMean", "rttP99", "rttLoadedMean", "rttLoadedP99"],
  },
  {
    title: "UDP received in kpps; CPU in s/Gbit and memory in MB, TCP 1 →",
    figures: ["udp64", "systemCpu", "agentCpu", "agentRss", "agentRssPeak"],
  },
];
