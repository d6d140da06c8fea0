// The text that Prometheus reads (prometheus.io/docs/instrumenting/exposition_formats). prom-client holds its metrics' values and
// hashes labels at each; ours are read elsewhere and live for one scrape, of ten thousand series in a large cluster.

export type Labels = Readonly<Record<string, string>>;
export type Row = readonly [Labels, number];

/** One scrape's text, metric by metric. */
export class Page {
  readonly #lines: string[] = [];
  /** Of each label value, as it is written: nearly all are those of a peer, which come again in every metric. */
  readonly #written = new Map<string, string>();

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
    for (const [labels, value] of rows) this.#lines.push(`${name}${this.#labels(labels)} ${value}`);
    this.#lines.push("");
  }

  #labels(labels: Labels): string {
    let text = "";
    for (const name in labels) text += `${text === "" ? "{" : ","}${name}="${this.#value(labels[name] ?? "")}"`;
    return text === "" ? "" : `${text}}`;
  }

  #value(value: string): string {
    let written = this.#written.get(value);
    if (written === undefined) {
      written = value.replaceAll(/[\\"]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`);
      this.#written.set(value, written);
    }
    return written;
  }
}
