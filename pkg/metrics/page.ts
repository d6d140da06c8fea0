// The text that Prometheus reads (prometheus.io/docs/instrumenting/exposition_formats). prom-client holds its metrics' values and
// hashes labels at each; ours are read elsewhere and live for one scrape, of ten thousand series in a large cluster.

export type Labels = Readonly<Record<string, string>>;
/** Labels, or their text as `written` gives it; and the value. */
export type Row = readonly [Labels | string, number];

/** One scrape's text, metric by metric. */
export class Page {
  readonly #lines: string[] = [];

  get text(): string {
    return this.#lines.join("\n");
  }

  gauge(name: string, help: string, rows: readonly Row[]): void {
    this.#metric(name, "gauge", help, rows);
  }

  counter(name: string, help: string, rows: readonly Row[]): void {
    this.#metric(name, "counter", help, rows);
  }

  #metric(name: string, type: string, help: string, rows: readonly Row[]): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of rows) {
      const text = typeof labels === "string" ? labels : written(labels);
      this.#lines.push(text === "" ? `${name} ${value}` : `${name}{${text}} ${value}`);
    }
    this.#lines.push("");
  }
}

/** Labels as they stand between braces: for those that come again in many metrics. */
export function written(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join();
}

function escaped(value: string): string {
  return value.replaceAll(/[\\"]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`);
}
