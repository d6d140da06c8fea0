import { expect, test } from "vitest";
import type { PeerStatus } from "../api/status.ts";
import { COUNTERS } from "../dataplane/tun/counters.ts";
import { splitCounters } from "./counter-names.ts";
import { PeerPlaces } from "./peer-places.ts";
import { NOW, pageOf, peer } from "./sample-page.ts";

const families = (text: string): Map<string, string> =>
  new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]));

test("says what the snapshots say", async () => {
  const { metrics, observations } = pageOf(2);
  observations.passed(20, 0);
  observations.passed(20, 1);
  observations.heard(0.4);
  const lines = (await metrics.text()).split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      "twill_ready 1",
      "twill_lease_held 1",
      `twill_lease_expiry_timestamp_seconds ${NOW / 1000 + 1}`,
      "twill_etcd_connected 0",
      "twill_watch_lag_seconds 90",
      "twill_etcd_errors_total 3",
      'twill_network_free_subnets{family="ipv4"} 7',
      'twill_packet_loop_cpu_seconds_total{thread="0"} 1.5',
      'twill_dataplane_info{dataplane="tun",rung="gso"} 1',
      'twill_peers{state="in-sync"} 2',
      'twill_probed_peers{state="up"} 2',
      'twill_peer_bytes_total{subnet="10.0.1.0/24",node="node\\"1",direction="tx"} 100',
      'twill_peer_rtt_seconds{subnet="10.0.1.0/24",node="node\\"1"} 0.0005',
      'twill_peer_probe_loss_ratio{subnet="10.0.1.0/24",node="node\\"1"} 0.25',
      'twill_peer_answers{subnet="10.0.1.0/24",node="node\\"1",over="overlay"} 1',
      'twill_peer_path_mtu_bytes{subnet="10.0.1.0/24",node="node\\"1"} 1450',
      'twill_peer_tcp_answers{subnet="10.0.1.0/24",node="node\\"1"} 1',
      "twill_overlay_mtu_bytes 1450",
      'twill_problems{about="forwarding"} 1',
      'twill_sync_duration_seconds_count{result="failed"} 1',
      'twill_probe_rtt_seconds_bucket{le="0.0005"} 1',
    ]),
  );
});

test("a peer without an address in the overlay (host-gw) answers on the underlay, or does not", async () => {
  const underlayOnly = { overlay: "", rttMs: 0, sent: 0, lost: 0, mtu: 0, tcp: "unknown" } as const;
  const answers = async (state: "unknown" | "up" | "down"): Promise<string[]> => {
    const text = await pageOf(1, { ...underlayOnly, state }).metrics.text();
    expect(text).not.toMatch(/^twill_peer_(rtt|probe_loss|path_mtu|tcp).* \S+$/m);
    return text.split("\n").filter((line) => line.startsWith("twill_peer_answers{"));
  };
  expect(await answers("unknown")).toEqual([]);
  for (const [state, yes] of [
    ["up", 1],
    ["down", 0],
  ] as const)
    expect(await answers(state)).toEqual([expect.stringMatching(new RegExp(`,over="underlay"} ${yes}$`))]);
});

test("a second scrape counts nothing twice", async () => {
  const { metrics } = pageOf(2);
  expect(await metrics.text()).toBe(await metrics.text());
});

test("names follow Prometheus' conventions: base units, and _total on counters alone", async () => {
  for (const [name, type] of families(await pageOf(2).metrics.text())) {
    expect(name).toMatch(/^twill_[a-z0-9]+(_[a-z0-9]+)*$/);
    expect(name.endsWith("_total"), name).toBe(type === "counter");
    expect(name).not.toMatch(/_(ms|milliseconds|kb|percent)(_|$)/);
  }
});

test("each counter of the packet loop is on the page under one name", () => {
  const { packets, bytes, drops, events } = splitCounters(Object.fromEntries(COUNTERS.map((name) => [name, 1n])));
  expect(packets.size + bytes.size + drops.size + events.size).toBe(COUNTERS.length);
  expect([...events.keys()].toSorted()).toEqual(
    [
      "loop_turns",
      "offload_steps_down",
      "rx_foreign_accepted",
      "rx_merged",
      "rx_recv_errors",
      "tun_read_errors",
      "tx_blocked",
    ].toSorted(),
  );
});

test("peers above the bound share one series, and whoever has one keeps it", () => {
  const places = new PeerPlaces(2);
  const keys = (peers: readonly PeerStatus[]): string[] => places.assign(peers).map(({ subnet }) => subnet);
  expect(keys([peer(2), peer(3), peer(4), peer(5)])).toEqual(["10.0.2.0/24", "10.0.3.0/24", "other"]);
  const [, , other] = places.assign([peer(2), peer(3), peer(4), peer(5)]);
  expect(other).toMatchObject({ packets: { tx: 9n, rx: 2n }, bytes: { tx: 900n, rx: 200n } });
  // A new one that comes first in the table takes nobody's place.
  expect(keys([peer(1), peer(2), peer(3)])).toEqual(["10.0.2.0/24", "10.0.3.0/24", "other"]);
  expect(keys([peer(1), peer(3)])).toEqual(["10.0.1.0/24", "10.0.3.0/24"]);
});

test("a scrape costs in proportion to the peers, and no more of them than the bound", async () => {
  const { metrics } = pageOf(3000);
  const text = await metrics.text();
  const series = text.split("\n").filter((line) => line.startsWith("twill_peer_bytes_total"));
  expect(series.length).toBe(2 * 1001);
  const times: number[] = [];
  const thousand = pageOf(1000).metrics;
  for (let i = 0; i < 5; i++) {
    const before = performance.now();
    await thousand.text();
    times.push(performance.now() - before);
  }
  console.log(`scrape with 1,000 peers: ${times.map((ms) => ms.toFixed(1)).join(", ")} ms`);
});
