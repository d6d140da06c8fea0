import type { Figures } from "./figures.ts";
import type { ConfigurationReport, Report, UnderlayMode } from "./report.ts";

interface Row {
  readonly underlay?: UnderlayMode;
  readonly configuration: string;
  /** One for each round. */
  readonly figures: readonly Figures[];
}

/** A report with these figures, as a run would make it. For tests. */
export function sampleReport(
  rows: readonly Row[],
  more: { readonly configurations?: readonly ConfigurationReport[]; readonly failures?: Report["failures"] } = {},
): Report {
  const ids = [...new Set(rows.map(({ configuration }) => configuration))];
  return {
    version: "1.2.3",
    commit: "0123456789ab",
    modified: false,
    date: "2030-01-02T03:04:05.000Z",
    machine: {
      cpu: "An Imagined CPU",
      cores: 2,
      arch: "x64",
      memoryGb: 8,
      kernel: "6.18.0",
      node: "v24.0.0",
      iperf3: "3.12",
      root: true,
      syscallNs: 321,
    },
    rounds: Math.max(...rows.map(({ figures }) => figures.length)),
    seconds: 2,
    configurations: [...ids.map((id) => ({ id, title: id })), ...(more.configurations ?? [])],
    background: [0.01],
    samples: rows.flatMap(({ underlay = "offloads", configuration, figures }) =>
      figures.map((each, i) => ({ round: i + 1, underlay, configuration, measure: "tcp1" as const, figures: each })),
    ),
    failures: more.failures ?? [],
  };
}
