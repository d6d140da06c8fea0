import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { pageOf } from "./sample-page.ts";

// What deploy/monitoring asks of Prometheus, and whether there is such a thing on the page.

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly labels: { readonly severity: string };
      readonly annotations: { readonly summary: string; readonly description: string };
    }[];
  }[];
}
interface Dashboard {
  readonly panels: readonly { readonly id: number; readonly targets: readonly { readonly expr: string }[] }[];
}

const rules = (parse(readFileSync("deploy/monitoring/alerts.yaml", "utf8")) as Rules).groups.flatMap((g) => g.rules);
const dashboard = JSON.parse(readFileSync("deploy/monitoring/dashboard.json", "utf8")) as Dashboard;
const expressions = [
  ...rules.map(({ expr }) => expr),
  ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
];

/** The label names of each series on the page. */
async function series(): Promise<Map<string, Set<string>>> {
  const { metrics, observations } = pageOf(2);
  observations.passed(1, 0);
  observations.heard(1);
  const found = new Map<string, Set<string>>();
  for (const [, name = "", labels = ""] of (await metrics.text()).matchAll(/^(twill_\w+)(?:\{(.*)\})? /gm)) {
    const names = [...labels.matchAll(/(\w+)="/g)].map(([, label = ""]) => label);
    found.set(name, new Set([...(found.get(name) ?? []), ...names]));
  }
  return found;
}

test("every metric that alerts and the dashboard ask for is on the page, with its labels", async () => {
  const known = await series();
  for (const expr of expressions) {
    const asked = [...expr.matchAll(/(twill_\w+)(?:\{([^}]*)\})?/g)];
    expect(asked.length, expr).toBeGreaterThan(0);
    for (const [, name = "", selectors = ""] of asked) {
      expect([...known.keys()], expr).toContain(name);
      for (const [, label = ""] of selectors.matchAll(/(\w+)\s*(?:=|!)/g)) {
        expect([...(known.get(name) ?? []), "instance"], expr).toContain(label);
      }
    }
    const labels = new Set(asked.flatMap(([, name = ""]) => [...(known.get(name) ?? [])]));
    for (const [, by = ""] of expr.matchAll(/\bby \(([^)]*)\)/g)) {
      for (const label of by.split(/,\s*/)) expect([...labels, "instance"], expr).toContain(label);
    }
  }
});

test("every metric on the page but labels-only ones is on the dashboard or in an alert", async () => {
  const all = expressions.join("\n");
  const left = [...(await series()).keys()].filter((name) => !all.includes(name.replace(/_(sum|count)$/, "_bucket")));
  expect(left.toSorted()).toEqual([
    "twill_build_info",
    "twill_etcd_connected",
    "twill_lease_held",
    "twill_network_info",
  ]);
});

test("docs/metrics.md has every metric with its labels, and no other", async () => {
  const told = new Map<string, Set<string>>();
  for (const [name, labels] of await series()) {
    const base = name.replace(/_(bucket|sum|count)$/, "");
    told.set(base, new Set([...(told.get(base) ?? []), ...labels].filter((label) => label !== "le")));
  }
  const text = readFileSync("docs/metrics.md", "utf8");
  const rows = [...text.matchAll(/^\| `(twill_\w+)` +\|([^|]*)\|/gm)].map(([, name = "", labels = ""]) => [
    name,
    new Set(labels.match(/\w+/g)),
  ]);
  expect(new Map(rows as [string, Set<string>][])).toEqual(told);
});

test("brackets are closed, counters are asked for their rate, and each alert says what to do", () => {
  for (const expr of expressions) {
    for (const [open, close] of ["()", "[]", "{}"]) {
      expect(expr.split(open ?? "").length, expr).toBe(expr.split(close ?? "").length);
    }
    for (const [whole, name] of expr.matchAll(/(twill_\w+_(?:total|bucket))(?:\{[^}]*\})?(?!\[)(?=$|[^{[\w])/g)) {
      expect.fail(`${name} without a range in ${expr}: ${whole}`);
    }
  }
  for (const { alert, labels, annotations } of rules) {
    expect(alert).toMatch(/^Twill[A-Z]/);
    expect(["info", "warning", "critical"]).toContain(labels.severity);
    expect(annotations.summary && annotations.description).toBeTruthy();
  }
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
});
