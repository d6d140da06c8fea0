// The alert rules, by Prometheus' own tool: they are read, and fire for what they are meant for and for nothing else.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const RULES = resolve("deploy/monitoring/alerts.yaml");
const AT = 'instance="a:8471"';
const PEER = `${AT},subnet="10.5.2.0/24",node="b"`;

const cases: { readonly alert: string; readonly series: Readonly<Record<string, string>>; readonly well: string[] }[] =
  [
    {
      alert: "TwillOverlayBroken",
      series: {
        [`twill_peer_answers{${PEER},over="overlay"}`]: "0x60",
        [`twill_peer_answers{${PEER},over="underlay"}`]: "1x60",
      },
      well: ["TwillPeerDown"],
    },
    {
      alert: "TwillPeerDown",
      series: {
        [`twill_peer_answers{${PEER},over="overlay"}`]: "0x60",
        [`twill_peer_answers{${PEER},over="underlay"}`]: "0x60",
      },
      well: ["TwillOverlayBroken"],
    },
    {
      alert: "TwillPathNarrow",
      series: { [`twill_peer_path_mtu_bytes{${PEER}}`]: "1350x60", [`twill_overlay_mtu_bytes{${AT}}`]: "1450x60" },
      well: ["TwillTcpBroken"],
    },
    { alert: "TwillTcpBroken", series: { [`twill_peer_tcp_answers{${PEER}}`]: "0x60" }, well: ["TwillPathNarrow"] },
    {
      alert: "TwillForwardingDropped",
      series: { [`twill_problems{${AT},about="forwarding"}`]: "1x60" },
      well: ["TwillNotReady"],
    },
    { alert: "TwillNotReady", series: { [`twill_ready{${AT}}`]: "0x60" }, well: ["TwillEtcdAway"] },
    {
      alert: "TwillOffloadSteppedDown",
      series: { [`twill_dataplane_events_total{${AT},event="offload_steps_down"}`]: "0x50 1x10" },
      well: ["TwillDrops"],
    },
  ];

/** Runs promtool; its words where it fails. */
function promtool(...args: string[]): string {
  try {
    return execFileSync("promtool", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    return expect.fail(`promtool ${args[0]}: ${stdout}${stderr}`);
  }
}

test("promtool finds the rules right", () => {
  expect(promtool("check", "rules", RULES)).toMatch(/SUCCESS: \d+ rules found/);
});

for (const { alert, series, well } of cases) {
  test(`${alert} fires, and ${well.join()} does not`, () => {
    const dir = mkdtempSync(join(tmpdir(), "twill-alerts-"));
    try {
      // JSON is YAML. One sample a minute for an hour; looked at in its end.
      const file = join(dir, "test.yaml");
      const promql = (name: string, count: number) => ({
        expr: `count(ALERTS{alertname="${name}",alertstate="firing"}) or vector(0)`,
        eval_time: "55m",
        exp_samples: [{ labels: "{}", value: count }],
      });
      const test = {
        interval: "1m",
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: [promql(alert, 1), ...well.map((name) => promql(name, 0))],
      };
      writeFileSync(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: "1m", tests: [test] }));
      expect(promtool("test", "rules", file)).toContain("SUCCESS");
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
}
